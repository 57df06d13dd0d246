public import Domain
public import Scheduling

/// All that one coordinator of a simulated history was made from and handed, and what it decided.
public struct RecordedLife: Sendable {
  public var settings: RunSettings
  public var restored: RestoredRun
  public var turns: [RecordedTurn] = []

  /// A machine as it was at the beginning.
  public var machine: RunMachine {
    RunMachine(
      settings: settings, restored: restored,
      address: { simulatedDigest($0.canonicalBytes) }, at: .zero)
  }
}

public struct RecordedTurn: Sendable {
  public var event: Event
  public var moment: Moment
  public var effects: [Effect]
}

/// The coordinators of one history, each up to its crash, the last one to the end of the run.
public func recordedLives(seed: UInt64, faults: FaultSet) -> [RecordedLife] {
  var random = SeededRandom(seed: seed, "cluster")
  let workers = 2 + random.below(4)
  let simulator = Simulator(
    seed: seed, world: World(seed: seed),
    plan: FaultPlan(faults, workers: workers, seed: seed), workers: workers, recorded: true)
  simulator.run()
  return simulator.recording ?? []
}

extension Simulator {
  /// What the present coordinator was handed.
  func record(_ turn: RecordedTurn) {
    guard let present = recording?.indices.last else { return }
    recording?[present].turns.append(turn)
  }
}
