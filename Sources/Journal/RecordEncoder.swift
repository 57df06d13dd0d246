import Domain
import Foundation
import Protocol
import Scheduling

/// What a record begins with.
enum RecordKind: UInt8 {
  case start = 1
  case tick, heartbeat, message, reports, disconnected, lookedUp, recalled, prepared
  case datasetBuilt, evaluationScored, command, standing, ended
  case manifestWritten
}

/// Makes records of one segment. What repeats is written once: workers are numbered as they come,
/// and of a heartbeat stands what the same worker's one before did not say.
struct RecordEncoder {
  private(set) var writer = ByteWriter()
  private(set) var moment: Moment
  private var workers: [WorkerID: Int] = [:]
  private var heartbeats: [WorkerID: Heartbeat] = [:]

  /// - Parameter moment: of the last event of the segment before, after whose start none has come.
  init(after moment: Moment = .zero) { self.moment = moment }

  /// Hands out what was encoded since the last time.
  mutating func take() -> [UInt8] {
    defer { writer.removeAll() }
    return writer.bytes
  }

  mutating func add(_ start: CoordinatorStart) throws {
    begin(.start)
    try json(start)
    moment = .zero
  }

  mutating func add(_ standing: MachineStanding) {
    begin(.standing)
    writer.count(standing.values.count)
    for value in standing.values { writer.word(value) }
  }

  mutating func addEnd(_ reason: String) {
    begin(.ended)
    writer.text(reason)
  }

  /// - Parameter effects: what followed from it: results that they put into the store are left out.
  mutating func add(_ event: Event, at now: Moment, _ effects: [Effect]) throws {
    switch event {
    case .prepared(let input, let pool):
      begin(.prepared, now)
      try json(input)
      writer.count(pool.count)
    case .received(.heartbeat(let heartbeat), let worker):
      begin(.heartbeat, now, worker)
      add(heartbeat, of: worker)
    case .received(.reports(let reports), let worker):
      begin(.reports, now, worker)
      // Reports are accepted in their order.
      var accepted = acceptedReports(effects)[...]
      writer.count(reports.count)
      for report in reports {
        let isKept = accepted.first == report
        if isKept { accepted.removeFirst() }
        add(report, isKept: isKept)
      }
    case .received(let message, let worker):
      begin(.message, now, worker)
      writer.block(encode(message))
    case .disconnected(let worker): begin(.disconnected, now, worker)
    case .tick: begin(.tick, now)
    case .lookedUp(let asked, let found):
      begin(.lookedUp, now)
      add(asked, from: JobID(0))
      let reused = found.isEmpty ? [] : reusedJobs(effects)
      writer.count(found.count)
      for known in found {
        writer.job(known.job)
        add(known.result, isKept: reused.contains(known.job))
      }
    case .recalled(let report, let worker, let accepted):
      begin(.recalled, now, worker)
      let isEqual =
        report.address == accepted.address && report.outcome == .success(accepted.result)
      add(report, isKept: isEqual)
      // What was recalled came from the store and stays there.
      writer.job(report.job)
      add(accepted.result, isKept: true)
    case .datasetBuilt(let training, let dataset, let samples):
      begin(.datasetBuilt, now)
      writer.count(training.iteration)
      writer.raw(dataset.bytes)
      writer.count(samples)
    case .manifestWritten(let training, let checkpoint):
      begin(.manifestWritten, now)
      writer.count(training.iteration)
      writer.count(checkpoint.step)
      writer.raw(checkpoint.state.bytes)
    case .evaluationScored(let score):
      begin(.evaluationScored, now)
      try json(score)
    case .command(let command):
      begin(.command, now)
      try json(command)
    }
  }

  private mutating func begin(_ kind: RecordKind) { writer.byte(kind.rawValue) }

  private mutating func begin(_ kind: RecordKind, _ now: Moment) {
    begin(kind)
    writer.number(now.nanoseconds - moment.nanoseconds)
    moment = now
  }

  private mutating func begin(_ kind: RecordKind, _ now: Moment, _ worker: WorkerID) {
    begin(kind, now)
    if let number = workers[worker] {
      writer.count(number)
      return
    }
    writer.count(workers.count)
    writer.text(worker.name)
    writer.word(worker.boot)
    workers[worker] = workers.count
  }

  private mutating func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    writer.block([UInt8](try encoder.encode(value)))
  }

  private mutating func add(_ jobs: [JobID], from first: JobID) {
    writer.count(jobs.count)
    var last = first
    for job in jobs {
      writer.number(job.number &- last.number)
      last = job
    }
  }

  private mutating func add(_ heartbeat: Heartbeat, of worker: WorkerID) {
    let last = heartbeats.updateValue(heartbeat, forKey: worker) ?? .silent
    var same: HeartbeatPart = []
    if heartbeat.sequence == last.sequence &+ 1 { same.insert(.sequence) }
    if heartbeat.holding == last.holding { same.insert(.holding) }
    if heartbeat.credit == last.credit { same.insert(.credit) }
    if heartbeat.training == last.training { same.insert(.training) }
    if heartbeat.standing == last.standing { same.insert(.standing) }
    writer.byte(same.rawValue)
    writer.number(heartbeat.busyMilliseconds &- last.busyMilliseconds)
    if !same.contains(.sequence) { writer.word(heartbeat.sequence) }
    if !same.contains(.holding) { add(heartbeat.holding, from: last.holding.first ?? JobID(0)) }
    if !same.contains(.credit) { writer.number(Int64(heartbeat.credit)) }
    if !same.contains(.training) { writer.count(heartbeat.training.map { $0.iteration + 1 } ?? 0) }
    if !same.contains(.standing) { add(heartbeat.standing) }
  }

  private mutating func add(_ standing: TrainingStanding?) {
    switch standing {
    case nil: writer.byte(0)
    case .preparing: writer.byte(1)
    case .failed(let reason):
      writer.byte(4)
      writer.text(reason)
    case .following(let progress):
      writer.byte(5)
      writer.word(progress.lineage)
      writer.count(progress.elements)
      writer.count(progress.step)
      writer.count(progress.kept.pieceCount)
      writer.block(progress.kept.bytes)
      writer.byte((progress.isWhole ? 1 : 0) | (progress.summed == nil ? 0 : 2))
      if let summed = progress.summed { writer.block(summed.bytes) }
    }
  }

  private mutating func add(_ report: JobReport, isKept: Bool) {
    guard isKept, case .success(let result) = report.outcome else {
      writer.byte(0)
      writer.block(encode(report))
      return
    }
    writer.byte(1)
    writer.job(report.job)
    writer.count(report.attempt)
    writer.word(UInt64(mark(of: result)))
  }

  private mutating func add(_ result: GenerationResult, isKept: Bool) {
    writer.byte(isKept ? 1 : 0)
    if isKept {
      writer.word(UInt64(mark(of: result)))
    } else {
      writer.block(encode(result))
    }
  }
}

/// Reports whose results are in the store once these effects are.
private func acceptedReports(_ effects: [Effect]) -> [JobReport] {
  effects.compactMap { effect in
    if case .persist(.accepted(let report, _)) = effect { report } else { nil }
  }
}

/// Jobs that end with a result that is in the store.
private func reusedJobs(_ effects: [Effect]) -> Set<JobID> {
  Set(
    effects.compactMap { effect in
      if case .persist(.reused(let job, _)) = effect { job } else { nil }
    })
}

/// What of a heartbeat is as in the one before.
struct HeartbeatPart: OptionSet {
  var rawValue: UInt8
  static let sequence = HeartbeatPart(rawValue: 1)
  static let holding = HeartbeatPart(rawValue: 2)
  static let credit = HeartbeatPart(rawValue: 4)
  static let training = HeartbeatPart(rawValue: 8)
  static let standing = HeartbeatPart(rawValue: 16)
}

extension Heartbeat {
  /// Before the first one.
  static let silent = Heartbeat(
    sequence: 0, holding: [], credit: 0, busyMilliseconds: 0, training: nil, standing: nil)
}

/// By which a result in the store is known for the one that was meant: FNV-1a over its words and
/// tokens, 32 bits of it.
func mark(of result: GenerationResult) -> UInt32 {
  var hash = fnv1a(result.text.utf8)
  for token in result.tokens {
    hash = fnv1a(littleEndian(UInt32(bitPattern: token)), after: hash)
  }
  return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
}
