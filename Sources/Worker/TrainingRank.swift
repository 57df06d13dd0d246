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

/// This worker's part in a training: computes its virtual ranks, exchanges sums with its peers, and
/// applies a step once the coordinator has made it durable.
actor TrainingRank {
  private let executor = ThreadExecutor(label: "training")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  /// The whole sum of a step that is not committed yet.
  private struct Prepared {
    var vote: StepVote
    var summed: SummedStep
  }

  nonisolated let me: WorkerID
  nonisolated let latestEpoch: EpochFence
  nonisolated let standing = StandingBoard()
  private let loader: TrainingLoader
  private let mesh: Mesh
  private let members: AllowList
  private let control: MessageClient
  private let compute: Compute
  private let outbox: UploadQueue
  private let log: Logger

  private var state: TrainingState?
  private let exchange: StepExchange
  private let sums: AsyncStream<SummedStep>
  /// Of the step that is open here.
  private var epoch: UInt64 = 0
  private var prepared: Prepared?
  /// Vectors of the trained parameters' size, made once and used again.
  private var free: [Floats] = []
  /// Those that the exchange reads until the step is over.
  private var emitted: [Floats] = []

  init(
    me: WorkerID, loader: TrainingLoader, mesh: Mesh, members: AllowList, fence: EpochFence,
    control: MessageClient, compute: Compute, outbox: UploadQueue, log: Logger
  ) throws {
    self.me = me
    self.loader = loader
    self.mesh = mesh
    self.members = members
    let (sums, feed) = AsyncStream<SummedStep>.makeStream()
    self.sums = sums
    exchange = try StepExchange(me: me.name, mesh: mesh, fence: fence, log: log) { feed.yield($0) }
    latestEpoch = fence
    self.control = control
    self.compute = compute
    self.outbox = outbox
    self.log = log
  }

  /// Follows one command of the coordinator; see `CoordinatorMessage`.
  func handle(_ command: CoordinatorMessage) async {
    switch command {
    case .prepareTraining(let plan): await prepare(plan)
    case .openStep(let plan): await open(plan)
    case .commitStep(let training, let epoch, let step):
      guard let prepared, state?.plan.training == training, prepared.vote.epoch == epoch,
        prepared.vote.step == step
      else { return }
      apply(prepared)
    case .checkpoint(let training, let step):
      guard let state, state.plan.training == training, state.step == step else { return }
      outbox.put(.checkpoint(training, step: step, state.encoded()))
    case .export(let training):
      guard let state, state.plan.training == training, state.step == state.plan.stepsTotal
      else { return }
      outbox.put(.export(training, state.student(on: compute), weights: state.weightsDigest))
    case .endTraining(let training):
      if state?.plan.training == training { await forget() }
    case .welcome, .refused, .helloWanted, .assign, .acknowledge, .cancel, .drain: break
    }
  }

  /// Says again what the coordinator may have missed while it was away.
  func repeatLastWord() {
    if let prepared { say(.vote(prepared.vote)) } else { sayStanding() }
  }

  /// Takes part in sums until cancelled.
  func run() async {
    exchange.start()
    for await summed in sums { vote(summed) }
    await mesh.close()
  }

  private func prepare(_ plan: TrainingPlan) async {
    if let state, state.plan.training == plan.training,
      state.step >= plan.checkpoint?.step ?? 0
    {
      return sayStanding()
    }
    await forget()
    stand(plan.training, .preparing)
    do {
      let loaded = try await loader.load(plan, compute: compute)
      state = loaded
      free = []
      log.info("\(plan.training): ready at step \(loaded.step) of \(plan.stepsTotal)")
      stand(plan.training, .ready(step: loaded.step))
    } catch {
      log.error("\(plan.training): \(error)")
      stand(plan.training, .failed("\(error)"))
    }
  }

  private func open(_ plan: StepPlan) async {
    guard !latestEpoch.isVoid(plan.training, epoch: plan.epoch), let current = state,
      current.plan.training == plan.training
    else { return }
    if let prepared, prepared.vote.epoch == plan.epoch,
      prepared.vote.training == plan.training
    {
      return say(.vote(prepared.vote))
    }
    if epoch == plan.epoch { return }
    if let prepared, prepared.vote.step == plan.step - 1 { apply(prepared) }
    guard state?.step == plan.step, plan.members.contains(where: { $0.worker == me }) else {
      return sayStanding()
    }
    prepared = nil
    takeBack()
    epoch = plan.epoch
    log.debug("\(plan.training) step \(plan.step), epoch \(plan.epoch): begun")
    stand(plan.training, .ready(step: plan.step))
    members.replace(
      with: Dictionary(
        plan.members.map { ($0.publicKey, $0.worker.name) }, uniquingKeysWith: { first, _ in first }
      ))
    do {
      if let program = try await exchange.open(plan, count: current.trainedCount) {
        try await compute(program, of: plan)
      }
    } catch {
      log.error("\(plan.training) step \(plan.step): \(error)")
      stand(plan.training, .failed("\(error)"))
    }
  }

  /// Computes this member's ranks and hands each sum on as soon as it is complete.
  private func compute(_ program: [ReductionInstruction], of plan: StepPlan) async throws {
    var stack: [(sum: Floats, ranks: [RankStatistics])] = []
    for instruction in program {
      if latestEpoch.isVoid(plan.training, epoch: plan.epoch) { return }
      switch instruction {
      case .push(let rank):
        let gradient = borrow()
        let loss = try state?.gradient(step: plan.step, rank: rank, into: gradient)
        stack.append(
          (
            gradient,
            [RankStatistics(rank: rank, lossSum: loss?.loss ?? 0, tokens: Int64(loss?.tokens ?? 0))]
          ))
      case .add:
        let right = stack.removeLast()
        let left = stack.removeLast()
        add(into: left.sum, right.sum, on: compute)
        free.append(right.sum)
        stack.append((left.sum, left.ranks + right.ranks))
      case .emit(let node):
        let (sum, ranks) = stack.removeLast()
        emitted.append(sum)
        await exchange.contribute(node, sum, ranks: ranks, epoch: plan.epoch)
      case .receive: preconditionFailure("a member's own program receives nothing")
      }
    }
  }

  private func vote(_ summed: SummedStep) {
    let plan = summed.plan
    guard plan.epoch == epoch, prepared == nil, state?.plan.training == plan.training else {
      return
    }
    let loss = summed.loss.mean
    log.debug("\(plan.training) step \(plan.step), epoch \(plan.epoch): summed, loss \(loss)")
    var hash = IncrementalHash()
    for sum in summed.sums {
      sum.withUnsafeMutableBufferPointer { hash.update(UnsafeRawBufferPointer($0)) }
    }
    let vote = StepVote(
      training: plan.training, epoch: plan.epoch, step: plan.step, loss: loss,
      gradient: hash.finish())
    prepared = Prepared(vote: vote, summed: summed)
    stand(plan.training, .prepared(step: plan.step, epoch: plan.epoch), saying: false)
    say(.vote(vote))
  }

  private func apply(_ step: Prepared) {
    state?.apply(step.summed, on: compute)
    prepared = nil
    takeBack()
    if let state { stand(state.plan.training, .ready(step: state.step)) }
  }

  private func forget() async {
    await exchange.forget()
    state = nil
    prepared = nil
    (free, emitted) = ([], [])
    standing.set(nil)
  }

  private func stand(
    _ training: TrainingID, _ new: TrainingStanding, saying: Bool = true
  ) {
    standing.set(StandingBoard.Entry(training: training, standing: new))
    if saying { sayStanding() }
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

  private func borrow() -> Floats {
    free.popLast() ?? Floats(zeros: state?.trainedCount ?? 0)
  }

  /// The exchange is over: its vectors may be used again.
  private func takeBack() {
    free += emitted
    emitted = []
  }
}
