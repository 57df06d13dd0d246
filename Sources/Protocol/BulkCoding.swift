import CProtocol
import Domain

/// The version of the bulk and peer messages, in each of them: these sockets have no greeting.
let bulkVersion: UInt32 = 2

func checkVersion(_ version: UInt32, _ message: String) throws(ProtocolError) {
  guard version == bulkVersion else {
    throw .version(message: message, found: version, supported: bulkVersion)
  }
}

func checkPayload(_ bytes: Int, stated: Int, _ message: String) throws(ProtocolError) {
  guard bytes == stated else {
    throw .payload(message: message, bytes: bytes, stated: stated)
  }
}

public func encode(_ request: BulkRequest) -> [UInt8] {
  unsafe packed { arena in
    let c = unsafe arena.make(comd__bulk_request__init)
    unsafe c.pointee.version = bulkVersion
    switch request {
    case .fetch(let number, let blob, let offset, let length):
      let fetch = unsafe arena.make(comd__bulk_fetch__init)
      unsafe fetch.pointee.blob = arena.data(blob.bytes)
      unsafe fetch.pointee.offset = UInt64(offset)
      unsafe fetch.pointee.length = UInt64(length)
      unsafe c.pointee.request = number
      unsafe c.pointee.kind_case = COMD__BULK_REQUEST__KIND_FETCH
      unsafe c.pointee.fetch = fetch
    case .offer(let number, let blob, let size, let place):
      let offer = unsafe arena.make(comd__bulk_offer__init)
      unsafe offer.pointee.blob = arena.data(blob.bytes)
      unsafe offer.pointee.size = UInt64(size)
      if let place {
        let c = unsafe arena.make(comd__file_place__init)
        unsafe c.pointee.process = UInt64(place.process)
        unsafe c.pointee.descriptor = UInt64(place.descriptor)
        unsafe c.pointee.offset = UInt64(place.offset)
        unsafe offer.pointee.place = c
      }
      unsafe c.pointee.request = number
      unsafe c.pointee.kind_case = COMD__BULK_REQUEST__KIND_OFFER
      unsafe c.pointee.offer = offer
    case .chunk(let number, let blob, let offset, let length):
      let upload = unsafe arena.make(comd__bulk_upload__init)
      unsafe upload.pointee.blob = arena.data(blob.bytes)
      unsafe upload.pointee.offset = UInt64(offset)
      unsafe upload.pointee.length = UInt64(length)
      unsafe c.pointee.request = number
      unsafe c.pointee.kind_case = COMD__BULK_REQUEST__KIND_CHUNK
      unsafe c.pointee.chunk = upload
    case .find(let number, let blob):
      unsafe c.pointee.request = number
      unsafe c.pointee.kind_case = COMD__BULK_REQUEST__KIND_FIND
      unsafe c.pointee.find = find(blob, in: arena)
    case .survey(let number, let blob):
      unsafe c.pointee.request = number
      unsafe c.pointee.kind_case = COMD__BULK_REQUEST__KIND_SURVEY
      unsafe c.pointee.survey = find(blob, in: arena)
    case .announce(let endpoint, let publicKey, let blobs):
      let announcement = unsafe arena.make(comd__bulk_announcement__init)
      unsafe announcement.pointee.endpoint = arena.data(endpoint)
      unsafe announcement.pointee.public_key = arena.data(publicKey)
      unsafe announcement.pointee.n_blobs = blobs.count
      unsafe announcement.pointee.blobs = arena.array(blobs.map { unsafe arena.data($0.bytes) })
      unsafe c.pointee.kind_case = COMD__BULK_REQUEST__KIND_ANNOUNCE
      unsafe c.pointee.announce = announcement
    case .complain(let blob, let piece, let source):
      let complaint = unsafe arena.make(comd__bulk_complaint__init)
      unsafe complaint.pointee.blob = arena.data(blob.bytes)
      unsafe complaint.pointee.piece = UInt64(piece)
      unsafe complaint.pointee.source = arena.data(source)
      unsafe c.pointee.kind_case = COMD__BULK_REQUEST__KIND_COMPLAIN
      unsafe c.pointee.complain = complaint
    }
    return unsafe c
  }
}

/// A request on the bulk socket.
/// - Parameter payloadBytes: size of the second frame; 0 when there is none.
public func decodeBulkRequest(
  _ bytes: [UInt8], payloadBytes: Int
) throws(ProtocolError) -> BulkRequest {
  let name = "bulk request"
  return try unsafe unpacked(bytes, as: name, comd__bulk_request__unpack) {
    message throws(ProtocolError) in
    try checkVersion(unsafe message.version, name)
    let number = unsafe message.request
    switch unsafe message.kind_case {
    case COMD__BULK_REQUEST__KIND_FETCH:
      let fetch = try unsafe Checked.present(message.fetch, "fetch")
      try checkPayload(payloadBytes, stated: 0, name)
      let offset = try unsafe Checked.integer(fetch.offset, "fetch.offset")
      return .fetch(
        request: number, blob: try unsafe Checked.digest(fetch.blob, "fetch.blob"),
        offset: Int64(offset),
        length: try unsafe Checked.integer(
          fetch.length, "fetch.length", in: 1...WireLimits.chunkBytesMax))
    case COMD__BULK_REQUEST__KIND_OFFER:
      let offer = try unsafe Checked.present(message.offer, "offer")
      try checkPayload(payloadBytes, stated: 0, name)
      return .offer(
        request: number, blob: try unsafe Checked.digest(offer.blob, "offer.blob"),
        size: Int64(try unsafe Checked.integer(offer.size, "offer.size")),
        place: try unsafe offer.place.map { place throws(ProtocolError) in
          try unsafe FilePlace(place.pointee)
        })
    case COMD__BULK_REQUEST__KIND_CHUNK:
      let upload = try unsafe Checked.present(message.chunk, "chunk")
      let length = try unsafe Checked.integer(
        upload.length, "chunk.length", in: 0...WireLimits.chunkBytesMax)
      try checkPayload(payloadBytes, stated: length, name)
      return .chunk(
        request: number, blob: try unsafe Checked.digest(upload.blob, "chunk.blob"),
        offset: Int64(try unsafe Checked.integer(upload.offset, "chunk.offset")), length: length)
    case COMD__BULK_REQUEST__KIND_FIND:
      try checkPayload(payloadBytes, stated: 0, name)
      return .find(request: number, blob: try unsafe blob(of: message.find, "find.blob"))
    case COMD__BULK_REQUEST__KIND_SURVEY:
      try checkPayload(payloadBytes, stated: 0, name)
      return .survey(request: number, blob: try unsafe blob(of: message.survey, "survey.blob"))
    case COMD__BULK_REQUEST__KIND_ANNOUNCE:
      let announcement = try unsafe Checked.present(message.announce, "announcement")
      try checkPayload(payloadBytes, stated: 0, name)
      return .announce(
        endpoint: try unsafe Checked.name(announcement.endpoint, "announcement.endpoint"),
        publicKey: try unsafe Checked.curveKey(
          announcement.public_key, "announcement.public_key"),
        blobs: try unsafe Checked.list(
          announcement.blobs, announcement.n_blobs, "announcement.blobs",
          max: WireLimits.announcedMax, Checked.digest))
    case COMD__BULK_REQUEST__KIND_COMPLAIN:
      let complaint = try unsafe Checked.present(message.complain, "complaint")
      try checkPayload(payloadBytes, stated: 0, name)
      return .complain(
        blob: try unsafe Checked.digest(complaint.blob, "complaint.blob"),
        piece: try unsafe Checked.integer(complaint.piece, "complaint.piece"),
        source: try unsafe Checked.name(complaint.source, "complaint.source"))
    default: throw .missing(field: "bulk request's kind")
    }
  }
}

extension FilePlace {
  fileprivate init(_ message: Comd__FilePlace) throws(ProtocolError) {
    self.init(
      process: try unsafe Checked.integer(message.process, "place.process"),
      descriptor: try unsafe Checked.integer(message.descriptor, "place.descriptor"),
      offset: Int64(try unsafe Checked.integer(message.offset, "place.offset")))
  }
}

private func find(_ blob: Digest, in arena: Arena) -> UnsafeMutablePointer<Comd__BulkFind> {
  let c = unsafe arena.make(comd__bulk_find__init)
  unsafe c.pointee.blob = arena.data(blob.bytes)
  return unsafe c
}

private func blob(
  of message: UnsafeMutablePointer<Comd__BulkFind>?, _ field: String
) throws(ProtocolError) -> Digest {
  try unsafe Checked.digest(Checked.present(message, field).blob, field)
}
