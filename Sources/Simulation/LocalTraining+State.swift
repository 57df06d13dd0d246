import Domain
import Scheduling

// A training's state on disks, and its student.

extension Simulator {
  func momentsLoaded(segment: Int, epoch: UInt64, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.epochSeen == epoch, let plan = local.member?.plan
    else { return }
    switch plan.base {
    case nil: return
    case .beginning:
      let range = simulatedGrid.range(ofSegment: segment)
      let zeros = [Float](repeating: 0, count: range.count)
      put([zeros, zeros, Array(local.weights[range])], segment, worker)
    case .checkpoint(let checkpoint):
      guard reachesCoordinator(worker) else {
        schedule(
          .momentsLoaded(segment: segment, epoch: epoch), for: worker, after: .seconds(1))
        return
      }
      let saved = manifests[checkpoint.state]?.first { $0.segment == segment }
      guard let moments = saved.flatMap({ blobs[$0.moments] }) else { return }
      let range = simulatedGrid.range(ofSegment: segment)
      let parts = range.isEmpty ? 0 : moments.count / range.count
      put(
        (0..<parts).map { Array(moments[$0 * range.count..<($0 + 1) * range.count]) }, segment,
        worker)
    }
    decide(worker) { $0.loaded(segment: segment) }
  }

  /// - Parameter parts: first moments, second ones, master weights where there are any.
  func put(_ parts: [[Float]], _ segment: Int, _ worker: SimulatedWorker) {
    guard var local = worker.training else { return }
    for (part, vector) in zip(parts, [\LocalTraining.first, \.second, \.master]) {
      put(part, segment, &local[keyPath: vector])
    }
    worker.training = local
  }

  func segmentSaved(
    _ id: TrainingID, step: Int, segment: Int, weights: [Float], moments: [Float],
    _ worker: SimulatedWorker
  ) {
    guard reachesCoordinator(worker) else {
      schedule(
        .segmentSaved(id, step: step, segment: segment, weights: weights, moments: moments),
        for: worker, after: .seconds(1))
      return
    }
    let saved = SavedSegment(
      segment: segment, weights: keep(weights, "weights"), moments: keep(moments, "moments"))
    say(.segmentSaved(id, step: step, saved), worker)
  }

  func keep(_ values: [Float], _ label: String) -> Digest {
    let digest = simulatedDigest(label, values.map { UInt64($0.bitPattern) })
    blobs[digest] = values
    return digest
  }

  func export(_ id: TrainingID, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.plan.training == id, let member = local.member,
      member.isWhole, member.step == local.plan.stepsTotal
    else { return }
    schedule(.exported(id), for: worker, after: .milliseconds(50 + random.below(1000)))
  }

  func exported(_ id: TrainingID, _ worker: SimulatedWorker) {
    guard let local = worker.training, local.plan.training == id, let member = local.member,
      reachesCoordinator(worker)
    else { return }
    let hash = digest(of: local.weights, step: member.step)
    say(
      .exported(
        TrainingExport(
          training: id, model: simulatedDigest("model", hash.words.0), weights: hash)), worker)
  }
}
