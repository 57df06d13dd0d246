import Protocol

/// Any bytes are a message of some kind, or an error: for every decoder that a network or a disk can
/// reach. What one of them takes, it takes again from its own encoding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  if let message = try? decodeWorkerMessage(bytes) {
    precondition((try? decodeWorkerMessage(encode(message))) == message, "worker message")
  }
  if let message = try? decodeCoordinatorMessage(bytes) {
    precondition((try? decodeCoordinatorMessage(encode(message))) == message, "coordinator message")
  }
  if let request = try? decodeBulkRequest(bytes, payloadBytes: 0) {
    precondition((try? decodeBulkRequest(encode(request), payloadBytes: 0)) == request, "request")
  }
  if let reply = try? decodeBulkReply(bytes, payloadBytes: 0) {
    precondition((try? decodeBulkReply(encode(reply), payloadBytes: 0)) == reply, "reply")
  }
  if let reply = try? decodeBulkReply(bytes, payloadBytes: 32) {
    precondition((try? decodeBulkReply(encode(reply), payloadBytes: 32)) == reply, "reply, raw")
  }
  if let message = try? decodePeerMessage(bytes, payloadBytes: 0) {
    precondition((try? decodePeerMessage(encode(message), payloadBytes: 0)) == message, "peer")
  }
  _ = try? decodeJobReport(bytes)
  _ = try? decodeGenerationResult(bytes)
  _ = try? decodeTrainingSamples(bytes)
  return 0
}
