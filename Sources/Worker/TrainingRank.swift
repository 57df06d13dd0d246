import Domain
import Executors
import Formats
import Foundation
import Hashing
import Kernels
import Logging
import Protocol
import Scheduling
import Transformer
import Transport

/// This worker's part in a training: computes its virtual ranks, hands their sums to the exchange,
/// and applies a step once the coordinator has made it durable.
actor TrainingRank {
  private let executor = ThreadExecutor(label: "training")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private enum Item: Sendable {
    case command(CoordinatorMessage)
    case exchange(ExchangeEvent)
    case repeatLastWord
  }

  nonisolated let me: WorkerID
  nonisolated let latestEpoch: EpochFence
  nonisolated let standing = StandingBoard()
  private let loader: TrainingLoader
  private let mesh: Mesh
  private nonisolated let members: AllowList
  private let exchange: StepExchange
  private let control: MessageClient
  private let compute: Compute
  private let outbox: UploadQueue
  private let log: Logger
  private let items: AsyncStream<Item>
  private nonisolated let inbox: AsyncStream<Item>.Continuation

  private var state: TrainingState?
  /// Committed steps that are applied here.
  private var step = 0
  /// Of the step that is open here.
  private var epoch: UInt64 = 0
  private var lastVote: StepVote?
  private var sums = RankSums(count: 0, .f32)
  private var times = RankTimes()
  /// The last step after which all weights were here.
  private var wholeAt = 0

  init(
    me: WorkerID, loader: TrainingLoader, mesh: Mesh, members: AllowList, fence: EpochFence,
    control: MessageClient, compute: Compute, outbox: UploadQueue, log: Logger
  ) throws {
    self.me = me
    self.loader = loader
    self.mesh = mesh
    self.members = members
    let (items, inbox) = AsyncStream<Item>.makeStream()
    (self.items, self.inbox) = (items, inbox)
    exchange = try StepExchange(me: me, mesh: mesh, fence: fence, log: log) {
      inbox.yield(.exchange($0))
    }
    latestEpoch = fence
    self.control = control
    self.compute = compute
    self.outbox = outbox
    self.log = log
  }

  /// Takes a command of the coordinator; see `CoordinatorMessage`.
  nonisolated func put(_ command: CoordinatorMessage) {
    if case .openStep(let plan) = command {
      latestEpoch.advance(to: plan.training, epoch: plan.epoch)
      // They may be at the door before this worker has done what it is at.
      members.replace(
        with: Dictionary(
          plan.members.map { ($0.publicKey, $0.worker.name) },
          uniquingKeysWith: { first, _ in first }))
    }
    inbox.yield(.command(command))
  }

  /// Says again what the coordinator may have missed while it was away.
  nonisolated func repeatLastWord() { inbox.yield(.repeatLastWord) }

  /// Takes part until cancelled.
  /// - Parameter worked: is told how long each piece of work took.
  func run(worked: @Sendable (Duration) -> Void) async {
    exchange.start()
    let watch = Task { await exchange.watch() }
    let clock = ContinuousClock()
    for await item in items { worked(await clock.measure { await handle(item) }) }
    watch.cancel()
    await mesh.close()
  }

  private func handle(_ item: Item) async {
    switch item {
    case .command(let command): await follow(command)
    case .exchange(let event): await hear(event)
    case .repeatLastWord:
      if let lastVote { say(.vote(lastVote)) }
      sayStanding()
    }
  }

  private func follow(_ command: CoordinatorMessage) async {
    switch command {
    case .prepareTraining(let plan): await prepare(plan)
    case .openStep(let plan): await open(plan)
    case .commitStep(let training, let epoch, let step, let totals, let isSaved):
      guard let state, state.plan.training == training, state.plan.isCurrent(epoch: epoch),
        step == self.step
      else { return }
      let plan = await exchange.plan
      await apply(totals)
      if isSaved, let plan, plan.step == step { await save(plan) }
    case .export(let training):
      guard let state, state.plan.training == training, step == state.plan.stepsTotal,
        await exchange.progress?.isWhole == true
      else { return }
      outbox.put(.export(training, state.student(on: compute), weights: state.weightsDigest))
    case .endTraining(let training):
      if state?.plan.training == training { await forget() }
    case .welcome, .refused, .helloWanted, .assign, .acknowledge, .cancel, .drain: break
    }
  }

  private func hear(_ event: ExchangeEvent) async {
    switch event {
    case .compute(let plan, let place):
      guard plan.epoch == epoch, plan.training == state?.plan.training else { return }
      do {
        try await compute(plan, place: place)
      } catch {
        sums.abandon()
        fail(plan.training, "step \(plan.step): \(error)")
      }
    case .load(let segment, let plan): await load(segment, plan)
    case .vote(var vote):
      guard vote.epoch == epoch, vote.training == state?.plan.training else { return }
      vote.computing = times.ofAll
      log.debug("\(vote.training) step \(vote.step), epoch \(vote.epoch): loss \(vote.loss)")
      lastVote = vote
      say(.vote(vote))
    case .progressed(let training, let progress):
      guard let state, training == state.plan.training else { return }
      if progress.isWhole {
        if progress.step > wholeAt + 1 {
          log.info("\(training): ready at step \(progress.step) of \(state.plan.stepsTotal)")
        }
        wholeAt = progress.step
      }
      stand(training, .following(progress))
    case .failed(let training, let reason):
      if training == state?.plan.training { fail(training, reason) }
    }
  }

  private func prepare(_ plan: TrainingPlan) async {
    if let state, state.plan.training == plan.training, state.plan.lineage >= plan.lineage,
      case .following = standing.current?.standing
    {
      return sayStanding()
    }
    await forget()
    stand(plan.training, .preparing)
    do {
      let loaded = try await loader.load(plan, compute: compute)
      state = loaded
      sums = RankSums(count: loaded.weights.count, plan.recipe.wire)
      step = plan.baseStep
      wholeAt = step
      log.info("\(plan.training): ready at step \(step) of \(plan.stepsTotal)")
      await exchange.begin(
        plan.training, loaded.weights, lineage: plan.lineage, wire: plan.recipe.wire,
        step: plan.baseStep)
    } catch {
      fail(plan.training, "\(error)")
    }
  }

  private func open(_ plan: StepPlan) async {
    guard !latestEpoch.isVoid(plan.training, epoch: plan.epoch), let state,
      state.plan.training == plan.training, state.plan.isCurrent(epoch: plan.epoch)
    else { return }
    if epoch == plan.epoch {
      if let lastVote { say(.vote(lastVote)) }
      return
    }
    if let before = plan.before, step == plan.step - 1 { await apply(before) }
    if step != plan.step { sums.recycle() }
    epoch = plan.epoch
    step = plan.step
    lastVote = nil
    times = RankTimes()
    log.debug("\(plan.training) step \(plan.step), epoch \(plan.epoch): begun")
    do {
      try await exchange.open(plan)
    } catch {
      return fail(plan.training, "step \(plan.step): \(error)")
    }
    let isIdle = !plan.rankOwners.contains { plan.members[$0].worker == me }
    let ranks = state.plan.recipe.virtualRanks
    // Who joins is sent weights meanwhile, and computes in the next step.
    if isIdle, plan.members.count <= ranks {
      sums.reserve(ReductionPlan(virtualRanks: ranks, evenlyOver: plan.members.count).vectorsMax)
    }
  }

  /// Computes this member's ranks, those that it has not computed in an earlier attempt, and hands
  /// each sum on as it is finished: layer by layer, while the layers before are still computed. Of
  /// an attempt that is void the rank that is under way is computed to its end: it may be wanted.
  private func compute(_ plan: StepPlan, place: Int) async throws {
    guard let grid = await exchange.grid else { return }
    guard let ranks = ReductionPlan(ranksOf: plan) else { return }
    let program = ranks.localProgram(member: place, known: sums.nodes)
    sums.keepBegun(for: program)
    times.ranks = plan.rankOwners.count { $0 == place }
    var rest = program[...]
    while let instruction = rest.popFirst() {
      if latestEpoch.isVoid(plan.training, epoch: plan.epoch) {
        return sums.setAside(virtualRanks: plan.rankOwners.count)
      }
      switch instruction {
      case .push(let rank):
        let additions = rest.prefix { $0 == .add }.count
        rest = rest.dropFirst(additions)
        var finished: TreeNode?
        if case .emit(let node)? = rest.first {
          finished = node
          rest = rest.dropFirst()
        }
        try compute(rank, additions: additions, finishing: finished, plan, grid)
      case .recall(let node): sums.recall(node)
      case .add: sums.add(on: compute)
      case .emit(let node):
        let sum = sums.finish(node)
        await exchange.computed(node, sum.values, ranks: sum.ranks, epoch: plan.epoch)
      }
    }
  }

  /// Adds a rank's gradient to the sums before it, each part as soon as it is finished.
  /// - Parameter node: whose sum that is, if it is handed on: cell by cell.
  private func compute(
    _ rank: Int, additions: Int, finishing node: TreeNode?, _ plan: StepPlan, _ grid: VectorGrid
  ) throws {
    let sum = sums.begin(additions: additions)
    var cells = FinishedCells(grid)
    let (exchange, compute) = (exchange, compute)
    let found = try gradient(of: rank, plan, into: sum.gradient) { range, part, found in
      sum.finish(range, part, on: compute)
      guard let node else { return }
      let finished = cells.take(range)
      if finished.isEmpty { return }
      let ranks = sum.ranksBefore + [RankStatistics(rank: rank, found)]
      // Without waiting: of one step they may come in any order.
      Task {
        await exchange.computed(
          node, sum.result, ranks: ranks, cells: finished, epoch: plan.epoch)
      }
    }
    sums.push(sum, found)
    if let node { _ = sums.finish(node) }
  }

  private func gradient(
    of rank: Int, _ plan: StepPlan, into gradient: Floats?,
    finished: @escaping (Range<Int>, Floats, LossSum) -> Void
  ) throws -> RankStatistics {
    let clock = ContinuousClock()
    let begun = clock.now
    let loss = try state?.gradient(
      step: plan.step, rank: rank, into: gradient, finished: finished)
    let taken = clock.now - begun
    times.took(taken)
    log.debug("\(plan.training) step \(plan.step), epoch \(plan.epoch): rank \(rank) in \(taken)")
    return RankStatistics(rank: rank, loss ?? LossSum(loss: 0, tokens: 0))
  }

  /// Applies the committed step, a segment's worth of cells at a time, so that others get their
  /// weights while the rest is computed.
  private func apply(_ totals: StepTotals) async {
    guard let state else { return }
    let updates = await exchange.commit(step: step)
    for start in stride(from: 0, to: updates.count, by: Self.cellsAtOnce) {
      let some = updates[start..<min(start + Self.cellsAtOnce, updates.count)]
      var changes: [Int: Floats] = [:]
      for update in some {
        changes[update.cell] = state.apply(update, step: step, totals, on: compute)
      }
      await exchange.updated(some.map(\.cell), changes: changes)
    }
    await exchange.settled()
    step += 1
    lastVote = nil
    sums.recycle()
  }
  private static let cellsAtOnce = 16

  /// Lets a checkpoint have what this worker owns of the state after the step just applied.
  private func save(_ plan: StepPlan) async {
    guard let place = plan.members.firstIndex(where: { $0.worker == me }) else { return }
    let own = plan.segments.indices.filter { plan.segments[$0].owner == place }
    await exchange.keep(own)
    for segment in own {
      outbox.put(
        .segment(plan.training, step: step, segment: segment) { [exchange, step] in
          try await exchange.copy(segment: segment, of: plan.training, step: step)
        })
    }
  }

  private func load(_ segment: Int, _ plan: StepPlan) async {
    guard plan.epoch == epoch, let state, let base = plan.base else { return }
    do {
      let moments = try await loader.moments(
        of: segment, segments: plan.segments.count, weights: state.weights, base,
        state.plan.recipe.wire)
      await exchange.loaded(segment: segment, moments, epoch: plan.epoch)
    } catch {
      fail(plan.training, "moments of segment \(segment): \(error)")
    }
  }

  private func forget() async {
    await exchange.end()
    state = nil
    // The next training counts from 1 again.
    epoch = 0
    lastVote = nil
    sums = RankSums(count: 0, .f32)
    standing.set(nil)
  }

  private func fail(_ training: TrainingID, _ reason: String) {
    log.error("\(training): \(reason)")
    stand(training, .failed(reason))
  }

  private func stand(_ training: TrainingID, _ new: TrainingStanding) {
    standing.set(StandingBoard.Entry(training: training, standing: new))
    sayStanding()
  }

  private func sayStanding() {
    guard let current = standing.current else { return }
    say(.standing(current.training, current.standing))
  }

  /// Lost when the coordinator is away; `repeatLastWord` says it again.
  private func say(_ message: WorkerMessage) {
    do {
      try control.send([Frame(encode(message))])
    } catch {
      log.debug("not sent: \(error)")
    }
  }
}

/// How long a member's ranks take, some of which it may have from an earlier attempt at the step.
struct RankTimes {
  /// Of the plan.
  var ranks = 0
  private var computed = 0
  private var sum = Duration.zero

  mutating func took(_ time: Duration) {
    computed += 1
    sum += time
  }

  /// As if all had been computed now; zero when none was.
  var ofAll: Duration { computed == 0 ? .zero : sum * ranks / computed }
}

extension RankStatistics {
  init(rank: Int, _ sum: LossSum) {
    self.init(rank: rank, lossSum: sum.loss, tokens: Int64(sum.tokens))
  }
}
