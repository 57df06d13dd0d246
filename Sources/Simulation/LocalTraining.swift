import Domain
import Scheduling

/// A training as one worker's process has it.
struct LocalTraining {
  var plan: TrainingPlan
  /// Nil while model, samples or state are being fetched.
  var member: MemberMachine<[Float]>?
  var weights: [Float] = []
  var first = [Float](repeating: 0, count: parameterCount)
  var second = [Float](repeating: 0, count: parameterCount)
  /// Only where `wire` is bf16.
  var master = [Float](repeating: 0, count: parameterCount)
  var fetchToken = 0
  var isFetching = false
  var failure: String?
  var epochSeen: UInt64 = 0
  /// What it said in the open epoch, said again when the answer stays away.
  var vote: StepVote?
  /// What it sent in the open epoch and nobody received.
  var lost: [WorkerID: [PeerPart]] = [:]
  /// What peers sent of a step that this worker has not been told of yet.
  var early: [(message: PeerMessage, from: WorkerID)] = []
  /// Only for a planted mistake: first contributions that wait for the next of their cell.
  var held: [Int: [Float]] = [:]

  /// What a keeper has of a segment beside the weights.
  func kept(_ range: Range<Int>) -> [Float] {
    Array(first[range]) + Array(second[range])
      + (plan.recipe.wire == .bf16 ? Array(master[range]) : [])
  }

  /// Lets the weights follow the master weights; what they did is sent to others.
  mutating func follow(_ range: Range<Int>) -> [Float]? {
    let wire = plan.recipe.wire
    if wire == .f32 { return nil }
    return range.map { place in
      let change = wire.rounded(master[place] - weights[place])
      weights[place] += change
      return change
    }
  }

  var standing: TrainingStanding {
    if let failure { return .failed(failure) }
    guard let member, !isFetching else { return .preparing }
    return .following(member.progress)
  }
}

/// How the simulated vector is cut.
let simulatedGrid = VectorGrid(
  count: parameterCount, segments: segmentCount(of: parameterCount), cellMax: parameterCount)

// The worker's part in a training, simulated: it moves numbers and messages as `MemberMachine`,
// which real workers run, too, decides.

extension Simulator {
  func prepare(_ plan: TrainingPlan, _ worker: SimulatedWorker) {
    var local = worker.training ?? LocalTraining(plan: plan)
    if local.plan.training != plan.training {
      local = LocalTraining(plan: plan)
    } else if local.plan.lineage < plan.lineage || local.failure != nil {
      let epoch = local.epochSeen
      local = LocalTraining(plan: plan)
      local.epochSeen = epoch
    }
    if local.member != nil {
      say(.standing(plan.training, local.standing), worker)
      return
    }
    local.plan = plan
    if !local.isFetching {
      local.isFetching = true
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
    local.weights = initialWeights(local.plan.model)
    if let checkpoint = local.plan.checkpoint, let saved = manifests[checkpoint.state] {
      counts.statesLoaded += 1
      for segment in saved { put(blobs[segment.weights] ?? [], segment.segment, &local.weights) }
    }
    let wire = local.plan.recipe.wire
    local.member = MemberMachine(
      grid: simulatedGrid, lineage: local.plan.lineage, wire: wire, step: local.plan.baseStep
    ) { a, b in zip(a, b).map { wire.rounded($0 + $1) } }
    worker.training = local
    say(.standing(local.plan.training, local.standing), worker)
  }

  func put(_ values: [Float], _ segment: Int, _ vector: inout [Float]) {
    let range = simulatedGrid.range(ofSegment: segment)
    guard values.count == range.count else { return }
    vector.replaceSubrange(range, with: values)
  }

  func reachesCoordinator(_ worker: SimulatedWorker) -> Bool {
    coordinator != nil
      && network.isOpen(from: .worker(worker.number), to: .coordinator, at: now)
      && network.isOpen(from: .coordinator, to: .worker(worker.number), at: now)
  }

  // MARK: A step

  func open(_ plan: StepPlan, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.plan.training == plan.training,
      local.member != nil, plan.epoch >= local.epochSeen, local.plan.isCurrent(epoch: plan.epoch)
    else { return }
    if plan.epoch == local.epochSeen {
      if let vote = local.vote { say(.vote(vote), worker) }
      return
    }
    if let before = plan.before, local.member?.step == plan.step - 1 {
      apply(before, step: plan.step - 1, worker)
    }
    worker.training?.epochSeen = plan.epoch
    worker.training?.vote = nil
    worker.training?.lost = [:]
    worker.training?.held = [:]
    decide(worker) { $0.open(plan, me: worker.id) }
    let early = worker.training?.early ?? []
    worker.training?.early = []
    for (message, sender) in early { hear(message, from: sender, worker) }
    schedule(.exchange(epoch: plan.epoch), for: worker, after: .seconds(1))
    sayStanding(worker)
  }

  func computed(epoch: UInt64, _ program: [ReductionInstruction], _ worker: SimulatedWorker) {
    guard let local = worker.training, local.epochSeen == epoch, let plan = local.member?.plan
    else { return }
    let wire = local.plan.recipe.wire
    var stack: [(sum: [Float], ranks: [RankStatistics])] = []
    for instruction in program {
      switch instruction {
      case .push(let rank):
        let (slopes, loss) = gradient(
          of: local.plan, step: plan.step, rank: rank, weights: local.weights)
        stack.append(
          (
            slopes.map(wire.rounded), [RankStatistics(rank: rank, lossSum: loss, tokens: 1)]
          ))
      case .add:
        let right = stack.removeLast()
        let left = stack.removeLast()
        stack.append(
          (
            zip(left.sum, right.sum).map { wire.rounded($0 + $1) }, left.ranks + right.ranks
          ))
      case .emit(let node):
        let (sum, ranks) = stack.removeLast()
        decide(worker) { member in
          member.computed(node, ranks: ranks) { Array(sum[simulatedGrid.cells[$0]]) }
        }
      case .recall: break
      }
    }
  }

  /// Lets a worker's member decide, and does what it says.
  func decide(
    _ worker: SimulatedWorker,
    _ decision: (inout MemberMachine<[Float]>) -> [MemberMachine<[Float]>.Action]
  ) {
    guard var member = worker.training?.member else { return }
    worker.training?.member = nil
    let before = member.progress
    let actions = decision(&member)
    worker.training?.member = member
    var parts: [WorkerID: [PeerPart]] = [:]
    for action in actions {
      guard let (peers, part) = perform(action, worker) else { continue }
      for peer in peers { parts[peer, default: []].append(part) }
    }
    for peer in parts.keys.sorted() { tellPeer(parts[peer] ?? [], peer, worker) }
    if worker.training?.member?.progress != before { sayStanding(worker) }
  }

  /// - Returns: what is to be said to peers.
  private func perform(
    _ action: MemberMachine<[Float]>.Action, _ worker: SimulatedWorker
  ) -> ([WorkerID], PeerPart)? {
    guard let local = worker.training, let plan = local.member?.plan else { return nil }
    switch action {
    case .send(let what, let cell, let value, let to):
      return (to.map { plan.members[$0].worker }, outgoing(what, cell, value, local))
    case .ask(let part, let segment, let step, let of):
      return ([plan.members[of].worker], .ask(part, segment: segment, step: step))
    case .compute(let program): compute(program, plan, worker)
    case .load(let segment):
      schedule(
        .momentsLoaded(segment: segment, epoch: plan.epoch), for: worker,
        after: .milliseconds(10 + random.below(300)))
    case .write(let part, let cell, let values): write(part, cell, values, worker)
    case .add(let cell, let change): add(change, cell, worker)
    case .forget: break
    case .vote(let segments): vote(for: segments, worker)
    case .fail(let reason): fail(reason, worker)
    }
    return nil
  }

  private func compute(
    _ program: [ReductionInstruction], _ plan: StepPlan, _ worker: SimulatedWorker
  ) {
    let place = worker.training?.member?.place
    let ranks = plan.rankOwners.count { $0 == place }
    let time = Duration.milliseconds(50 + random.below(100)) * worker.slowness * (1 + ranks)
    schedule(.computed(epoch: plan.epoch, program), for: worker, after: time)
  }

  private func fail(_ reason: String, _ worker: SimulatedWorker) {
    worker.training?.failure = reason
    counts.membersFailed += 1
    sayStanding(worker)
  }

  func write(_ part: StatePart, _ cell: Int, _ values: [Float], _ worker: SimulatedWorker) {
    let range = simulatedGrid.cells[cell]
    guard values.count == range.count else { return }
    switch part {
    case .weights:
      counts.weightsSent += 1
      worker.training?.weights.replaceSubrange(range, with: values)
    case .firstMoment:
      counts.momentsSent += 1
      worker.training?.first.replaceSubrange(range, with: values)
    case .secondMoment: worker.training?.second.replaceSubrange(range, with: values)
    case .master: worker.training?.master.replaceSubrange(range, with: values)
    }
  }

  func add(_ change: [Float], _ cell: Int, _ worker: SimulatedWorker) {
    counts.changesSent += 1
    for (place, value) in zip(simulatedGrid.cells[cell], change) {
      worker.training?.weights[place] += value
    }
  }

  func outgoing(
    _ what: PeerCell, _ cell: Int, _ value: [Float]?, _ local: LocalTraining
  ) -> PeerPart {
    if case .state = what { return .cell(what, cell: cell, read(what, cell, local), []) }
    let ranks = local.member?.statistics.compactMap { $0 } ?? []
    return .cell(what, cell: cell, value ?? [], ranks)
  }

  func read(_ what: PeerCell, _ cell: Int, _ local: LocalTraining) -> [Float] {
    let range = simulatedGrid.cells[cell]
    return switch what {
    case .state(.weights, _): Array(local.weights[range])
    case .state(.firstMoment, _): Array(local.first[range])
    case .state(.secondMoment, _): Array(local.second[range])
    case .state(.master, _): Array(local.master[range])
    case .partial, .sum, .change: []
    }
  }

  func vote(for segments: [Int], _ worker: SimulatedWorker) {
    guard let local = worker.training, let member = local.member, let plan = member.plan else {
      return
    }
    let known = member.statistics.compactMap { $0 }
    let tokens = known.reduce(0) { $0 + $1.tokens }
    let sums = segments.map { segment -> SegmentSum in
      let values = simulatedGrid.cellsOfSegment[segment].flatMap { member.sum(of: $0) ?? [] }
      return SegmentSum(
        segment: segment, sumOfSquares: values.reduce(0) { $0 + Double($1) * Double($1) },
        check: fnv1a(
          values.flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
          }))
    }
    let vote = StepVote(
      training: local.plan.training, epoch: plan.epoch, step: plan.step,
      loss: treeSum(known.map(\.lossSum)) / Double(max(tokens, 1)), tokens: tokens, sums: sums,
      computing: .milliseconds(Int(100 * worker.slowness)))
    worker.training?.vote = vote
    say(.vote(vote), worker)
    if bug == .applyBeforeCommit {
      let squares = sums.reduce(0) { $0 + $1.sumOfSquares }
      apply(
        StepTotals(loss: vote.loss, tokens: tokens, sumOfSquares: squares), step: plan.step, worker)
    }
  }

  // MARK: The commit

  func commit(
    _ id: TrainingID, epoch: UInt64, step: Int, _ totals: StepTotals, isSaved: Bool,
    _ worker: SimulatedWorker
  ) {
    guard let local = worker.training, local.plan.training == id,
      local.plan.isCurrent(epoch: epoch),
      let member = local.member, member.step == step, let plan = member.plan, plan.step == step
    else { return }
    apply(totals, step: step, worker)
    guard isSaved else { return }
    for (segment, keepers) in plan.segments.enumerated() where keepers.owner == member.place {
      let range = simulatedGrid.range(ofSegment: segment)
      guard let local = worker.training else { return }
      let saved =
        bug == .staleCheckpoint ? initialWeights(local.plan.model) : local.weights
      schedule(
        .segmentSaved(
          id, step: step + 1, segment: segment, weights: Array(saved[range]),
          moments: local.kept(range)), for: worker,
        after: .milliseconds(50 + random.below(1000)))
    }
  }

  func apply(_ totals: StepTotals, step: Int, _ worker: SimulatedWorker) {
    guard let cells = worker.training?.member?.commit(step: step) else { return }
    var changes: [Int: [Float]] = [:]
    for cell in cells {
      guard let sum = worker.training?.member?.sum(of: cell) else { continue }
      let places = simulatedGrid.cells[cell]
      for (place, slope) in zip(places, sum) { update(place, slope, worker) }
      changes[cell] = worker.training?.follow(places)
    }
    worker.training?.vote = nil
    decide(worker) { $0.updated(cells, changes: changes) + $0.settled() }
    sayStanding(worker)
  }

  func update(_ place: Int, _ slope: Float, _ worker: SimulatedWorker) {
    guard var local = worker.training else { return }
    worker.training = nil
    local.first[place] = local.first[place] * 0.5 + slope
    local.second[place] = local.second[place] * 0.25 + abs(slope)
    let change = 1e-6 * (local.first[place] + 0.001 * local.second[place])
    switch local.plan.recipe.wire {
    case .f32: local.weights[place] -= change
    case .bf16: local.master[place] -= change
    }
    worker.training = local
  }

  func sayStanding(_ worker: SimulatedWorker) {
    guard let local = worker.training else { return }
    say(.standing(local.plan.training, local.standing), worker)
  }
}
