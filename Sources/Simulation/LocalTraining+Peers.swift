import Domain
import Scheduling

// What members of a training say to each other.

extension Simulator {
  func tellPeer(_ parts: [PeerPart], _ peer: WorkerID, _ worker: SimulatedWorker) {
    guard let local = worker.training, let number = workerNumbers[peer.name] else { return }
    let message = PeerMessage(
      training: local.plan.training, epoch: local.epochSeen, parts: parts)
    let copies = network.fate(from: .worker(worker.number), to: .worker(number), at: now)
    if copies.isEmpty { worker.training?.lost[peer, default: []] += parts }
    for delay in copies {
      queue.schedule(.toPeer(message, from: worker.id, peer), at: now + delay)
    }
  }

  /// Real connections lose nothing while they stand: what was lost here is sent again.
  func exchangeAgain(epoch: UInt64, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.epochSeen == epoch, local.member?.plan != nil else {
      return
    }
    let lost = local.lost
    worker.training?.lost = [:]
    for peer in lost.keys.sorted() {
      let parts = lost[peer]?.filter { if case .ask = $0 { false } else { true } } ?? []
      if !parts.isEmpty { tellPeer(parts, peer, worker) }
    }
    decide(worker) { $0.askAgain() }
    schedule(.exchange(epoch: epoch), for: worker, after: .seconds(1))
  }

  func hear(_ message: PeerMessage, from sender: WorkerID, _ worker: SimulatedWorker) {
    guard let local = worker.training, message.training == local.plan.training else { return }
    guard local.member != nil, message.epoch <= local.epochSeen else {
      if local.early.count < 64 { worker.training?.early.append((message, sender)) }
      return
    }
    for part in message.parts {
      switch part {
      case .ask(let what, let segment, let step):
        decide(worker) { $0.asked(what, segment: segment, step: step, by: sender) }
      case .cell(.state(let what, let step), let cell, let values, _):
        decide(worker) {
          $0.received(.state(what, step: step), cell: cell, values, ranks: [], from: sender)
        }
      case .cell(.change(let step), let cell, let values, _):
        decide(worker) {
          $0.received(.change(step: step), cell: cell, values, ranks: [], from: sender)
        }
      case .cell(let what, let cell, let values, let ranks):
        guard message.epoch == worker.training?.epochSeen else { continue }
        var values = values
        if bug == .sumInArrivalOrder, case .partial = what {
          values = inArrivalOrder(values, cell, worker)
        }
        decide(worker) { $0.received(what, cell: cell, values, ranks: ranks, from: sender) }
      }
    }
  }

  /// A planted mistake: what came first is added to what comes next, wherever they stand in the
  /// tree.
  func inArrivalOrder(
    _ values: [Float], _ cell: Int, _ worker: SimulatedWorker
  ) -> [Float] {
    if let first = worker.training?.held.removeValue(forKey: cell) {
      return zip(first, values).map { $0 + $1 }
    }
    worker.training?.held[cell] = values
    return values.map { _ in 0 }
  }
}
