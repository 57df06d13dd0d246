import CProtocol
import Domain

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
    case .found(let number, let blob, let size, let sources):
      head(number, blob)
      let found = unsafe arena.make(comd__bulk_found__init)
      unsafe found.pointee.size = UInt64(size)
      unsafe found.pointee.n_sources = sources.count
      unsafe found.pointee.sources = arena.pointers(sources.map { unsafe $0.message(in: arena) })
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_FOUND
      unsafe c.pointee.found = found
    case .holding(let number, let blob):
      head(number, blob)
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_HOLDING
      unsafe c.pointee.holding = arena.make(comd__bulk_holding__init)
    case .letIn(let source, let blob):
      unsafe c.pointee.blob = arena.data(blob.bytes)
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_LET_IN
      unsafe c.pointee.let_in = source.message(in: arena)
    case .shutOut(let name):
      unsafe c.pointee.kind_case = COMD__BULK_REPLY__KIND_SHUT_OUT
      unsafe c.pointee.shut_out = arena.data(name)
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
    switch unsafe message.kind_case {
    case COMD__BULK_REPLY__KIND_LET_IN:
      try checkPayload(payloadBytes, stated: 0, name)
      return .letIn(
        try unsafe BlobSource(Checked.present(message.let_in, "source")),
        blob: try unsafe Checked.digest(message.blob, "let_in.blob"))
    case COMD__BULK_REPLY__KIND_SHUT_OUT:
      try checkPayload(payloadBytes, stated: 0, name)
      return .shutOut(name: try unsafe Checked.name(message.shut_out, "shut_out"))
    default: break
    }
    let number = unsafe message.request
    let blob = try unsafe Checked.digest(message.blob, "reply.blob")
    switch unsafe message.kind_case {
    case COMD__BULK_REPLY__KIND_CHUNK:
      let chunk = try unsafe Checked.present(message.chunk, "chunk")
      let size = try unsafe Checked.integer(
        chunk.size, "chunk.size", in: 0...WireLimits.blobBytesMax)
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
    case COMD__BULK_REPLY__KIND_FOUND:
      let found = try unsafe Checked.present(message.found, "found")
      try checkPieces(payloadBytes, name)
      guard payloadBytes % digestBytes == 0 else {
        throw .payload(
          message: name, bytes: payloadBytes,
          stated: payloadBytes / digestBytes * digestBytes)
      }
      return .found(
        request: number, blob: blob,
        size: Int64(
          try unsafe Checked.integer(found.size, "found.size", in: 0...WireLimits.blobBytesMax)),
        sources: try unsafe Checked.messages(
          found.sources, found.n_sources, "found.sources", max: WireLimits.sourcesMax
        ) { source throws(ProtocolError) in try unsafe BlobSource(source) })
    case COMD__BULK_REPLY__KIND_HOLDING:
      try checkPieces(payloadBytes, name)
      return .holding(request: number, blob: blob)
    default: throw .missing(field: "bulk reply's kind")
    }
  }
}

private let digestBytes = 32

private func checkPieces(_ bytes: Int, _ message: String) throws(ProtocolError) {
  guard bytes <= WireLimits.pieceListBytesMax else {
    throw .tooLong(message: message, bytes: bytes, limit: WireLimits.pieceListBytesMax)
  }
}

extension BlobSource {
  init(_ message: Comd__BlobSource) throws(ProtocolError) {
    self.init(
      name: try unsafe Checked.name(message.name, "source.name"),
      endpoint: try unsafe Checked.name(message.endpoint, "source.endpoint"),
      publicKey: try unsafe Checked.curveKey(message.public_key, "source.public_key"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__BlobSource> {
    let c = unsafe arena.make(comd__blob_source__init)
    unsafe c.pointee.name = arena.data(name)
    unsafe c.pointee.endpoint = arena.data(endpoint)
    unsafe c.pointee.public_key = arena.data(publicKey)
    return unsafe c
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
