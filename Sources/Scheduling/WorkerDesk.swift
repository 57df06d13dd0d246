public import Domain

/// The jobs of one worker: those it was given, those it computes, and the results that the
/// coordinator has not acknowledged yet.
///
/// It decides only. Its owner computes what has begun, has a result on the disk before he sends it,
/// and takes it off the disk when it has been acknowledged. What the coordinator says may come
/// late, twice, or in another order.
public struct WorkerDesk: Sendable {
  /// Given and not begun, in the order they came.
  private var waiting: [Assignment] = []
  /// Computed now; all of one model.
  private var running: [JobID: Assignment] = [:]
  /// The model of those that run, and how many have begun since others ran.
  private var turn: (model: ServedModel, begun: Int)?
  private var unacknowledged: [JobAttempt: JobReport]

  /// - Parameter unacknowledged: what the disk still has of an earlier process.
  public init(unacknowledged: [JobReport] = []) {
    self.unacknowledged = Dictionary(
      unacknowledged.map { ($0.jobAttempt, $0) }, uniquingKeysWith: { $1 })
  }

  /// Jobs that were given and not finished, in id order.
  public var holding: [JobID] { (waiting.map(\.job) + running.keys).sorted() }

  /// To be sent after every welcome; in the order of jobs and attempts.
  public var toOffer: [JobReport] {
    unacknowledged.sorted { $0.key < $1.key }.map(\.value)
  }

  /// Nothing to do, and nothing that only this worker has.
  public var isClear: Bool { waiting.isEmpty && running.isEmpty && unacknowledged.isEmpty }

  /// The job as it was last assigned, while it is computed.
  public func running(_ job: JobID) -> Assignment? { running[job] }

  /// Whether jobs are computed besides those that have ended.
  public func isComputing(beside ended: [JobReport]) -> Bool { running.count > ended.count }

  /// Takes assignments in; a job that is held already goes on under the higher attempt.
  /// - Returns: results that answer some of them, to be sent again.
  public mutating func take(_ assignments: [Assignment]) -> [JobReport] {
    var known: [JobReport] = []
    for assignment in assignments {
      let job = assignment.job
      if let report = answer(to: assignment) {
        known.append(report)
      } else if let held = running[job] {
        running[job]?.attempt = max(held.attempt, assignment.attempt)
      } else if let place = waiting.firstIndex(where: { $0.job == job }) {
        waiting[place].attempt = max(waiting[place].attempt, assignment.attempt)
      } else {
        waiting.append(assignment)
      }
    }
    return known
  }

  /// A success of any attempt answers: results depend on the request alone. A failure answers for
  /// its own attempt only, as the next one may have better luck.
  private func answer(to assignment: Assignment) -> JobReport? {
    let own = unacknowledged[JobAttempt(assignment.job, attempt: assignment.attempt)]
    return own ?? toOffer.last { $0.job == assignment.job && $0.isSuccess }
  }

  /// Jobs that join others of their model, one after the other, before another model that waits
  /// has its turn.
  public static let turnMax = 128

  /// Begins the next jobs, in the order they came, so that at most `most` run, all of one model.
  ///
  /// Jobs join those that run already, but while another model waits only `turnMax` in a row: its
  /// turn comes when those have ended.
  public mutating func begin(_ most: Int) -> [Assignment] {
    if running.isEmpty { turn = waiting.first.map { ($0.request.served, 0) } }
    guard let (model, begun) = turn else { return [] }
    let othersWait = waiting.contains { $0.request.served != model }
    let room = min(most - running.count, othersWait ? Self.turnMax - begun : .max)
    let next = Array(waiting.filter { $0.request.served == model }.prefix(max(0, room)))
    let taken = Set(next.map(\.job))
    waiting.removeAll { taken.contains($0.job) }
    for assignment in next { running[assignment.job] = assignment }
    turn = (model, othersWait ? begun + next.count : 0)
    return next
  }

  /// Drops jobs that are not wanted any more. A finished one stays until it is acknowledged.
  public mutating func cancel(_ jobs: [JobID]) {
    let unwanted = Set(jobs)
    waiting.removeAll { unwanted.contains($0.job) }
    for job in jobs { running[job] = nil }
  }

  /// Jobs have ended.
  /// - Returns: what is to be kept on the disk and then sent: no jobs that were cancelled, and each
  ///   under the attempt that was given out last.
  public mutating func finish(_ reports: [JobReport]) -> [JobReport] {
    let wanted = reports.compactMap { report -> JobReport? in
      guard let assignment = running.removeValue(forKey: report.job) else { return nil }
      var report = report
      report.attempt = assignment.attempt
      return report
    }
    for report in wanted { unacknowledged[report.jobAttempt] = report }
    return wanted
  }

  /// The coordinator has these for good. Another attempt at the same job stays: a late or repeated
  /// acknowledgement knows nothing of it.
  /// - Returns: those that were here, to be taken off the disk.
  public mutating func acknowledged(_ attempts: [JobAttempt]) -> [JobAttempt] {
    attempts.filter { unacknowledged.removeValue(forKey: $0) != nil }
  }
}
