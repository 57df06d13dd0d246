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
  /// Leases taken back from a worker that was lost, did not hold the job or was stuck in it.
  public var reassigned = 0
  /// Jobs that a second worker was given as well, because the first one was late.
  public var speculated = 0
  public var duplicatesCompared = 0
  public var duplicatesDiffering = 0

  public init() {}
}

/// A job that came to its end: with its result's text, or with nil when it was set aside.
struct SettledJob: Hashable, Sendable {
  var purpose: Purpose
  var text: String?
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

/// Every job of the present phase that has no result: who has it, how often it was tried, why it
/// was set aside.
///
/// `awaitingLookUp` → `waiting` → `leased` → gone; a lease that ends without a result goes back to
/// `waiting`; too many failures end in `quarantined`. The first valid result wins, whichever
/// attempt it is of: results depend on the request alone. With its result a job leaves the board,
/// whose size so depends on what is under way and not on what was done. A job with the address of
/// another follows it.
///
/// A job has one lease, or two when the first one's worker is late at the end of a phase.
struct JobBoard: Sendable {
  enum State: Hashable, Sendable {
    case awaitingLookUp
    case waiting
    case leased
    /// Ends as that job ends: it has the same request.
    case following(JobID)
    case quarantined(QuarantineReason)
  }

  /// A worker's hold on a job, until it is renewed or runs out.
  struct Lease: Hashable, Sendable {
    let worker: WorkerID
    let attempt: Int
    let since: Moment
    var until: Moment
    /// The worker has said that it holds the job.
    var listed = false

    mutating func renew(until: Moment) {
      self.until = until
      listed = true
    }
  }

  struct Entry: Sendable {
    var job: Job
    /// Names of the workers to which it was given, one for each attempt.
    var givenTo: [String] = []
    var attempts: Int { givenTo.count }
    var failedOn: [String] = []
    /// Attempts whose failure has been counted.
    var failedAttempts: Set<Int> = []
    var failures = 0
    /// Workers on which it was stuck.
    var stuckOn: [String] = []
    /// Workers that were lost while they held it, and those of them that held nothing else.
    var lostWith = 0
    var lostAlone = 0
    /// To whom the latest attempt was given.
    var holder: WorkerID?
    /// Who has leases of it, in the order of their attempts; not empty exactly when it is leased.
    var holders: [WorkerID] = []
    var state: State
    var followers: [JobID] = []
  }

  var entries: [JobID: Entry] = [:]
  var open = OpenJobs()
  var counts = JobCounts()
  private(set) var created: Int64
  /// Of each address the first job that has it.
  var byAddress: [Digest: JobID] = [:]
  /// Apart from the jobs: heartbeats renew leases, and find nothing else that they have to touch.
  var held: [WorkerID: [JobID: Lease]] = [:]
  /// Jobs with which so many workers were lost that they may be what kills them.
  var suspects: Set<JobID> = []
  var paces: [PaceKey: Pace] = [:]
  let limits: Limits
  let timing: Timing

  /// What jobs' times are compared within; no worker: all.
  struct PaceKey: Hashable, Sendable {
    var worker: String?
    var model: Digest
  }

  init(created: Int64, limits: Limits, timing: Timing) {
    self.created = created
    self.limits = limits
    self.timing = timing
  }

  /// Jobs that a worker holds, in id order.
  func held(by worker: WorkerID) -> [JobID] { held[worker]?.keys.sorted() ?? [] }
  /// In the order of their attempts.
  func leases(of id: JobID) -> [Lease] {
    entries[id]?.holders.compactMap { held[$0]?[id] } ?? []
  }
  func heldCount(_ worker: WorkerID) -> Int { held[worker]?.count ?? 0 }
  var isSettled: Bool { counts.unsettled == 0 }

  /// The number of a job that is about to be added.
  mutating func nextID() -> JobID {
    created += 1
    return JobID(created)
  }

  /// Takes new jobs in. Those with the address of another follow it, or are set aside as it was.
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

  /// Links a job whose request another job of the phase has; false when there is none.
  mutating func joinEarlier(_ job: Job, _ turn: inout Turn) -> Bool {
    guard let earlier = byAddress[job.address], earlier != job.id,
      let state = entries[earlier]?.state
    else { return false }
    switch state {
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
    if !suspects.isEmpty, held[member.id]?.keys.contains(where: isSuspect) == true { return [] }
    while assignments.count < count {
      let idle = heldCount(member.id) * 2 < max(member.capacity, 1)
      guard
        let id = open.take(
          for: member.id.name, warm: warm, cached: member.hello.models, workers: workers,
          mayTakeOver: idle, holdsNothing: heldCount(member.id) == 0),
        let assignment = give(id, to: member.id, at: now, &turn)
      else { break }
      warm = assignment.request.model
      assignments.append(assignment)
      if isSuspect(id) { break }
    }
    return assignments
  }

  /// Workers were lost with it: it may be what kills them, and is done with nothing beside it.
  func isSuspect(_ id: JobID) -> Bool { suspects.contains(id) }

  /// A new attempt at a job, beside one that runs if there is one.
  mutating func give(
    _ id: JobID, to worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) -> Assignment? {
    guard var entry = entries[id] else { return nil }
    entry.givenTo.append(worker.name)
    let attempt = entry.attempts
    entries[id] = entry
    hold(id, worker, attempt: attempt, at: now)
    turn.persist(.leased(id, attempt: attempt, to: worker))
    return Assignment(
      job: id, attempt: attempt, address: entry.job.address, request: entry.job.request)
  }

  /// Notes a lease.
  mutating func hold(_ id: JobID, _ worker: WorkerID, attempt: Int, at now: Moment) {
    guard var entry = entries[id] else { return }
    if entry.holders.isEmpty { counts.leased += 1 }
    entry.holders.append(worker)
    entry.holder = worker
    entry.state = .leased
    entries[id] = entry
    held[worker, default: [:]][id] = Lease(
      worker: worker, attempt: attempt, since: now, until: now + timing.leaseDuration)
    counts.waiting = open.count
  }

  /// The assignments that a worker should have, to be sent again after it came back.
  func assignments(of worker: WorkerID) -> [Assignment] {
    held(by: worker).compactMap { id in
      guard let entry = entries[id], let lease = held[worker]?[id] else { return nil }
      return Assignment(
        job: id, attempt: lease.attempt, address: entry.job.address,
        request: entry.job.request)
    }
  }

  /// Renews the leases of what a worker says it holds.
  ///
  /// A job whose lease ran out but that nobody else has been given stays with its holder, as the
  /// same attempt.
  /// - Returns: jobs that the worker should drop, because they are others' now, or done.
  mutating func renew(_ worker: WorkerID, holding: [JobID], at now: Moment) -> [JobID] {
    var others: [JobID] = []
    // Set aside while it changes, so that it is changed in place.
    var leases = held.removeValue(forKey: worker) ?? [:]
    for id in holding where leases[id]?.renew(until: now + timing.leaseDuration) == nil {
      others.append(id)
    }
    if !leases.isEmpty { held[worker] = leases }
    return others.filter { id in
      guard let entry = entries[id], entry.state == .waiting, entry.holder == worker,
        !entry.stuckOn.contains(worker.name)
      else { return true }
      open.remove(id)
      hold(id, worker, attempt: entry.attempts, at: now)
      held[worker]?[id]?.renew(until: now + timing.leaseDuration)
      return false
    }
  }

  /// Takes back every lease of a worker that is no longer there.
  ///
  /// - Parameter isLoss: it did not leave: its process may have died of what it held.
  mutating func release(_ worker: WorkerID, isLoss: Bool, _ turn: inout Turn) {
    let jobs = held(by: worker)
    for id in jobs where isLoss {
      guard let lease = held[worker]?[id], lease.listed else { continue }
      entries[id]?.lostWith += 1
      if let lost = entries[id]?.lostWith, lost >= limits.lostWithMax { suspects.insert(id) }
      if jobs.count == 1 { entries[id]?.lostAlone += 1 }
    }
    for id in jobs { takeBack(id, from: worker, &turn) }
    held[worker] = nil
  }

  /// Takes back every lease under this name but of another boot.
  mutating func releaseOtherBoots(of worker: WorkerID, _ turn: inout Turn) {
    let others = held.keys.filter { $0.name == worker.name && $0 != worker }.sorted()
    for other in others { release(other, isLoss: true, &turn) }
  }

  /// Takes back what ran out, and what a worker holds for many times as long as it usually takes
  /// there: it lives, and is stuck in this job.
  /// - Returns: for each worker that never listed a job it was given, how many.
  mutating func expire(at now: Moment, _ turn: inout Turn) -> [WorkerID: Int] {
    var missed: [WorkerID: Int] = [:]
    for worker in held.keys.sorted() {
      var ending: [(id: JobID, lease: Lease)] = []
      for (id, lease) in held[worker] ?? [:]
      where lease.until <= now || now - lease.since >= timing.stuckAfter {
        ending.append((id, lease))
      }
      for (id, lease) in ending.sorted(by: { $0.id < $1.id }) {
        if lease.until <= now {
          if !lease.listed { missed[worker, default: 0] += 1 }
          takeBack(id, from: worker, &turn)
        } else if let entry = entries[id], let usual = usual(entry.job, on: worker),
          now - lease.since >= usual * Self.stuckRatio
        {
          turn.note(.stuck(id, on: worker, for: now - lease.since, usual: usual))
          if !entry.stuckOn.contains(worker.name) { entries[id]?.stuckOn.append(worker.name) }
          turn.send(worker, .cancel([id]))
          takeBack(id, from: worker, &turn)
        }
      }
    }
    return missed
  }

  /// A worker is stuck in a job after so many times the longest usual time.
  private static let stuckRatio = 8.0

  /// Forgets a phase that is over; nothing may be unsettled.
  mutating func retire() {
    precondition(isSettled, "a phase ends when all its jobs have ended")
    entries = [:]
    byAddress = [:]
    held = [:]
    suspects = []
    open.forgetHomes()
    counts.settled = 0
  }

  /// A worker is not to be counted on: its pictures may be anybody's.
  mutating func makeHomeless(_ name: String) { open.makeHomeless(name) }
}
