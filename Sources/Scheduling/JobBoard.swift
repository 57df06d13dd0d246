import Domain

/// How many jobs stand where, and what happened to them since the coordinator's start.
public struct JobCounts: Hashable, Sendable {
  /// Created and not settled.
  public var unsettled = 0
  public var waiting = 0
  public var leased = 0
  /// Settled in the present phase, by whatever way.
  public var settled = 0
  public var accepted = 0
  public var reused = 0
  public var failures = 0
  public var quarantined = 0
  /// Leases taken back from a worker that was lost or did not hold the job.
  public var reassigned = 0
  public var duplicatesCompared = 0
  public var duplicatesDiffering = 0

  public init() {}
}

/// A job that came to its end: with a result, or with nil when it was set aside.
struct SettledJob: Hashable, Sendable {
  var purpose: Purpose
  var result: GenerationResult?
}

/// What one turn brings about.
struct Turn {
  var effects: [Effect] = []
  /// In the order in which they came to their ends.
  var settled: [SettledJob] = []

  mutating func persist(_ change: Change) { effects.append(.persist(change)) }
  mutating func send(_ worker: WorkerID, _ message: CoordinatorMessage) {
    effects.append(.send(worker, message))
  }
  mutating func note(_ note: Note) { effects.append(.note(note)) }
}

/// Every job of the present phase: who has it, how often it was tried, how it ended.
///
/// `awaitingLookUp` → `waiting` → `leased` → `done`; a lease that ends without a result goes back to
/// `waiting`; too many failures end in `quarantined`. The first valid result wins, whichever attempt
/// it is of: results depend on the request alone. A job with the address of another follows it.
struct JobBoard: Sendable {
  enum State: Hashable, Sendable {
    case awaitingLookUp
    case waiting
    case leased(to: WorkerID, until: Moment, since: Moment)
    /// Ends as that job ends: it has the same request.
    case following(JobID)
    /// `attempt` is 0 when no worker of this phase computed it, or it is not known any more.
    case done(GenerationResult, attempt: Int)
    case quarantined(QuarantineReason)
  }

  struct Entry: Sendable {
    var job: Job
    var attempts = 0
    var failedOn: [String] = []
    /// Attempts whose failure has been counted.
    var failedAttempts: Set<Int> = []
    var failures = 0
    /// To whom the latest attempt was given.
    var holder: WorkerID?
    /// The holder has said that it holds the job.
    var listed = false
    var state: State
    var followers: [JobID] = []
  }

  private(set) var entries: [JobID: Entry] = [:]
  private(set) var open = OpenJobs()
  private(set) var counts = JobCounts()
  private(set) var created: Int64
  private var byAddress: [Digest: JobID] = [:]
  private var held: [WorkerID: Set<JobID>] = [:]
  private let limits: Limits
  private let leaseDuration: Duration

  init(created: Int64, limits: Limits, leaseDuration: Duration) {
    self.created = created
    self.limits = limits
    self.leaseDuration = leaseDuration
  }

  /// Jobs that a worker holds, in id order.
  func held(by worker: WorkerID) -> [JobID] { held[worker, default: []].sorted() }
  func heldCount(_ worker: WorkerID) -> Int { held[worker]?.count ?? 0 }
  var isSettled: Bool { counts.unsettled == 0 }

  /// The number of a job that is about to be added.
  mutating func nextID() -> JobID {
    created += 1
    return JobID(created)
  }

  /// Takes new jobs in. Those with a known address end at once or follow the one that has it.
  mutating func add(_ jobs: [Job], lookUp: Bool, _ turn: inout Turn) {
    guard !jobs.isEmpty else { return }
    turn.persist(.jobsCreated(jobs))
    var queries: [AddressQuery] = []
    for job in jobs {
      precondition(entries[job.id] == nil, "\(job.id) is added once")
      counts.unsettled += 1
      entries[job.id] = Entry(job: job, state: .awaitingLookUp)
      guard !joinEarlier(job, &turn) else { continue }
      byAddress[job.address] = job.id
      if lookUp {
        queries.append(AddressQuery(job: job.id, address: job.address))
      } else {
        putBack(job.id)
      }
    }
    if !queries.isEmpty { turn.effects.append(.request(.lookUp(queries))) }
  }

  /// Ends or links a job whose request another job of the phase has; false when there is none.
  private mutating func joinEarlier(_ job: Job, _ turn: inout Turn) -> Bool {
    guard let earlier = byAddress[job.address], earlier != job.id,
      let state = entries[earlier]?.state
    else { return false }
    switch state {
    case .done(let result, _): reuse(job.id, result, &turn)
    case .quarantined: setAside(job.id, .sameRequest(as: earlier), &turn)
    case .awaitingLookUp, .waiting, .leased, .following:
      entries[job.id]?.state = .following(earlier)
      entries[earlier]?.followers.append(job.id)
    }
    return true
  }

  /// The answer to a look-up: known results end their jobs, the others may be handed out.
  mutating func lookedUp(_ asked: [JobID], found: [KnownResult], _ turn: inout Turn) {
    let results = Dictionary(found.map { ($0.job, $0.result) }, uniquingKeysWith: { $1 })
    for job in asked.sorted() {
      guard let entry = entries[job], entry.state == .awaitingLookUp else { continue }
      if let result = results[job] {
        reuse(job, result, &turn)
      } else {
        putBack(job)
      }
    }
  }

  /// Leases jobs to a worker, up to `count`.
  mutating func lease(
    to member: Member, count: Int, workers: [String], at now: Moment, _ turn: inout Turn
  ) -> [Assignment] {
    var assignments: [Assignment] = []
    var warm = member.warm
    while assignments.count < count {
      let idle = heldCount(member.id) * 2 < max(member.capacity, 1)
      guard
        let id = open.take(
          for: member.id.name, warm: warm, cached: member.hello.models, workers: workers,
          mayTakeOver: idle),
        var entry = entries[id]
      else { break }
      entry.attempts += 1
      entry.holder = member.id
      entry.listed = false
      entry.state = .leased(to: member.id, until: now + leaseDuration, since: now)
      entries[id] = entry
      held[member.id, default: []].insert(id)
      counts.leased += 1
      counts.waiting = open.count
      warm = entry.job.request.model
      turn.persist(.leased(id, attempt: entry.attempts, to: member.id))
      assignments.append(
        Assignment(
          job: id, attempt: entry.attempts, address: entry.job.address,
          request: entry.job.request))
    }
    return assignments
  }

  /// The assignments that a worker should have, to be sent again after it came back.
  func assignments(of worker: WorkerID) -> [Assignment] {
    held(by: worker).compactMap { id in
      entries[id].map { entry in
        Assignment(
          job: id, attempt: entry.attempts, address: entry.job.address,
          request: entry.job.request)
      }
    }
  }

  /// Renews the leases of what a worker says it holds.
  ///
  /// A job whose lease ran out but that nobody else has been given stays with its holder, as the
  /// same attempt.
  /// - Returns: jobs that the worker should drop, because they are others' now, or done.
  mutating func renew(_ worker: WorkerID, holding: [JobID], at now: Moment) -> [JobID] {
    var unwanted: [JobID] = []
    for id in holding {
      guard var entry = entries[id], entry.holder == worker else {
        unwanted.append(id)
        continue
      }
      switch entry.state {
      case .leased(_, _, let since):
        entry.state = .leased(to: worker, until: now + leaseDuration, since: since)
        entry.listed = true
        entries[id] = entry
      case .waiting:
        open.remove(id)
        entry.state = .leased(to: worker, until: now + leaseDuration, since: now)
        entry.listed = true
        entries[id] = entry
        held[worker, default: []].insert(id)
        counts.leased += 1
        counts.waiting = open.count
      case .awaitingLookUp, .following, .done, .quarantined: unwanted.append(id)
      }
    }
    return unwanted
  }

  /// Takes back every lease of a worker that is no longer there.
  mutating func release(_ worker: WorkerID, _ turn: inout Turn) {
    for id in held(by: worker) { takeBack(id, &turn) }
    held[worker] = nil
  }

  /// Takes back every lease under this name but of another boot.
  mutating func releaseOtherBoots(of worker: WorkerID, _ turn: inout Turn) {
    let others = held.keys.filter { $0.name == worker.name && $0 != worker }.sorted()
    for other in others { release(other, &turn) }
  }

  /// Takes back what ran out.
  /// - Returns: for each worker that never listed a job it was given, how many.
  mutating func expire(at now: Moment, _ turn: inout Turn) -> [WorkerID: Int] {
    var missed: [WorkerID: Int] = [:]
    for worker in held.keys.sorted() {
      for id in held(by: worker) {
        guard let entry = entries[id], case .leased(_, let until, _) = entry.state, until <= now
        else { continue }
        if !entry.listed { missed[worker, default: 0] += 1 }
        takeBack(id, &turn)
      }
    }
    return missed
  }

  /// Forgets the settled jobs of a phase that is over; nothing may be unsettled.
  mutating func retire() {
    precondition(isSettled, "a phase ends when all its jobs have ended")
    entries = [:]
    byAddress = [:]
    held = [:]
    open.forgetHomes()
    counts.settled = 0
  }

  /// A worker is gone for good: its pictures may be anybody's.
  mutating func makeHomeless(_ name: String) { open.makeHomeless(name) }
}

// MARK: Ends

extension JobBoard {
  /// Takes in a report; afterwards the worker may be told to forget it.
  mutating func report(_ report: JobReport, from worker: WorkerID, _ turn: inout Turn) {
    guard let entry = entries[report.job] else {
      if report.job.number > created || report.job.number < 1 {
        turn.note(.nonsense(worker, .unknownJob(report.job)))
      }
      return
    }
    guard report.address == entry.job.address else {
      turn.note(.nonsense(worker, .addressMismatch(report.job)))
      return
    }
    guard (1...max(1, entry.attempts)).contains(report.attempt), entry.attempts > 0 else {
      turn.note(.nonsense(worker, .attemptNeverMade(report.job, attempt: report.attempt)))
      return
    }
    switch report.outcome {
    case .success(let result): succeeded(entry, result, report, from: worker, &turn)
    case .failure(let failure): failed(entry, failure, report, from: worker, &turn)
    }
  }

  private mutating func succeeded(
    _ entry: Entry, _ result: GenerationResult, _ report: JobReport, from worker: WorkerID,
    _ turn: inout Turn
  ) {
    switch entry.state {
    case .done(let accepted, let attempt):
      guard attempt != report.attempt else { return }
      let equal = accepted == result
      counts.duplicatesCompared += 1
      turn.persist(.duplicate(report, from: worker, equal: equal))
      if !equal {
        counts.duplicatesDiffering += 1
        turn.note(.twinDiffers(report.job, from: worker))
      }
    case .quarantined: return
    case .awaitingLookUp, .waiting, .leased, .following:
      turn.persist(.accepted(report, from: worker))
      counts.accepted += 1
      end(report.job, .done(result, attempt: report.attempt))
      turn.settled.append(SettledJob(purpose: entry.job.purpose, result: result))
      for follower in entry.followers { reuse(follower, result, &turn) }
    }
  }

  /// A failure of an older attempt is counted, but does not touch the lease of the present one.
  private mutating func failed(
    _ entry: Entry, _ failure: JobFailure, _ report: JobReport, from worker: WorkerID,
    _ turn: inout Turn
  ) {
    switch entry.state {
    case .done, .quarantined: return
    case .awaitingLookUp, .waiting, .leased, .following: break
    }
    guard !entry.failedAttempts.contains(report.attempt) else { return }
    counts.failures += 1
    turn.persist(.failed(report, from: worker))
    turn.note(.failed(report.job, on: worker, failure))
    var changed = entry
    changed.failedAttempts.insert(report.attempt)
    changed.failures += 1
    if !changed.failedOn.contains(worker.name) { changed.failedOn.append(worker.name) }
    let isPresent = report.attempt == entry.attempts
    if isPresent { changed.holder = nil }
    entries[report.job] = changed
    if changed.failedOn.count >= limits.failedWorkersMax {
      setAside(report.job, .failedOn(workers: changed.failedOn.sorted()), &turn)
    } else if changed.failures >= limits.failuresMax {
      setAside(report.job, .failures(changed.failures), &turn)
    } else {
      switch entry.state {
      case .leased:
        guard isPresent else { return }
        giveUpLease(report.job)
        putBack(report.job)
      case .waiting:
        open.remove(report.job)
        putBack(report.job)
      case .awaitingLookUp, .following, .done, .quarantined: return
      }
    }
  }

  private mutating func reuse(_ id: JobID, _ result: GenerationResult, _ turn: inout Turn) {
    guard let entry = entries[id] else { return }
    turn.persist(.reused(id, address: entry.job.address))
    counts.reused += 1
    end(id, .done(result, attempt: 0))
    turn.settled.append(SettledJob(purpose: entry.job.purpose, result: result))
    for follower in entry.followers { reuse(follower, result, &turn) }
  }

  private mutating func setAside(_ id: JobID, _ reason: QuarantineReason, _ turn: inout Turn) {
    guard let entry = entries[id] else { return }
    turn.persist(.quarantined(id))
    turn.note(.quarantined(id, reason))
    counts.quarantined += 1
    end(id, .quarantined(reason))
    turn.settled.append(SettledJob(purpose: entry.job.purpose, result: nil))
    for follower in entry.followers { setAside(follower, .sameRequest(as: id), &turn) }
  }

  private mutating func end(_ id: JobID, _ state: State) {
    giveUpLease(id)
    open.remove(id)
    entries[id]?.state = state
    entries[id]?.followers = []
    counts.unsettled -= 1
    counts.settled += 1
    counts.waiting = open.count
  }

  private mutating func giveUpLease(_ id: JobID) {
    guard case .leased(let worker, _, _) = entries[id]?.state else { return }
    held[worker]?.remove(id)
    counts.leased -= 1
  }

  /// A lease ended without a word of its worker.
  private mutating func takeBack(_ id: JobID, _ turn: inout Turn) {
    giveUpLease(id)
    counts.reassigned += 1
    if let attempts = entries[id]?.attempts, attempts >= limits.attemptsMax {
      setAside(id, .attempts(attempts), &turn)
    } else {
      putBack(id)
    }
  }

  private mutating func putBack(_ id: JobID) {
    guard var entry = entries[id] else { return }
    entry.state = .waiting
    entries[id] = entry
    open.insert(entry.job, failedOn: entry.failedOn)
    counts.waiting = open.count
  }
}

// MARK: After a restart

extension JobBoard {
  /// Takes jobs in as the store knows them, before anything else happens; in id order.
  ///
  /// A lease is honoured for one lease's duration, so that its worker can come back and say that it
  /// holds the job. Jobs that waited for a look-up wait for it again.
  /// - Returns: the jobs that had ended, in id order.
  mutating func restore(
    _ jobs: [RestoredJob], lookUp: Bool, at now: Moment, _ turn: inout Turn
  ) -> [SettledJob] {
    var settled: [SettledJob] = []
    var queries: [AddressQuery] = []
    for restored in jobs {
      let job = restored.job
      var entry = Entry(job: job, attempts: restored.attempts, state: .awaitingLookUp)
      entry.failures = restored.failedOn.count
      for name in restored.failedOn where !entry.failedOn.contains(name) {
        entry.failedOn.append(name)
      }
      entries[job.id] = entry
      counts.unsettled += 1
      switch restored.state {
      case .done(let result):
        end(job.id, .done(result, attempt: 0))
        settled.append(SettledJob(purpose: job.purpose, result: result))
      case .quarantined:
        end(job.id, .quarantined(.failures(entry.failures)))
        settled.append(SettledJob(purpose: job.purpose, result: nil))
      case .leased(let worker):
        entries[job.id]?.holder = worker
        entries[job.id]?.state = .leased(to: worker, until: now + leaseDuration, since: now)
        held[worker, default: []].insert(job.id)
        counts.leased += 1
      case .open:
        guard !joinEarlier(job, &turn) else { continue }
        if lookUp, restored.attempts == 0 {
          queries.append(AddressQuery(job: job.id, address: job.address))
        } else {
          putBack(job.id)
        }
      }
      if byAddress[job.address] == nil { byAddress[job.address] = job.id }
    }
    if !queries.isEmpty { turn.effects.append(.request(.lookUp(queries))) }
    return settled
  }
}
