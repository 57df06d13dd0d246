import Domain
import Testing

@testable import Scheduling

/// A run in its stage 1 with these workers, and what they hear.
struct Group {
  var driver: Driver
  let training = TrainingID.pretraining
  /// Eight segments.
  static let elements = 100

  /// Batches of two.
  init(
    _ workers: [WorkerID], samples: Int = 4, checkpointEvery: Int = 50, replication: Int = 2,
    wire: WirePrecision = .f32
  ) {
    driver = Driver(input: testInput(captions: true)) {
      $0.pretrain.wire = wire
      $0.pretrain.checkpointEvery = checkpointEvery
      $0.pretrain.replication = replication
    }
    for worker in workers { _ = driver.join(worker) }
    _ = driver.handle(.datasetBuilt(training, dataset: digest(4), samples: samples))
  }

  static func set(_ segments: [Int]) -> PieceSet {
    var set = PieceSet(none: 8)
    for segment in segments { set.insert(segment) }
    return set
  }

  static func progress(
    _ step: Int, isWhole: Bool = true, kept: [Int] = [], summed: [Int]? = nil,
    lineage: UInt64 = 0
  ) -> TrainingStanding {
    .following(
      TrainingProgress(
        lineage: lineage, elements: elements, step: step, isWhole: isWhole, kept: set(kept),
        summed: summed.map(set)))
  }

  mutating func ready(_ worker: WorkerID, _ step: Int = 0, isWhole: Bool = true) -> [Effect] {
    driver.say(.standing(training, Self.progress(step, isWhole: isWhole)), worker)
  }

  /// Votes for all that the plan has the worker keep, and for what it fetched when `acquires`.
  mutating func vote(
    _ worker: WorkerID, _ plan: StepPlan, check: UInt64 = 1, acquires: Bool = false,
    computing: Duration = .seconds(1)
  ) -> [Effect] {
    guard let place = plan.members.firstIndex(where: { $0.worker == worker }) else { return [] }
    let kept = plan.segments.indices.filter {
      plan.segments[$0].keepers.contains(place)
        || acquires && plan.segments[$0].newcomer == place
    }
    return driver.say(
      .vote(
        StepVote(
          training: training, epoch: plan.epoch, step: plan.step, loss: 1.5, tokens: 7,
          sums: kept.map { SegmentSum(segment: $0, sumOfSquares: 2, check: check) },
          computing: computing)), worker)
  }

  /// Lets all members of a plan vote; the plan of the next step.
  mutating func step(
    _ plan: StepPlan, acquires: Bool = false, computing: Duration = .seconds(1)
  ) throws -> StepPlan {
    var effects: [Effect] = []
    for member in plan.members {
      effects += vote(member.worker, plan, acquires: acquires, computing: computing)
    }
    let next = effects.steps(to: plan.members[0].worker).last
    return try #require(next)
  }
}

extension StepPlan {
  func kept(by worker: WorkerID) -> [Int] {
    guard let place = members.firstIndex(where: { $0.worker == worker }) else { return [] }
    return segments.indices.filter { segments[$0].keepers.contains(place) }
  }
  func acquired(by worker: WorkerID) -> [Int] {
    guard let place = members.firstIndex(where: { $0.worker == worker }) else { return [] }
    return segments.indices.filter { segments[$0].newcomer == place }
  }
}

extension [Effect] {
  func steps(to worker: WorkerID) -> [StepPlan] {
    messages(to: worker).compactMap { if case .openStep(let plan) = $0 { plan } else { nil } }
  }

  func commits(to worker: WorkerID) -> [Int] {
    messages(to: worker).compactMap {
      if case .commitStep(_, _, let step, _, _) = $0 { step } else { nil }
    }
  }

  var committed: [Int] {
    persisted.compactMap { if case .stepCommitted(_, let step, _, _) = $0 { step } else { nil } }
  }
}
