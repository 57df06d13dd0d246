import Domain
import Protocol
import TestSupport
import Testing

@Suite("A message that is encoded and decoded")
struct RoundTripTests {
  @Test("is the same for every kind of worker message", arguments: 0..<100)
  func worker(seed: UInt64) throws {
    var messages = RandomMessages(seed: seed)
    for kind in 0..<RandomMessages.workerKinds {
      let message = messages.workerMessage(kind)
      #expect(try decodeWorkerMessage(encode(message)) == message)
    }
  }

  @Test("is the same for every kind of coordinator message", arguments: 0..<100)
  func coordinator(seed: UInt64) throws {
    var messages = RandomMessages(seed: seed)
    for kind in 0..<RandomMessages.coordinatorKinds {
      let message = messages.coordinatorMessage(kind)
      #expect(try decodeCoordinatorMessage(encode(message)) == message)
    }
  }

  @Test("is the same for every kind of blob transfer and peer message", arguments: 0..<100)
  func bulk(seed: UInt64) throws {
    var messages = RandomMessages(seed: seed)
    for kind in 0..<RandomMessages.bulkRequestKinds {
      let (request, bytes) = messages.bulkRequest(kind)
      #expect(try decodeBulkRequest(encode(request), payloadBytes: bytes) == request)
    }
    for kind in 0..<RandomMessages.bulkReplyKinds {
      let (reply, bytes) = messages.bulkReply(kind)
      #expect(try decodeBulkReply(encode(reply), payloadBytes: bytes) == reply)
    }
    for kind in 0..<RandomMessages.peerKinds {
      let (message, bytes) = messages.peerMessage(kind)
      #expect(try decodePeerMessage(encode(message), payloadBytes: bytes) == message)
    }
  }

  @Test("is the same for what lies on a disk", arguments: 0..<100)
  func disk(seed: UInt64) throws {
    var messages = RandomMessages(seed: seed)
    let (report, result, samples) = (messages.report(), messages.result(), messages.samples())
    #expect(try decodeJobReport(encode(report)) == report)
    #expect(try decodeGenerationResult(encode(result)) == result)
    #expect(try decodeTrainingSamples(encode(samples)) == samples)
  }

  @Test("keeps a text with U+0000 whole")
  func zeroCharacter() throws {
    let message = WorkerMessage.standing(.pretraining, .failed("a\0b"))
    #expect(try decodeWorkerMessage(encode(message)) == message)
  }

  @Test("has its words of failure cut between two characters, at the limit")
  func longReason() throws {
    let long = String(repeating: "é", count: WireLimits.reasonBytesMax)
    let message = WorkerMessage.standing(.pretraining, .failed("x" + long))
    let kept = "x" + String(repeating: "é", count: WireLimits.reasonBytesMax / 2 - 1)
    let decoded = try decodeWorkerMessage(encode(message))
    #expect(decoded == .standing(.pretraining, .failed(kept)))
  }
}

@Suite("A batch")
struct BatchTests {
  @Test("of many reports is split into messages within the limits, none lost, in order")
  func reports() throws {
    var messages = RandomMessages(seed: 1)
    let reports = (0..<3000).map { _ in messages.report() }
    let split = reportMessages(reports)
    #expect(split.count > 1)
    let decoded = try split.flatMap { message -> [JobReport] in
      guard case .reports(let batch) = try decodeWorkerMessage(encode(message)) else { return [] }
      return batch
    }
    #expect(decoded == reports)
    #expect(reportMessages([]).isEmpty)
  }

  @Test("of large assignments is split by its bytes")
  func assignments() throws {
    var messages = RandomMessages(seed: 2)
    var request = messages.request()
    request.prompt = Prompt([.text(String(repeating: "long ", count: 200_000))])
    let assignments = (1...10).map {
      Assignment(job: JobID($0), attempt: 1, address: messages.digest(), request: request)
    }
    let split = assignMessages(assignments)
    #expect(split.count == 5)
    let jobs = try split.flatMap { message -> [JobID] in
      let bytes = encode(message)
      #expect(bytes.count <= WireLimits.messageBytesMax)
      guard case .assign(let batch) = try decodeCoordinatorMessage(bytes) else { return [] }
      return batch.map(\.job)
    }
    #expect(jobs == assignments.map(\.job))
  }

  @Test("of acknowledgements is split by their number")
  func acknowledgements() throws {
    let attempts = (1...Int64(WireLimits.jobsMax) + 1).map { JobAttempt(JobID($0), attempt: 3) }
    let split = acknowledgeMessages(attempts)
    #expect(
      split == [
        .acknowledge(Array(attempts.dropLast())), .acknowledge(Array(attempts.suffix(1))),
      ])
    #expect(try split.map { try decodeCoordinatorMessage(encode($0)) } == split)
  }
}
