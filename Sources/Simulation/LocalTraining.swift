import Domain
import Scheduling

/// A training as one worker's process has it.
struct LocalTraining {
  var plan: TrainingPlan
  /// Nil while model, samples or state are being fetched.
  var weights: [Float]?
  var step = 0
  var fetchToken = 0
  var isFetching = false
  var epochSeen: UInt64 = 0
  var round: LocalRound?
  var prepared: PreparedSum?
  /// What peers sent of a step that this worker has not been told of yet.
  var early: [PeerMessage] = []

  struct PreparedSum {
    var epoch: UInt64
    var step: Int
    var sum: [Float]
    var vote: StepVote
  }

  var standing: TrainingStanding {
    guard weights != nil, !isFetching else { return .preparing }
    if let prepared { return .prepared(step: prepared.step, epoch: prepared.epoch) }
    return .ready(step: step)
  }
}

/// One step as one member computes it.
struct LocalRound {
  let plan: StepPlan
  let reduction: ReductionPlan
  /// This worker's place among the members.
  let member: Int
  var isComputed = false
  /// Sums by node: its own and those that others sent for its segments.
  var partials: [TreeNode: [Float]] = [:]
  /// In the order in which they came: only a planted mistake adds in this order.
  var arrivals: [TreeNode] = []
  /// Finished vectors by the owner of the segments.
  var finished: [Int: [Float]] = [:]

  init(_ plan: StepPlan, member: Int) {
    self.plan = plan
    self.member = member
    reduction = ReductionPlan(
      rankOwners: plan.rankOwners, segmentOwners: plan.segmentOwners,
      members: plan.members.count)
  }

  var attempt: StepAttempt { StepAttempt(training: plan.training, epoch: plan.epoch) }

  /// Elements of the vector that a member finishes.
  func elements(of member: Int, count: Int) -> [Int] {
    plan.segmentOwners.indices.filter { plan.segmentOwners[$0] == member }.flatMap { segment in
      Array(segmentRange(segment, of: count, segments: plan.segmentOwners.count))
    }
  }

  mutating func receive(_ node: TreeNode, _ values: [Float]) {
    guard partials[node] == nil else { return }
    partials[node] = values
    arrivals.append(node)
  }

  var hasAllPartials: Bool {
    reduction.contributions.allSatisfy { $0.allSatisfy { partials[$0] != nil } }
  }

  /// Runs a program of the plan over whole vectors.
  func run(
    _ program: [ReductionInstruction], gradient: (Int) -> [Float]
  ) -> [TreeNode: [Float]] {
    var stack: [[Float]] = []
    var results: [TreeNode: [Float]] = [:]
    for instruction in program {
      switch instruction {
      case .push(let rank): stack.append(gradient(rank))
      case .receive(let node, _): stack.append(partials[node] ?? [])
      case .add:
        let right = stack.removeLast()
        let left = stack.removeLast()
        stack.append(zip(left, right).map { $0 + $1 })
      case .emit(let node): results[node] = stack.removeLast()
      }
    }
    return results
  }
}

// The worker's part in a training, simulated.

extension Simulator {
  func prepare(_ plan: TrainingPlan, _ worker: SimulatedWorker) {
    var local = worker.training ?? LocalTraining(plan: plan)
    if local.plan.training != plan.training { local = LocalTraining(plan: plan) }
    local.plan = plan
    let newest = plan.checkpoint?.step ?? 0
    if local.weights != nil, local.step >= newest, !local.isFetching {
      worker.training = local
      say(.standing(plan.training, local.standing), worker)
      return
    }
    if !local.isFetching {
      local.isFetching = true
      local.prepared = nil
      local.round = nil
      worker.fetches += 1
      local.fetchToken = worker.fetches
      schedule(
        .fetched(token: local.fetchToken), for: worker,
        after: .milliseconds(100 + random.below(1500)))
    }
    worker.training = local
  }

  func fetched(token: Int, _ worker: SimulatedWorker) {
    guard var local = worker.training, local.isFetching, local.fetchToken == token else { return }
    guard reachesCoordinator(worker) else {
      schedule(.fetched(token: token), for: worker, after: .seconds(1))
      return
    }
    local.isFetching = false
    if let checkpoint = local.plan.checkpoint, let saved = states[checkpoint.state] {
      counts.statesLoaded += 1
      local.weights = saved.weights
      local.step = saved.step
    } else {
      local.weights = initialWeights(local.plan.model)
      local.step = 0
    }
    worker.training = local
    say(.standing(local.plan.training, local.standing), worker)
  }

  private func reachesCoordinator(_ worker: SimulatedWorker) -> Bool {
    coordinator != nil
      && network.isOpen(from: .worker(worker.number), to: .coordinator, at: now)
      && network.isOpen(from: .coordinator, to: .worker(worker.number), at: now)
  }

  func open(_ plan: StepPlan, _ worker: SimulatedWorker) {
    guard var local = worker.training, local.plan.training == plan.training,
      local.weights != nil, !local.isFetching, plan.epoch >= local.epochSeen
    else { return }
    if plan.epoch == local.epochSeen {
      if let prepared = local.prepared, prepared.epoch == plan.epoch {
        say(.vote(prepared.vote), worker)
      }
      return
    }
    local.epochSeen = plan.epoch
    local.round = nil
    if let prepared = local.prepared {
      if prepared.step + 1 == plan.step { apply(prepared, to: &local) }
      local.prepared = nil
    }
    guard local.step == plan.step,
      let member = plan.members.firstIndex(where: { $0.worker == worker.id })
    else {
      worker.training = local
      say(.standing(plan.training, local.standing), worker)
      return
    }
    local.round = LocalRound(plan, member: member)
    let early = local.early
    local.early = []
    worker.training = local
    let ranks = plan.rankOwners.count { $0 == member }
    let time = Duration.milliseconds(50 + random.below(100)) * worker.slowness * (1 + ranks)
    schedule(.computed(epoch: plan.epoch), for: worker, after: time)
    for message in early { hear(message, worker) }
  }

  func computed(epoch: UInt64, _ worker: SimulatedWorker) {
    guard var local = worker.training, var round = local.round, round.plan.epoch == epoch,
      let weights = local.weights
    else { return }
    let sums = round.run(round.reduction.localProgram(member: round.member)) { rank in
      gradient(of: local.plan, step: round.plan.step, rank: rank, weights: weights)
    }
    for node in sums.keys.sorted() { round.receive(node, sums[node] ?? []) }
    round.isComputed = true
    local.round = round
    worker.training = local
    sendPartials(worker)
    finishSegments(worker)
    schedule(.exchange(epoch: epoch), for: worker, after: .seconds(1))
  }

  func exchangeAgain(epoch: UInt64, _ worker: SimulatedWorker) {
    guard let local = worker.training, let round = local.round, round.plan.epoch == epoch,
      local.prepared == nil
    else { return }
    sendPartials(worker)
    schedule(.exchange(epoch: epoch), for: worker, after: .seconds(1))
  }

  private func sendPartials(_ worker: SimulatedWorker) {
    guard let round = worker.training?.round else { return }
    var sums: [TreeNode: [Float]] = [:]
    for node in round.reduction.contributions[round.member] { sums[node] = round.partials[node] }
    for (place, member) in round.plan.members.enumerated()
    where place != round.member && round.finished[place] == nil {
      tellPeer(
        .partials(round.attempt, from: round.member, sums), member.worker, worker)
    }
  }

  private func tellPeer(_ message: PeerMessage, _ peer: WorkerID, _ worker: SimulatedWorker) {
    guard let number = workerNumbers[peer.name] else { return }
    for delay in network.fate(from: .worker(worker.number), to: .worker(number), at: now) {
      queue.schedule(.toPeer(message, peer), at: now + delay)
    }
  }

  func hear(_ message: PeerMessage, _ worker: SimulatedWorker) {
    guard var local = worker.training else { return }
    let attempt: StepAttempt
    switch message {
    case .partials(let of, _, _), .finished(let of, _, _): attempt = of
    }
    guard attempt.training == local.plan.training else { return }
    guard attempt.epoch <= local.epochSeen else {
      if local.early.count < 64 { local.early.append(message) }
      worker.training = local
      return
    }
    guard var round = local.round, round.plan.epoch == attempt.epoch else { return }
    switch message {
    case .partials(_, let from, let sums):
      for node in sums.keys.sorted() { round.receive(node, sums[node] ?? []) }
      local.round = round
      worker.training = local
      // A sender that is still asking has not heard what was finished.
      if let finished = round.finished[round.member] {
        tellPeer(
          .finished(attempt, from: round.member, finished),
          round.plan.members[from].worker, worker)
      }
      finishSegments(worker)
    case .finished(_, let from, let values):
      round.finished[from] = values
      local.round = round
      worker.training = local
      assemble(worker)
    }
  }

  /// Finishes the tree over this worker's segments once all contributions are there.
  private func finishSegments(_ worker: SimulatedWorker) {
    guard var local = worker.training, var round = local.round, round.isComputed,
      round.hasAllPartials, round.finished[round.member] == nil
    else { return }
    let root = TreeNode.root(virtualRanks: round.reduction.virtualRanks)
    let sum: [Float]
    if bug == .sumInArrivalOrder {
      let first = round.partials[round.arrivals[0]] ?? []
      sum = round.arrivals.dropFirst().reduce(first) { sum, node in
        zip(sum, round.partials[node] ?? []).map { $0 + $1 }
      }
    } else {
      sum = round.run(round.reduction.finishProgram) { _ in [] }[root] ?? []
    }
    round.finished[round.member] = sum
    local.round = round
    worker.training = local
    for (place, member) in round.plan.members.enumerated() where place != round.member {
      tellPeer(
        .finished(round.attempt, from: round.member, sum), member.worker, worker)
    }
    assemble(worker)
  }

  /// All segments are there: the sum is whole, and the worker votes.
  private func assemble(_ worker: SimulatedWorker) {
    guard var local = worker.training, let round = local.round, local.prepared == nil else {
      return
    }
    let count = parameterCount + 1
    var sum = [Float](repeating: 0, count: count)
    for member in round.plan.members.indices {
      let elements = round.elements(of: member, count: count)
      guard !elements.isEmpty else { continue }
      guard let finished = round.finished[member] else { return }
      for element in elements { sum[element] = finished[element] }
    }
    let vote = StepVote(
      training: local.plan.training, epoch: round.plan.epoch, step: round.plan.step,
      loss: Double(sum[parameterCount]), gradient: digest(of: sum, step: round.plan.step))
    let prepared = LocalTraining.PreparedSum(
      epoch: round.plan.epoch, step: round.plan.step, sum: sum, vote: vote)
    if bug == .applyBeforeCommit {
      apply(prepared, to: &local)
    } else {
      local.prepared = prepared
    }
    worker.training = local
    say(.vote(vote), worker)
  }

  func commit(_ id: TrainingID, epoch: UInt64, step: Int, _ worker: SimulatedWorker) {
    guard var local = worker.training, local.plan.training == id, let prepared = local.prepared,
      prepared.epoch == epoch, prepared.step == step
    else { return }
    apply(prepared, to: &local)
    local.prepared = nil
    worker.training = local
    say(.standing(id, local.standing), worker)
  }

  private func apply(_ prepared: LocalTraining.PreparedSum, to local: inout LocalTraining) {
    guard let weights = local.weights else { return }
    local.weights = updated(weights, by: prepared.sum)
    local.step = prepared.step + 1
    // All have voted, so nobody needs this round any more; what still comes of it is too late.
    local.round = nil
  }

  func upload(_ id: TrainingID, step: Int, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.plan.training == id, local.step == step,
      let weights = local.weights, !local.isFetching
    else { return }
    schedule(
      .uploaded(id, step: step, weights: weights), for: worker,
      after: .milliseconds(50 + random.below(1000)))
  }

  func uploaded(_ id: TrainingID, step: Int, weights: [Float], _ worker: SimulatedWorker) {
    guard reachesCoordinator(worker) else {
      schedule(.uploaded(id, step: step, weights: weights), for: worker, after: .seconds(1))
      return
    }
    let state = digest(of: weights, step: step)
    let model = worker.training?.plan.model
    let saved = bug == .staleCheckpoint ? model.map(initialWeights) ?? weights : weights
    states[state] = SavedState(step: step, weights: saved)
    say(.checkpointed(id, TrainingCheckpoint(step: step, state: state)), worker)
  }

  func export(_ id: TrainingID, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.plan.training == id,
      local.standing == .ready(step: local.plan.stepsTotal)
    else { return }
    schedule(.exported(id), for: worker, after: .milliseconds(50 + random.below(1000)))
  }

  func exported(_ id: TrainingID, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.plan.training == id, let weights = local.weights,
      reachesCoordinator(worker)
    else { return }
    let hash = digest(of: weights, step: local.step)
    say(
      .exported(
        TrainingExport(
          training: id, model: simulatedDigest("model", hash.words.0), weights: hash)), worker)
  }
}
