import Domain

// What workers and the operator say.

extension RunMachine {
  mutating func received(
    _ message: WorkerMessage, from worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    if case .hello(let hello) = message {
      greet(hello, from: worker, at: now, &turn)
      return
    }
    switch membership.heard(worker, at: now) {
    case .revoked:
      turn.send(worker, .refused(.revoked))
      return
    case .fenced:
      turn.send(worker, .refused(.nameInUse))
      return
    case .unknown:
      turn.send(worker, .helloWanted)
      return
    case .member(let recovered):
      if recovered {
        takers = nil
        turn.note(.recovered(worker))
      }
    }
    switch message {
    case .hello: break
    case .heartbeat(let heartbeat): beat(heartbeat, from: worker, at: now, &turn)
    case .reports(let reports): take(reports, from: worker, at: now, &turn)
    case .standing(let id, let standing):
      trainingHears(id, from: worker, &turn) { $0.heard(standing, of: worker, at: now, &$1) }
    case .vote(let vote):
      trainingHears(vote.training, from: worker, &turn) { $0.heard(vote, of: worker, &$1) }
    case .segmentSaved(let id, let step, let saved):
      trainingHears(id, from: worker, &turn) {
        $0.heard(saved, step: step, of: worker, at: now, &$1)
      }
    case .exported(let export):
      trainingHears(export.training, from: worker, &turn) {
        $0.heard(export, of: worker, at: now, &$1)
      }
    case .goodbye: leave(worker, .goodbye, &turn)
    }
  }

  /// Nothing new goes to a worker without a connection; soon its work goes to others.
  mutating func disconnected(_ worker: WorkerID, at now: Moment, _ turn: inout Turn) {
    guard membership.disconnected(worker, at: now) else { return }
    takers = nil
    turn.note(.disconnected(worker))
    board.makeHomeless(worker.name)
  }

  private mutating func greet(
    _ hello: WorkerHello, from worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    takers = nil
    var hello = hello
    hello.worker = worker
    switch membership.hello(hello, at: now) {
    case .refused(let refusal):
      turn.note(.refused(worker, refusal))
      turn.send(worker, .refused(refusal))
      return
    case .again: break
    case .joined(let replaced):
      away.remove(worker.name)
      if let replaced {
        forget(replaced, isLoss: true, &turn)
        turn.note(.left(replaced, .restarted(boot: worker.boot)))
        turn.persist(
          .workerLeft(replaced, reason: Departure.restarted(boot: worker.boot).description))
      }
      board.releaseOtherBoots(of: worker, &turn)
      turn.persist(.workerJoined(worker, kernelSet: hello.kernelSet))
      turn.note(.joined(worker))
    }
    turn.send(
      worker,
      .welcome(
        Welcome(
          run: settings.run, heartbeatEvery: settings.timing.heartbeatEvery,
          creditMax: settings.limits.creditMax)))
    let assignments = board.assignments(of: worker)
    if !assignments.isEmpty { turn.send(worker, .assign(assignments)) }
    training?.joined(worker, hello, at: now, &turn)
  }

  private mutating func beat(
    _ heartbeat: Heartbeat, from worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    guard let member = membership[worker] else { return }
    // An older heartbeat that overtook nobody says nothing that the newer one did not.
    guard heartbeat.sequence > member.sequence else { return }
    let unwanted = board.renew(worker, holding: heartbeat.holding, at: now)
    if !unwanted.isEmpty { turn.send(worker, .cancel(unwanted)) }
    membership.update(worker) { member in
      member.sequence = heartbeat.sequence
      member.capacity = heartbeat.holding.count + max(0, heartbeat.credit)
      member.busyMilliseconds = max(member.busyMilliseconds, heartbeat.busyMilliseconds)
      if !heartbeat.holding.isEmpty { member.missedLeases = 0 }
      if member.busyMilliseconds - member.busyPersisted >= busyPersistedEvery {
        member.busyPersisted = member.busyMilliseconds
        turn.persist(.workerBusy(worker, milliseconds: member.busyMilliseconds))
      }
    }
    hungry.insert(worker.name)
    training?.heard(heartbeat, of: worker, at: now, &turn)
    if let id = heartbeat.training, state.isOver(id) { turn.send(worker, .endTraining(id)) }
  }

  private mutating func take(
    _ reports: [JobReport], from worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    let before = board.counts.accepted
    for report in reports { board.report(report, from: worker, at: now, &turn) }
    if let until = membership[worker]?.heldBackUntil, until > now { takers = nil }
    membership.update(worker) { member in
      member.accepted += board.counts.accepted - before
      member.missedLeases = 0
      member.heldBackUntil = .zero
    }
    turn.send(worker, .acknowledge(reports.map(\.jobAttempt)))
    hungry.insert(worker.name)
  }

  /// Tells workers that are drained to leave, as soon as no training needs them.
  mutating func letGo(_ turn: inout Turn) {
    for worker in leaving.sorted() where state.trainingDone || training?.needs(worker) != true {
      leaving.remove(worker)
      turn.send(worker, .drain)
    }
  }

  mutating func leave(_ worker: WorkerID, _ departure: Departure, _ turn: inout Turn) {
    guard membership[worker] != nil else { return }
    takers = nil
    switch departure {
    case .goodbye, .revoked: forget(worker, isLoss: false, &turn)
    case .silent, .disconnected, .restarted:
      forget(worker, isLoss: true, &turn)
      away.insert(worker.name)
    }
    membership.remove(worker)
    turn.note(.left(worker, departure))
    turn.persist(.workerLeft(worker, reason: departure.description))
  }

  /// What a worker said last about its work, when that is not in the store yet.
  func persistBusy(_ worker: WorkerID, _ turn: inout Turn) {
    if let member = membership[worker], member.busyMilliseconds > member.busyPersisted {
      turn.persist(.workerBusy(worker, milliseconds: member.busyMilliseconds))
    }
  }

  /// Takes back all that a worker has.
  private mutating func forget(_ worker: WorkerID, isLoss: Bool, _ turn: inout Turn) {
    persistBusy(worker, &turn)
    board.release(worker, isLoss: isLoss, &turn)
    board.makeHomeless(worker.name)
    hungry.formUnion(membership.names)
    hungry.remove(worker.name)
    training?.left(worker)
    leaving.remove(worker)
  }

  mutating func perform(_ command: Command, at now: Moment, _ turn: inout Turn) {
    switch command {
    case .pause: isPaused = true
    case .resume:
      isPaused = false
      hungry.formUnion(membership.names)
    case .drain(let name):
      guard let member = membership.members[name] else { return }
      takers = nil
      membership.update(member.id) { $0.draining = true }
      training?.drain(member.id)
      board.makeHomeless(name)
      leaving.insert(member.id)
    case .revoke(let name):
      let id = membership.members[name]?.id
      membership.revoke(name)
      away.remove(name)
      guard let id else { return }
      turn.send(id, .refused(.revoked))
      leave(id, .revoked, &turn)
    case .pardon(let name): membership.pardon(name)
    }
  }

  /// Lets the running training hear a message about it; one about a finished training is answered
  /// with its end.
  private mutating func trainingHears(
    _ id: TrainingID, from worker: WorkerID, _ turn: inout Turn,
    _ hear: (inout TrainingMachine, inout Turn) -> Void
  ) {
    if var present = training, present.plan.training == id {
      // Set aside while it changes, so that its tables are changed in place.
      training = nil
      hear(&present, &turn)
      training = present
    } else if state.isOver(id) {
      turn.send(worker, .endTraining(id))
    }
  }
}

/// Compute time of a worker is written to the store when it has grown by this much, or on leaving.
private let busyPersistedEvery: Int64 = 10_000
