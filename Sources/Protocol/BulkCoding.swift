import CProtocol
import Domain

/// The version of the bulk and peer messages, in each of them: these sockets have no greeting.
let bulkVersion: UInt32 = 1

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
    case .offer(let number, let blob, let size):
      let offer = unsafe arena.make(comd__bulk_offer__init)
      unsafe offer.pointee.blob = arena.data(blob.bytes)
      unsafe offer.pointee.size = UInt64(size)
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
        size: Int64(try unsafe Checked.integer(offer.size, "offer.size")))
    case COMD__BULK_REQUEST__KIND_CHUNK:
      let upload = try unsafe Checked.present(message.chunk, "chunk")
      let length = try unsafe Checked.integer(
        upload.length, "chunk.length", in: 0...WireLimits.chunkBytesMax)
      try checkPayload(payloadBytes, stated: length, name)
      return .chunk(
        request: number, blob: try unsafe Checked.digest(upload.blob, "chunk.blob"),
        offset: Int64(try unsafe Checked.integer(upload.offset, "chunk.offset")), length: length)
    default: throw .missing(field: "bulk request's kind")
    }
  }
}

public func encode(_ reply: BulkReply) -> [UInt8] {
  unsafe packed { arena in
    let c = unsafe arena.make(comd__bulk_reply__init)
    unsafe c.pointee.version = bulkVersion
    func head(_ number: UInt64, _ blob: Digest) {
      unsafe c.pointee.request = number
      unsafe c.pointee.blob = arena.data(blob.bytes)
    }
    switch reply {
    case .chunk(let number, let blob, let size, let offset, let length):
      head(number, blob)
      let chunk = unsafe arena.make(comd__bulk_chunk__init)
      unsafe chunk.pointee.size = UInt64(size)
      unsafe chunk.pointee.offset = UInt64(offset)
      unsafe chunk.pointee.length = UInt64(length)
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_CHUNK
      unsafe c.pointee.chunk = chunk
    case .wanted(let number, let blob, let from):
      head(number, blob)
      let wanted = unsafe arena.make(comd__bulk_wanted__init)
      unsafe wanted.pointee.from = UInt64(from)
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_WANTED
      unsafe c.pointee.wanted = wanted
    case .stored(let number, let blob):
      head(number, blob)
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_STORED
      unsafe c.pointee.stored = arena.make(comd__bulk_stored__init)
    case .refused(let number, let blob, let refusal):
      head(number, blob)
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_REFUSED
      unsafe c.pointee.refused = refusal.message(in: arena)
    }
    return unsafe c
  }
}

/// A reply on the bulk socket.
/// - Parameter payloadBytes: size of the second frame; 0 when there is none.
public func decodeBulkReply(
  _ bytes: [UInt8], payloadBytes: Int
) throws(ProtocolError) -> BulkReply {
  let name = "bulk reply"
  return try unsafe unpacked(bytes, as: name, comd__bulk_reply__unpack) {
    message throws(ProtocolError) in
    try checkVersion(unsafe message.version, name)
    let number = unsafe message.request
    let blob = try unsafe Checked.digest(message.blob, "reply.blob")
    switch unsafe message.kind_case {
    case COMD__BULK_REPLY__KIND_CHUNK:
      let chunk = try unsafe Checked.present(message.chunk, "chunk")
      let size = try unsafe Checked.integer(chunk.size, "chunk.size")
      let offset = try unsafe Checked.integer(chunk.offset, "chunk.offset", in: 0...size)
      let lengthMax = min(WireLimits.chunkBytesMax, size - offset)
      let length = try unsafe Checked.integer(chunk.length, "chunk.length", in: 0...lengthMax)
      try checkPayload(payloadBytes, stated: length, name)
      return .chunk(
        request: number, blob: blob, size: Int64(size), offset: Int64(offset), length: length)
    case COMD__BULK_REPLY__KIND_WANTED:
      let wanted = try unsafe Checked.present(message.wanted, "wanted")
      try checkPayload(payloadBytes, stated: 0, name)
      return .wanted(
        request: number, blob: blob,
        from: Int64(try unsafe Checked.integer(wanted.from, "wanted.from")))
    case COMD__BULK_REPLY__KIND_STORED:
      try checkPayload(payloadBytes, stated: 0, name)
      return .stored(request: number, blob: blob)
    case COMD__BULK_REPLY__KIND_REFUSED:
      try checkPayload(payloadBytes, stated: 0, name)
      return .refused(
        request: number, blob: blob,
        try unsafe BulkRefusal(Checked.present(message.refused, "refusal")))
    default: throw .missing(field: "bulk reply's kind")
    }
  }
}

extension BulkRefusal {
  init(_ message: Comd__BulkRefusal) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__BULK_REFUSAL__KIND_UNKNOWN_BLOB: self = .unknownBlob
    case COMD__BULK_REFUSAL__KIND_RANGE: self = .range
    case COMD__BULK_REFUSAL__KIND_TOO_LARGE:
      self = .tooLarge(
        limit: Int64(try unsafe Checked.integer(message.too_large, "refusal.limit")))
    case COMD__BULK_REFUSAL__KIND_MISMATCH: self = .mismatch
    case COMD__BULK_REFUSAL__KIND_BUSY: self = .busy
    case COMD__BULK_REFUSAL__KIND_STORAGE:
      self = .storage(try unsafe Checked.reason(message.storage, "refusal.reason"))
    default: throw .missing(field: "refusal")
    }
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__BulkRefusal> {
    let c = unsafe arena.make(comd__bulk_refusal__init)
    func reason() -> UnsafeMutablePointer<Comd__BulkRefusal__Reason> {
      unsafe arena.make(comd__bulk_refusal__reason__init)
    }
    switch self {
    case .unknownBlob:
      unsafe c.pointee.kind_case = COMD__BULK_REFUSAL__KIND_UNKNOWN_BLOB
      unsafe c.pointee.unknown_blob = reason()
    case .range:
      unsafe c.pointee.kind_case = COMD__BULK_REFUSAL__KIND_RANGE
      unsafe c.pointee.range = reason()
    case .tooLarge(let limit):
      unsafe c.pointee.kind_case = COMD__BULK_REFUSAL__KIND_TOO_LARGE
      unsafe c.pointee.too_large = UInt64(limit)
    case .mismatch:
      unsafe c.pointee.kind_case = COMD__BULK_REFUSAL__KIND_MISMATCH
      unsafe c.pointee.mismatch = reason()
    case .busy:
      unsafe c.pointee.kind_case = COMD__BULK_REFUSAL__KIND_BUSY
      unsafe c.pointee.busy = reason()
    case .storage(let words):
      unsafe c.pointee.kind_case = COMD__BULK_REFUSAL__KIND_STORAGE
      unsafe c.pointee.storage = arena.reason(words)
    }
    return unsafe c
  }
}
