import Domain
import Foundation
import Protocol
import Scheduling

/// Reads the records of one segment, in their order.
struct RecordDecoder {
  private let stored: StoredParts
  private var moment: Int64
  private var workers: [WorkerID] = []
  private var heartbeats: [WorkerID: Heartbeat] = [:]

  /// - Parameter moment: of the last event of the segment before, in nanoseconds.
  init(_ stored: StoredParts, after moment: Int64 = 0) {
    self.stored = stored
    self.moment = moment
  }

  /// The next record.
  ///
  /// - Throws: `JournalError` for bytes that are none, or whatever the store throws.
  mutating func next(_ reader: inout ByteReader) throws -> JournalRecord {
    guard let kind = RecordKind(rawValue: try reader.byte()) else {
      throw JournalError.malformed("its kind is unknown")
    }
    switch kind {
    case .start:
      moment = 0
      return .start(try start(&reader))
    case .standing:
      return .standing(
        MachineStanding(values: try reader.list { reader in try reader.word() }))
    case .ended: return .ended(try reader.text())
    case .tick, .heartbeat, .message, .reports, .disconnected, .lookedUp, .recalled, .prepared,
      .datasetBuilt, .evaluationScored, .command, .manifestWritten:
      let (sum, isTooFar) = moment.addingReportingOverflow(try reader.number())
      guard !isTooFar else { throw JournalError.malformed("its moment is too far") }
      moment = sum
      return .event(try event(kind, &reader), at: Moment(nanoseconds: sum))
    }
  }

  private func start(_ reader: inout ByteReader) throws -> CoordinatorStart {
    let bytes = Data(try reader.block())
    do {
      return try JSONDecoder().decode(CoordinatorStart.self, from: bytes)
    } catch {
      throw JournalError.settings("\(error)")
    }
  }

  private mutating func event(_ kind: RecordKind, _ reader: inout ByteReader) throws -> Event {
    switch kind {
    case .start, .standing, .ended: throw JournalError.malformed("it is no event")
    case .tick: return .tick
    case .heartbeat:
      let worker = try worker(&reader)
      return .received(.heartbeat(try heartbeat(of: worker, &reader)), from: worker)
    case .message:
      let worker = try worker(&reader)
      return .received(try decodeWorkerMessage(try reader.block()), from: worker)
    case .reports:
      let worker = try worker(&reader)
      let reports = try reader.list { reader in try report(&reader) }
      return .received(.reports(reports), from: worker)
    case .disconnected: return .disconnected(try worker(&reader))
    case .lookedUp:
      let asked = try jobs(from: JobID(0), &reader)
      let found = try reader.list { reader in
        let job = try reader.job()
        return KnownResult(job: job, result: try result(of: job, &reader).result)
      }
      return .lookedUp(asked: asked, found: found)
    case .recalled:
      let worker = try worker(&reader)
      let report = try report(&reader)
      return .recalled(report, from: worker, try result(of: try reader.job(), &reader))
    case .prepared:
      let input = try json(RunInput.self, &reader)
      let count = try reader.count()
      if count == 0 { return .prepared(input, pool: []) }
      guard let pool = try stored.pool(count) else { throw JournalError.poolMissing(count) }
      return .prepared(input, pool: pool)
    case .datasetBuilt:
      let training = TrainingID(iteration: try reader.count())
      let dataset = try digest(&reader)
      return .datasetBuilt(training, dataset: dataset, samples: try reader.count())
    case .manifestWritten:
      let training = TrainingID(iteration: try reader.count())
      let step = try reader.count()
      return .manifestWritten(
        training, TrainingCheckpoint(step: step, state: try digest(&reader)))
    case .evaluationScored: return .evaluationScored(try json(EvaluationScore.self, &reader))
    case .command: return .command(try json(Command.self, &reader))
    }
  }

  private func digest(_ reader: inout ByteReader) throws(JournalError) -> Digest {
    guard let digest = Digest(bytes: try reader.raw(32)) else {
      throw .malformed("a digest has 32 bytes")
    }
    return digest
  }

  private mutating func worker(_ reader: inout ByteReader) throws(JournalError) -> WorkerID {
    let number = try reader.count()
    if number < workers.count { return workers[number] }
    guard number == workers.count else { throw .malformed("its worker was never named") }
    let worker = WorkerID(name: try reader.text(), boot: try reader.word())
    workers.append(worker)
    return worker
  }

  private func json<Value: Decodable>(
    _ type: Value.Type, _ reader: inout ByteReader
  ) throws -> Value {
    let bytes = Data(try reader.block())
    do {
      return try JSONDecoder().decode(type, from: bytes)
    } catch {
      throw JournalError.malformed("\(error)")
    }
  }

  private func jobs(from first: JobID, _ reader: inout ByteReader) throws -> [JobID] {
    var last = first.number
    return try reader.list { reader in
      last &+= try reader.number()
      return JobID(last)
    }
  }

  private mutating func heartbeat(
    of worker: WorkerID, _ reader: inout ByteReader
  ) throws -> Heartbeat {
    var heartbeat = heartbeats[worker] ?? .silent
    let same = HeartbeatPart(rawValue: try reader.byte())
    heartbeat.busyMilliseconds &+= try reader.number()
    heartbeat.sequence =
      same.contains(.sequence) ? heartbeat.sequence &+ 1 : try reader.word()
    if !same.contains(.holding) {
      heartbeat.holding = try jobs(from: heartbeat.holding.first ?? JobID(0), &reader)
    }
    if !same.contains(.credit) {
      guard let credit = Int(exactly: try reader.number()) else {
        throw JournalError.malformed("a credit is too large")
      }
      heartbeat.credit = credit
    }
    if !same.contains(.training) {
      let number = try reader.count()
      heartbeat.training = number == 0 ? nil : TrainingID(iteration: number - 1)
    }
    if !same.contains(.standing) { heartbeat.standing = try standing(&reader) }
    heartbeats[worker] = heartbeat
    return heartbeat
  }

  private func standing(_ reader: inout ByteReader) throws(JournalError) -> TrainingStanding? {
    switch try reader.byte() {
    case 0: return nil
    case 1: return .preparing
    case 4: return .failed(try reader.text())
    case 5: return .following(try progress(&reader))
    case _: throw .malformed("a standing is unknown, or of an older version")
    }
  }

  private func progress(_ reader: inout ByteReader) throws(JournalError) -> TrainingProgress {
    let (lineage, elements) = (try reader.word(), try reader.count())
    let (step, segments) = (try reader.count(), try reader.count())
    func set() throws(JournalError) -> PieceSet {
      guard segments <= WireLimits.segmentsMax,
        let set = PieceSet(try reader.block(), of: segments)
      else { throw .malformed("a set of segments is not one") }
      return set
    }
    let kept = try set()
    let flags = try reader.byte()
    return TrainingProgress(
      lineage: lineage, elements: elements, step: step, isWhole: flags & 1 != 0, kept: kept,
      summed: flags & 2 != 0 ? try set() : nil)
  }

  private func report(_ reader: inout ByteReader) throws -> JobReport {
    guard try isKept(&reader) else { return try decodeJobReport(try reader.block()) }
    let job = try reader.job()
    let attempt = try reader.count()
    let accepted = try kept(job, &reader)
    return JobReport(
      job: job, attempt: attempt, address: accepted.address, outcome: .success(accepted.result))
  }

  /// Written whole, it lacks what else the store says about it.
  private func result(
    of job: JobID, _ reader: inout ByteReader
  ) throws -> AcceptedResult {
    guard try isKept(&reader) else {
      return AcceptedResult(
        address: Digest(words: (0, 0, 0, 0)), attempt: 0, givenTo: [],
        result: try decodeGenerationResult(try reader.block()))
    }
    return try kept(job, &reader)
  }

  private func isKept(_ reader: inout ByteReader) throws(JournalError) -> Bool {
    switch try reader.byte() {
    case 0: return false
    case 1: return true
    case _: throw .malformed("it is not said where a result is")
    }
  }

  private func kept(_ job: JobID, _ reader: inout ByteReader) throws -> AcceptedResult {
    let meant = try reader.word()
    guard let accepted = try stored.result(job) else { throw JournalError.resultMissing(job) }
    guard UInt64(mark(of: accepted.result)) == meant else {
      throw JournalError.resultDiffers(job)
    }
    return accepted
  }
}
