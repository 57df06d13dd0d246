import Domain
import Scheduling

/// What a simulated history showed.
public struct SimulationOutcome: Sendable {
  public var seed: UInt64
  /// Empty when every promise was kept.
  public var violations: [Violation]
  /// The last happenings before the first violation, oldest first; empty without one.
  public var history: [String]
  /// What went wrong in it, in words.
  public var faults: [String]
  /// From the start to the end of the run, in simulated time.
  public var simulatedTime: Duration
  /// Happenings that were gone through.
  public var events: Int
  public var counts: SimulationCounts
  /// A hash over every happening in its order, where it was asked for.
  public var fingerprint: UInt64?

  /// How to see this history again.
  public var replayCommand: String { "comd simulate --seeds \(seed)..\(seed)" }
}

/// Runs one history with faults, and the same run undisturbed, and compares them.
///
/// Everything follows from the seed: the world (pool, pictures, judges), the number of workers,
/// each message's fate, each crash. First faults, then healing, after which the run has to end.
///
/// - Parameters:
///   - faults: what may go wrong; `[]` for an undisturbed history.
///   - bug: a mistake to be found, in tests of the checkers themselves.
///   - fingerprinted: whether the outcome has a `fingerprint`, which takes longer.
public func simulate(
  seed: UInt64, faults: FaultSet, bug: PlantedBug? = nil, fingerprinted: Bool = false
) -> SimulationOutcome {
  simulate(seed: seed, faults: faults, bug: bug, fingerprinted: fingerprinted) { $0 }
}

/// Runs a history in which nothing goes wrong but that one of three workers is killed, for good,
/// before a message of a training's step is taken in, or before anything else that a member does
/// then.
///
/// - Parameters:
///   - boundary: from 0.
///   - wire: of the training.
///   - virtualRanks: of the training; nil: as the seed has it.
///   - slowness: of each worker, times the fastest's.
/// - Returns: nil when the step has fewer.
func simulate(
  seed: UInt64, killing worker: Int, at boundary: Int, wire: WirePrecision,
  virtualRanks: Int? = nil, slowness: [Double] = [1, 1, 1]
) -> SimulationOutcome? {
  var world = World(seed: seed)
  world.settings.pretrain.wire = wire
  if let virtualRanks { world.settings.pretrain.virtualRanks = virtualRanks }
  var nothing = FaultPlan([], workers: 3, seed: seed)
  nothing.slowness = slowness
  let undisturbed = Simulator(seed: seed, world: world, plan: nothing, workers: 3)
  undisturbed.run()
  if undisturbed.boundaries <= boundary { return nil }
  let expected = RunReport(undisturbed.store, completion: undisturbed.completion)
  let simulator = Simulator(
    seed: seed, world: world, plan: nothing, workers: 3, expectedLosses: expected.losses)
  simulator.kill = Simulator.Kill(worker: worker, boundary: boundary)
  simulator.run()
  var violations = simulator.violations
  if violations.isEmpty {
    violations = RunReport(simulator.store, completion: simulator.completion)
      .differences(from: expected)
  }
  return SimulationOutcome(
    seed: seed, violations: violations, history: simulator.history.lines, faults: [],
    simulatedTime: simulator.now.sinceStart, events: simulator.events, counts: simulator.counts)
}

/// As above, with a part of the faults.
func simulate(
  seed: UInt64, faults: FaultSet, bug: PlantedBug?, fingerprinted: Bool = false,
  reduced: (FaultPlan) -> FaultPlan
) -> SimulationOutcome {
  var random = SeededRandom(seed: seed, "cluster")
  let world = World(seed: seed)
  let undisturbed = Simulator(
    seed: seed, world: world, plan: FaultPlan([], workers: 3, seed: seed), workers: 3)
  undisturbed.run()
  let expected = RunReport(undisturbed.store, completion: undisturbed.completion)
  let workers = 2 + random.below(4)
  let plan = reduced(FaultPlan(faults, workers: workers, seed: seed))
  let simulator = Simulator(
    seed: seed, world: world, plan: plan, workers: workers, bug: bug,
    expectedLosses: expected.losses, fingerprinted: fingerprinted)
  simulator.run()
  var violations = undisturbed.violations + simulator.violations
  if violations.isEmpty {
    violations = RunReport(simulator.store, completion: simulator.completion)
      .differences(from: expected)
  }
  return SimulationOutcome(
    seed: seed, violations: violations,
    history: violations.isEmpty ? [] : simulator.history.lines, faults: plan.words,
    simulatedTime: simulator.now.sinceStart, events: simulator.events,
    counts: simulator.counts, fingerprint: simulator.history.fingerprint)
}
