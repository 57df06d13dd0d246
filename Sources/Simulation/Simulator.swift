import Domain
import Scheduling

/// What workers say to each other of a training.
struct PeerMessage: Hashable, Sendable {
  var training: TrainingID
  var epoch: UInt64
  var parts: [PeerPart]
}

enum PeerPart: Hashable, Sendable {
  case cell(PeerCell, cell: Int, [Float], [RankStatistics])
  case ask(StatePart, segment: Int, step: Int)
}

/// What can happen next in a history.
enum Happening {
  case toCoordinator(WorkerMessage, from: WorkerID, incarnation: Int)
  /// The coordinator's machine says that a worker's connection has ended.
  case closed(WorkerID, incarnation: Int)
  case toWorker(CoordinatorMessage, WorkerID)
  case toPeer(PeerMessage, from: WorkerID, WorkerID)
  case tick(incarnation: Int)
  case synced(incarnation: Int)
  /// The shell has done what a machine asked for.
  case answered(Event, incarnation: Int)
  case worker(WorkerID, WorkerTimer)
  case fault(FaultAction)
  case restart(Machine)
}

/// One history: a coordinator, workers, their disks and the network between them, moved through
/// simulated time by one seed.
final class Simulator {
  let seed: UInt64
  let world: World
  let bug: PlantedBug?
  let plan: FaultPlan
  var random: SeededRandom
  var now = Moment.zero
  var queue = EventQueue<Happening>()
  var network: Network
  var store: StoreModel
  var coordinator: CoordinatorProcess?
  var coordinatorStalledUntil = Moment.zero
  var diskSlowUntil = Moment.zero
  var incarnation = 0
  var workers: [SimulatedWorker]
  var workerNumbers: [String: Int] = [:]
  /// Blobs that were uploaded: weights or moments of segments, and what makes a checkpoint.
  var blobs: [Digest: [Float]] = [:]
  var manifests: [Digest: [SavedSegment]] = [:]
  var isHealed: Bool
  var completion: Completion?
  var history: History
  /// What every coordinator was handed, where that was asked for.
  var recording: [RecordedLife]?
  var leaseChecker: LeaseChecker
  var violations: [Violation] = []
  /// Results that the coordinator told a worker to forget.
  var acknowledged: Set<JobID> = []
  /// Results that were finished by a worker, and those that a committed turn has dealt with.
  var finished: [FinishedResult: Moment] = [:]
  var dealtWith: Set<FinishedResult> = []
  var events = 0
  var counts = SimulationCounts()
  /// A kill between two of the happenings of stage 1's second step.
  struct Kill {
    var worker: Int
    var boundary: Int
  }
  var kill: Kill?
  /// How many such happenings there have been.
  private(set) var boundaries = 0
  /// Of the undisturbed run; nil while that one itself is run.
  let expectedLosses: [TrainingID: [Double]]?

  struct FinishedResult: Hashable {
    var of: JobAttempt
    var worker: String
  }

  /// After the faults are healed, a run has to end within this time.
  static let boundAfterHealing = Duration.seconds(1200)

  init(
    seed: UInt64, world: World, plan: FaultPlan, workers count: Int, bug: PlantedBug? = nil,
    expectedLosses: [TrainingID: [Double]]? = nil, fingerprinted: Bool = false,
    recorded: Bool = false
  ) {
    recording = recorded ? [] : nil
    self.expectedLosses = expectedLosses
    history = History(fingerprinted: fingerprinted)
    self.seed = seed
    self.world = world
    self.bug = bug
    random = SeededRandom(seed: seed, "history")
    self.plan = plan
    network = Network(plan, seed: seed)
    store = StoreModel(bug: bug)
    leaseChecker = LeaseChecker(duration: world.settings.timing.leaseDuration)
    isHealed = false
    workers = (0..<count).map { SimulatedWorker(number: $0, slowness: plan.slowness[$0]) }
    for worker in workers { workerNumbers[worker.name] = worker.number }
  }

  /// Runs the history to its end.
  func run() {
    startCoordinator()
    for worker in workers where plan.startsWith[worker.number] { start(worker) }
    for (at, action) in plan.actions {
      queue.schedule(.fault(action), at: Moment(sinceStart: at))
    }
    let limit = Moment(sinceStart: plan.healAt + Simulator.boundAfterHealing)
    while violations.isEmpty, completion == nil, let (at, happening) = queue.next() {
      guard at <= limit else { break }
      now = at
      events += 1
      if isStalled(happening, at: at) { continue }
      history.add(at, happening)
      killAtBoundary(before: happening)
      happen(happening)
    }
    if violations.isEmpty { checkEnd() }
    counts.twins = store.twins
  }

  private func killAtBoundary(before happening: Happening) {
    guard store.trainings[.pretraining]?.stepsCommitted == 1 else { return }
    switch happening {
    case .toCoordinator, .toWorker, .toPeer, .worker, .synced: break
    case .closed, .tick, .answered, .fault, .restart: return
    }
    if let kill, kill.boundary == boundaries { end(workers[kill.worker]) }
    boundaries += 1
  }

  /// A process that stands still takes things in later, in the same order.
  private func isStalled(_ happening: Happening, at: Moment) -> Bool {
    let until: Moment
    switch happening {
    case .toCoordinator, .closed, .tick, .synced, .answered: until = coordinatorStalledUntil
    case .toWorker(_, let worker), .toPeer(_, _, let worker), .worker(let worker, _):
      until = workerNumbers[worker.name].map { workers[$0].stalledUntil } ?? .zero
    case .fault, .restart: return false
    }
    guard until > at else { return false }
    queue.schedule(happening, at: until)
    return true
  }

  private func happen(_ happening: Happening) {
    switch happening {
    case .toCoordinator(let message, let worker, let incarnation):
      guard incarnation == self.incarnation, coordinator != nil else { return }
      checkStanding(message, of: worker)
      handle(.received(message, from: worker))
    case .closed(let worker, let incarnation):
      guard incarnation == self.incarnation, coordinator != nil else { return }
      handle(.disconnected(worker))
    case .toWorker(let message, let id):
      if let worker = process(id) { hear(message, worker) }
    case .toPeer(let message, let sender, let id):
      if let worker = process(id) { hear(message, from: sender, worker) }
    case .tick(let incarnation):
      guard incarnation == self.incarnation, coordinator != nil else { return }
      handle(.tick)
      queue.schedule(
        .tick(incarnation: incarnation), at: now + world.settings.timing.tickEvery)
    case .synced(let incarnation):
      if incarnation == self.incarnation { synced() }
    case .answered(let event, let incarnation):
      guard incarnation == self.incarnation, coordinator != nil else { return }
      handle(event)
    case .worker(let id, let timer):
      if let worker = process(id) { ring(timer, worker) }
    case .fault(let action): perform(action)
    case .restart(.coordinator): startCoordinator()
    case .restart(.worker(let number)): start(workers[number])
    }
  }

  /// The process of this boot, if it runs.
  func process(_ id: WorkerID) -> SimulatedWorker? {
    guard let number = workerNumbers[id.name] else { return nil }
    let worker = workers[number]
    return worker.isRunning && worker.boot == id.boot ? worker : nil
  }

  // MARK: Faults

  private func perform(_ action: FaultAction) {
    switch action {
    case .crash(.coordinator, let restartAfter):
      guard coordinator != nil else { return }
      coordinator = nil
      counts.coordinatorCrashes += 1
      queue.schedule(.restart(.coordinator), at: now + restartAfter)
    case .crash(.worker(let number), let restartAfter):
      guard workers[number].isRunning else { return }
      end(workers[number])
      counts.workerCrashes += 1
      queue.schedule(.restart(.worker(number)), at: now + restartAfter)
    case .stop(let number): end(workers[number])
    case .breakLine(let number):
      guard workers[number].isRunning else { return }
      endConnection(of: workers[number])
      counts.linesBroken += 1
      // It is made again by itself, sooner or later than the coordinator's patience ends.
      schedule(.reconnected, for: workers[number], after: .milliseconds(20 + random.below(2000)))
    case .start(let number): start(workers[number])
    case .stall(.coordinator, let duration):
      coordinatorStalledUntil = max(coordinatorStalledUntil, now + duration)
    case .stall(.worker(let number), let duration):
      workers[number].stalledUntil = max(workers[number].stalledUntil, now + duration)
    case .cut(let from, let to, let bothWays, let duration):
      network.cut(from: from, to: to, until: now + duration)
      if bothWays { network.cut(from: to, to: from, until: now + duration) }
    case .slowDisk(let duration): diskSlowUntil = max(diskSlowUntil, now + duration)
    case .drain(let number):
      guard coordinator != nil, !isHealed else { return }
      handle(.command(.drain(worker: workers[number].name)))
    case .heal: heal()
    }
  }

  /// A process is killed: its machine closes its connections.
  func end(_ worker: SimulatedWorker) {
    if worker.isRunning { endConnection(of: worker) }
    worker.stop()
  }

  /// What was sent over the connection arrives first, if it does; through a cut line nobody learns
  /// of the end.
  private func endConnection(of worker: SimulatedWorker) {
    guard network.isOpen(from: .worker(worker.number), to: .coordinator, at: now) else { return }
    queue.schedule(
      .closed(worker.id, incarnation: incarnation),
      at: now + .milliseconds(3 + random.below(100)))
  }

  /// Nothing goes wrong from here on, and everybody is there.
  private func heal() {
    isHealed = true
    network.heal()
    diskSlowUntil = .zero
    coordinatorStalledUntil = min(coordinatorStalledUntil, now)
    if coordinator == nil { startCoordinator() }
    for worker in workers {
      worker.stalledUntil = min(worker.stalledUntil, now)
      start(worker)
    }
  }
}
