import Dispatch
import Domain
import Executors
import Foundation
import Journal
import Logging
import Protocol
import Scheduling
import Store
import Transport

/// Owns the run's machine: one event at a time, persist, then send.
///
/// An actor on a thread of its own, because every turn may wait for the disk. The sockets' loop
/// awaits each batch of messages here, so a slow disk is back-pressure at the socket.
actor ClusterLoop {
  private let executor = ThreadExecutor(label: "coordinator")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private var machine: RunMachine
  private let store: RunStore
  private let control: MessageServer
  private let log: Logger
  private let start = ContinuousClock.now
  private let sweeper = DispatchQueue(label: "sweeper")
  /// Work that the loop hands out: see `Scheduling.Request`.
  private let requests: AsyncStream<Request>.Continuation
  private var recorder: Recorder

  private var connections: [WorkerID: ConnectionID] = [:]
  private var workers: [ConnectionID: WorkerID] = [:]
  /// Messages of each worker, by name, that were dropped because they made no sense.
  private var dropped: [String: Int] = [:]
  /// What happened last, for the operator.
  private var recent: [StatusReport.Happening] = []
  private static let recentMax = 12

  init(
    machine: consuming RunMachine, store: RunStore, control: MessageServer,
    requests: AsyncStream<Request>.Continuation, recorder: consuming Recorder = .none, log: Logger
  ) {
    self.machine = machine
    self.store = store
    self.control = control
    self.requests = requests
    self.recorder = recorder
    self.log = log
  }

  private var now: Moment { Moment(sinceStart: ContinuousClock.now - start) }

  /// The one way into the machine: what it is handed is recorded with what follows.
  private func decide(_ event: Event) -> [Effect] {
    let now = now
    let effects = machine.handle(event, at: now)
    recorder.add(event, at: now, effects)
    return effects
  }

  /// Messages from the control socket, in their order; one transaction for all of them.
  func receive(_ events: [ServerEvent]) throws {
    var effects: [Effect] = []
    for event in events {
      switch event {
      case .message(let incoming): effects += handle(incoming)
      case .undeliverable(let connection, _): forget(connection)
      case .closed(let connection):
        guard let worker = workers[connection] else { continue }
        let isLatest = connections[worker] == connection
        forget(connection)
        if isLatest { effects += decide(.disconnected(worker)) }
      }
    }
    try perform(effects)
  }

  func tick() throws {
    let effects = decide(.tick)
    recorder.noteSometimes(machine, at: now)
    flush()
    try perform(effects)
  }

  /// An answer to a request, or an operator's command.
  func turn(_ event: Event) throws { try perform(decide(event)) }

  /// Ends the recording of what the machine is handed.
  func finishRecording() { recorder.close(machine, log) }

  private func flush() {
    if let why = recorder.flush() {
      log.warning("the journal ends here, the run goes on: \(why)")
      tell("the journal ends here: \(why)")
    }
  }

  func status() -> StatusReport {
    StatusReport(
      machine.snapshot(at: now), why: machine.explain(.phase, at: now).description,
      recent: recent, dropped: dropped, journalEnd: recorder.end)
  }

  func explain(_ subject: ExplanationSubject) -> Explanation {
    machine.explain(subject, at: now)
  }

  private func handle(_ incoming: Incoming) -> [Effect] {
    let message: WorkerMessage
    do {
      guard incoming.frames.count == 1 else {
        throw ProtocolError.malformed(
          message: "\(incoming.frames.count) frames where 1 is expected")
      }
      message = try decodeWorkerMessage(incoming.frames[0].bytes)
    } catch {
      drop("from \(incoming.peer): \(error)", of: incoming.peer)
      return []
    }
    if case .hello(let hello) = message {
      // The key decides who somebody is; what he calls himself must agree.
      guard hello.worker.name == incoming.peer else {
        drop(
          "from \(incoming.peer): a hello under the name \(hello.worker.name)", of: incoming.peer)
        return []
      }
      connections[hello.worker] = incoming.connection
      workers[incoming.connection] = hello.worker
    }
    guard let worker = workers[incoming.connection] else {
      // A worker of before our restart, or a new connection: it is asked who it is.
      send(.helloWanted, on: incoming.connection)
      return []
    }
    return decide(.received(message, from: worker))
  }

  private func forget(_ connection: ConnectionID) {
    guard let worker = workers.removeValue(forKey: connection) else { return }
    if connections[worker] == connection { connections[worker] = nil }
  }

  /// Commits what must be durable, then does the rest in order.
  private func perform(_ effects: [Effect]) throws {
    var effects = effects
    while !effects.isEmpty {
      let changes = effects.compactMap { effect -> Change? in
        if case .persist(let change) = effect { change } else { nil }
      }
      if !changes.isEmpty {
        // What leads to a change is out of this process's hands before the change is.
        flush()
        try store.commit(changes, machineEvents: recorder.events)
        for change in changes { log.trace("durable: \(change.words)") }
        if changes.contains(where: \.makesStatesOld) { removeOldStates() }
      }
      var following: [Effect] = []
      for effect in effects { following += try act(on: effect) }
      effects = following
    }
  }

  /// On a queue of its own: files of gigabytes take their time to go.
  private func removeOldStates() {
    sweeper.async { [store, log] in
      do {
        try store.removeOldStates()
      } catch {
        log.warning("states of older steps could not be removed: \(error)")
      }
    }
  }

  /// Returns when nobody removes anything: the store may be closed.
  func finishSweeping() { sweeper.sync {} }

  /// Does one effect; returns the effects of events that were answered on the spot.
  private func act(on effect: Effect) throws -> [Effect] {
    switch effect {
    case .persist: return []
    case .send(let worker, let message):
      guard let connection = connections[worker] else { return [] }
      if case .openStep(let plan) = message { log.trace("\(plan.words) opened for \(worker)") }
      send(message, on: connection)
      return []
    case .note(.nonsense(let worker, let nonsense)):
      drop("from \(worker): \(nonsense)", of: worker.name)
      return []
    case .note(let note):
      log.info("\(note)")
      tell(note.description)
      return []
    case .request(.lookUp(let queries)):
      let known = try store.results(for: queries.map(\.address))
      let found = queries.compactMap { query in
        known[query.address].map { KnownResult(job: query.job, result: $0) }
      }
      return decide(.lookedUp(asked: queries.map(\.job), found: found))
    case .request(.recall(let report, let worker)):
      guard let accepted = try store.acceptedResult(of: report.job) else { return [] }
      return decide(.recalled(report, from: worker, accepted))
    case .request(let request):
      requests.yield(request)
      return []
    }
  }

  /// Counts something of a worker that made no sense. One that sends nothing else fills neither the
  /// log nor the list of what happened: beyond the tenth, only powers of two are told.
  func drop(_ what: String, of name: String) {
    let count = dropped[name, default: 0] + 1
    dropped[name] = count
    guard count <= 10 || count.nonzeroBitCount == 1 else { return }
    log.warning("dropped, number \(count): \(what)")
    tell("dropped \(what)" + (count > 1 ? " (\(count) so far)" : ""))
  }

  private func tell(_ what: String) {
    if recent.count == Self.recentMax { recent.removeFirst() }
    recent.append(StatusReport.Happening(at: Date().timeIntervalSince1970, what: what))
  }

  /// A message that cannot be handed over is lost; every message of the contract may be.
  private func send(_ message: CoordinatorMessage, on connection: ConnectionID) {
    let parts: [CoordinatorMessage] =
      switch message {
      case .assign(let assignments): assignMessages(assignments)
      case .acknowledge(let attempts): acknowledgeMessages(attempts)
      case .welcome, .refused, .helloWanted, .cancel, .prepareTraining, .openStep, .commitStep,
        .export, .endTraining, .drain:
        [message]
      }
    do {
      for part in parts { try control.send([Frame(encode(part))], to: connection) }
    } catch {
      log.debug("a message was not sent: \(error)")
    }
  }
}

extension Change {
  /// Whether states of trainings that were needed before are not any more.
  fileprivate var makesStatesOld: Bool {
    switch self {
    case .checkpointed, .trainingFinished: true
    default: false
    }
  }
}
