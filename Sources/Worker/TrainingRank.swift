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
    var sum: Floats
    var tokens: Int64
  }

  nonisolated let me: WorkerID
  nonisolated let latestEpoch: EpochFence
  nonisolated let standing = StandingBoard()
  private let loader: TrainingLoader
  private let links: PeerLinks
  private let control: MessageClient
  private let compute: Compute
  private let outbox: UploadQueue
  private let log: Logger

  private var state: TrainingState?
  private var exchange: StepExchange?
  private var prepared: Prepared?
  private var early = EarlyPieces()
  /// Vectors of the trained parameters' size, made once and used again.
  private var free: [Floats] = []
  /// Those that the exchange reads until the step is over.
  private var emitted: [Floats] = []

  init(
    me: WorkerID, loader: TrainingLoader, links: PeerLinks, fence: EpochFence,
    control: MessageClient, compute: Compute, outbox: UploadQueue, log: Logger
  ) {
    self.me = me
    self.loader = loader
    self.links = links
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
      if state?.plan.training == training { forget() }
    case .welcome, .refused, .helloWanted, .assign, .acknowledge, .cancel, .drain: break
    }
  }

  /// Says again what the coordinator may have missed while it was away.
  func repeatLastWord() {
    if let prepared { say(.vote(prepared.vote)) } else { sayStanding() }
  }

  /// Takes in the pieces of peers until the server is closed.
  nonisolated func receiveFromPeers(_ server: MessageServer) async {
    while let event = await server.events.next() {
      guard case .message(let incoming) = event, let head = incoming.frames.first else { continue }
      do {
        let payload = incoming.frames.count > 1 ? incoming.frames[1] : nil
        let message = try decodePeerMessage(head.bytes, payloadBytes: payload?.count ?? 0)
        guard case .segment(let header) = message, let values = payload?.floats,
          !latestEpoch.isVoid(header.training, epoch: header.epoch)
        else { continue }
        await receive(header, values, from: incoming.peer)
      } catch {
        log.warning("dropped a piece from \(incoming.peer): \(error)")
      }
    }
  }

  private func prepare(_ plan: TrainingPlan) async {
    if let state, state.plan.training == plan.training,
      state.step >= plan.checkpoint?.step ?? 0
    {
      return sayStanding()
    }
    forget()
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
    if exchange?.plan.epoch == plan.epoch { return }
    if let prepared, prepared.vote.step == plan.step - 1 { apply(prepared) }
    guard state?.step == plan.step,
      let place = plan.members.firstIndex(where: { $0.worker == me })
    else { return sayStanding() }
    prepared = nil
    takeBack()
    log.debug("\(plan.training) step \(plan.step), epoch \(plan.epoch): begun")
    var begun = StepExchange(
      plan: plan, me: place, count: current.trainedCount, compute: compute)
    let answers = early.release(into: &begun)
    exchange = begun
    stand(plan.training, .ready(step: plan.step))
    do {
      try await links.connect(to: plan.members, except: me)
      await send(answers, of: plan)
      try await computeRanks(plan)
    } catch {
      log.error("\(plan.training) step \(plan.step): \(error)")
      stand(plan.training, .failed("\(error)"))
    }
  }

  /// Computes this member's ranks and sends each sum as soon as it is complete.
  private func computeRanks(_ plan: StepPlan) async throws {
    var stack: [(sum: Floats, ranks: [RankStatistics])] = []
    for instruction in exchange?.program ?? [] {
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
        guard exchange?.plan.epoch == plan.epoch else { return }
        emitted.append(sum)
        await send(exchange?.contribute(node, sum, ranks: ranks) ?? [], of: plan)
      case .receive: preconditionFailure("a member's own program receives nothing")
      }
    }
    guard exchange?.plan.epoch == plan.epoch else { return }
    voteIfComplete()
  }

  private func receive(_ header: GradientSegment, _ values: [Float], from peer: String) async {
    guard let plan = exchange?.plan, header.training == plan.training,
      header.epoch <= plan.epoch
    else {
      early.keep(header, values, from: peer)
      return
    }
    guard exchange?.isFrom(peer, header) == true else { return }
    await send(exchange?.receive(header, values) ?? [], of: plan)
    voteIfComplete()
  }

  private func send(_ pieces: [OutgoingPiece], of plan: StepPlan) async {
    if !pieces.isEmpty { await links.send(pieces, of: plan) }
  }

  private func voteIfComplete() {
    guard let exchange, exchange.isComplete, prepared == nil else { return }
    let (loss, tokens) = exchange.loss
    let plan = exchange.plan
    log.debug("\(plan.training) step \(plan.step), epoch \(plan.epoch): summed, loss \(loss)")
    let vote = StepVote(
      training: plan.training, epoch: plan.epoch, step: plan.step, loss: loss,
      gradient: digest(of: exchange.total))
    prepared = Prepared(vote: vote, sum: exchange.total, tokens: tokens)
    stand(plan.training, .prepared(step: plan.step, epoch: plan.epoch), saying: false)
    say(.vote(vote))
  }

  private func apply(_ step: Prepared) {
    state?.apply(sum: step.sum, tokens: step.tokens, on: compute)
    prepared = nil
    exchange = nil
    takeBack()
    if let state { stand(state.plan.training, .ready(step: state.step)) }
  }

  private func forget() {
    state = nil
    prepared = nil
    exchange = nil
    early = EarlyPieces()
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
