import Distillation
public import Domain

/// All decisions of a run: who takes part, which job goes to whom, when a phase is over, when a
/// step of a training counts.
///
/// Pure: no clock, no sockets, no randomness of its own. The same events at the same moments give
/// the same effects, and after a crash a machine made from the store goes on where the run stood.
///
/// The parts: `Membership` (who is there), `JobBoard` (jobs and leases), `RunState` (the method's
/// phases and pools), `TrainingMachine` (one training). Each is a value with decisions of its own;
/// this one connects them.
public struct RunMachine: Sendable {
  let settings: RunSettings
  let address: @Sendable (GenerationRequest) -> Digest
  var clock: ObserverClock
  var membership: Membership
  var board: JobBoard
  var state: RunState
  var training: TrainingMachine?
  var input: RunInput?
  var isPaused = false
  /// Members that are to leave, and have not been told yet: a training may need them a while.
  var leaving: Set<WorkerID> = []
  /// Names of workers that were lost, or not heard since a restart, of which no later process is
  /// known: the one that was there may return with all that it had.
  var away: Set<String>
  /// What the present phase will ask when jobs run short.
  var backlog = Backlog()
  /// Names of members that may take jobs and have been given none when last asked.
  var hungry: Set<String> = []
  /// Names of the members that may take jobs, in their order; nil: to be looked for.
  var takers: [String]?
  var rates = RateMeter()
  /// What the store knew; used up when the first event arrives.
  private var restored: RestoredRun?

  /// - Parameters:
  ///   - restored: `RestoredRun()` for a new run, otherwise what the store gives.
  ///   - revoked: names that may not take part.
  ///   - address: SHA-256 of a request's canonical bytes.
  public init(
    settings: RunSettings, restored: RestoredRun, revoked: Set<String> = [],
    address: @escaping @Sendable (GenerationRequest) -> Digest, at now: Moment
  ) {
    self.settings = settings
    self.address = address
    self.restored = restored
    clock = ObserverClock(tickEvery: settings.timing.tickEvery, at: now)
    membership = Membership(revoked: revoked, kernelSet: settings.kernelSet)
    board = JobBoard(
      created: max(restored.jobsCreated, restored.jobs.last?.job.id.number ?? 0),
      limits: settings.limits, timing: settings.timing)
    state = RunState(settings: settings, restored: restored)
    away = Set(restored.present).subtracting(revoked)
  }

  /// What follows from an event. See `Effect` for the order in which it is to be done.
  public mutating func handle(_ event: Event, at moment: Moment) -> [Effect] {
    var turn = Turn()
    if let stall = clock.advance(to: moment) { turn.note(.observerStalled(stall)) }
    let now = clock.now
    switch event {
    case .prepared(let input, let pool): prepared(input, pool, at: now, &turn)
    case .received(let message, let worker): received(message, from: worker, at: now, &turn)
    case .disconnected(let worker): disconnected(worker, at: now, &turn)
    case .tick: tick(at: now, &turn)
    case .lookedUp(let asked, let found): board.lookedUp(asked, found: found, &turn)
    case .recalled(let report, let worker, let accepted):
      board.recalled(report, from: worker, accepted, &turn)
    case .datasetBuilt(let training, let dataset, let samples):
      datasetBuilt(training, dataset, samples: samples, at: now, &turn)
    case .manifestWritten(let id, let checkpoint):
      if training?.plan.training == id { training?.saved(checkpoint, &turn) }
    case .evaluationScored(let score): evaluationScored(score, &turn)
    case .command(let command): perform(command, at: now, &turn)
    }
    advance(at: now, &turn)
    // Everything that was there before a restart has been taken in.
    if !state.asked.isEmpty { state.asked = [] }
    return turn.effects
  }

  /// Lets everything follow that the event made possible, until nothing more does.
  private mutating func advance(at now: Moment, _ turn: inout Turn) {
    guard input != nil else { return }
    var moved = true
    while moved {
      while !turn.settled.isEmpty { takeIn(&turn) }
      advanceTraining(at: now, &turn)
      moved = askMore(&turn) || endPhase(at: now, &turn)
    }
    if !leaving.isEmpty { letGo(&turn) }
    dispatch(at: now, &turn)
  }

  private mutating func prepared(
    _ input: RunInput, _ pool: [Instruction], at now: Moment, _ turn: inout Turn
  ) {
    guard self.input == nil, let restored else { return }
    self.input = input
    self.restored = nil
    switch state.phase {
    case .preparing:
      state.importPool(pool)
      turn.persist(.instructionsAdded(pool, iteration: 1))
    case .pretraining, .answering, .tuning, .evaluating, .assessing, .augmenting, .finished:
      resume(restored, at: now, &turn)
    }
  }

  private mutating func tick(at now: Moment, _ turn: inout Turn) {
    takers = nil
    let judged = membership.judgeSilence(
      at: now, timing: settings.timing, patience: clock.patience)
    for (worker, silence) in judged.suspected {
      turn.note(.suspected(worker, silence: silence))
      board.makeHomeless(worker.name)
    }
    for (worker, departure) in judged.gone { leave(worker, departure, &turn) }
    for (worker, count) in board.expire(at: now, &turn).sorted(by: { $0.key < $1.key }) {
      holdBack(worker, missed: count, at: now)
    }
    speculate(at: now, &turn)
    rates.sample(settled: board.counts.settled, at: now)
    hungry.formUnion(membership.names)
  }

  /// At the end of a phase, workers with nothing to do try what others are late with.
  private mutating func speculate(at now: Moment, _ turn: inout Turn) {
    guard !isPaused, backlog.isEmpty else { return }
    let idle = membership.ids.filter { worker in
      mayTakeJobs(worker.name, at: now) && board.heldCount(worker) == 0
        && (membership[worker]?.capacity ?? 0) > 0
    }
    guard !idle.isEmpty else { return }
    var late = board.late(at: now)[...]
    for worker in idle {
      guard let member = membership[worker] else { continue }
      var assignments: [Assignment] = []
      // Each idle worker its share, the latest ones first.
      let share = max(1, late.count / idle.count)
      var passed: [JobID] = []
      while assignments.count < min(share, member.capacity), let id = late.popFirst() {
        if let twin = board.speculate(id, on: worker, at: now, &turn) {
          assignments.append(twin)
        } else {
          passed.append(id)
        }
      }
      late = passed + late
      if !assignments.isEmpty { turn.send(worker, .assign(assignments)) }
    }
  }

  /// Hands out jobs to every worker that can take some, evenly when they run short.
  private mutating func dispatch(at now: Moment, _ turn: inout Turn) {
    guard !isPaused, !board.open.isEmpty, !hungry.isEmpty else { return }
    let takers = takers ?? membership.names.filter { mayTakeJobs($0, at: now) }
    self.takers = takers
    guard !takers.isEmpty else { return }
    let share = max(1, (board.open.count + board.counts.leased) / takers.count)
    for name in hungry.sorted() where mayTakeJobs(name, at: now) && !board.open.isEmpty {
      guard let member = membership.members[name] else { continue }
      let holds = board.heldCount(member.id)
      let wanted = min(member.capacity, settings.limits.creditMax, share) - holds
      let assignments =
        wanted > 0
        ? board.lease(to: member, count: wanted, workers: takers, at: now, &turn) : []
      // It has what it may have, or nothing here is for it: until it says something, or a tick.
      if assignments.count >= wanted || assignments.isEmpty { hungry.remove(name) }
      guard let last = assignments.last else { continue }
      membership.update(member.id) { $0.warm = last.request.model }
      turn.send(member.id, .assign(assignments))
    }
  }

  func mayTakeJobs(_ name: String, at now: Moment) -> Bool {
    guard let member = membership.members[name] else { return false }
    return member.health == .alive && !member.draining && member.heldBackUntil <= now
  }

  /// A worker that is given jobs but never says it holds them may not hear us: it gets work at
  /// growing intervals only.
  private mutating func holdBack(_ worker: WorkerID, missed: Int, at now: Moment) {
    let timing = settings.timing
    takers = nil
    board.makeHomeless(worker.name)
    membership.update(worker) { member in
      member.missedLeases += missed
      let doublings = min(member.missedLeases, 5)
      member.heldBackUntil = now + timing.heartbeatEvery * (1 << doublings)
    }
  }
}
