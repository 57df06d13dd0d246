import Domain

/// What may go wrong in a simulated history.
public struct FaultSet: OptionSet, Hashable, Sendable {
  public var rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Messages vanish.
  public static let loss = FaultSet(rawValue: 1)
  /// Messages arrive twice.
  public static let duplication = FaultSet(rawValue: 2)
  /// Messages are held up for up to seconds, and so overtake one another.
  public static let delay = FaultSet(rawValue: 4)
  /// Two machines do not hear one another, or one does not hear the other.
  public static let partitions = FaultSet(rawValue: 8)
  /// The coordinator is killed; what was not synced is lost.
  public static let coordinatorCrashes = FaultSet(rawValue: 16)
  /// Workers are killed and start again on the same disk, or for good.
  public static let workerCrashes = FaultSet(rawValue: 32)
  /// Processes stand still for a while, as under SIGSTOP.
  public static let stalls = FaultSet(rawValue: 64)
  /// The coordinator's disk takes up to seconds to sync.
  public static let slowDisk = FaultSet(rawValue: 128)
  /// Some workers compute several times slower than others.
  public static let slowWorkers = FaultSet(rawValue: 256)
  /// Workers join late and are drained.
  public static let churn = FaultSet(rawValue: 512)

  /// Connections of workers end and are made again.
  public static let brokenLines = FaultSet(rawValue: 1024)

  public static let all = FaultSet(rawValue: 2047)

  /// The names by which a command line chooses faults, each with its set.
  public static let named: [(name: String, faults: FaultSet)] = [
    ("all", .all), ("none", []), ("loss", .loss), ("duplication", .duplication),
    ("delay", .delay), ("partitions", .partitions),
    ("coordinator-crashes", .coordinatorCrashes), ("worker-crashes", .workerCrashes),
    ("stalls", .stalls), ("slow-disk", .slowDisk), ("slow-workers", .slowWorkers),
    ("churn", .churn), ("broken-lines", .brokenLines),
  ]

  /// The union of named sets, separated by commas; nil if a name is not known.
  public init?(names: String) {
    var union: FaultSet = []
    for name in names.split(separator: ",") {
      guard let known = FaultSet.named.first(where: { $0.name == name }) else { return nil }
      union.formUnion(known.faults)
    }
    self = union
  }
}

/// A machine of the simulated cluster.
enum Machine: Hashable, Sendable {
  case coordinator
  case worker(Int)
}

/// Something done to the cluster at a moment of the history.
enum FaultAction: Hashable, Sendable {
  case crash(Machine, restartAfter: Duration)
  /// For good, or until the faults are healed.
  case stop(worker: Int)
  case start(worker: Int)
  /// Its connection to the coordinator ends; it lives on and makes another one.
  case breakLine(worker: Int)
  case stall(Machine, Duration)
  /// `from` is not heard by `to` any more, and not the other way round if `bothWays`.
  case cut(from: Machine, to: Machine, bothWays: Bool, Duration)
  case slowDisk(Duration)
  case drain(worker: Int)
  /// From here on nothing goes wrong any more.
  case heal
}

/// How a history's faults are spread: drawn once, before it begins.
struct FaultPlan: Sendable {
  var actions: [(at: Duration, action: FaultAction)] = []
  /// Share of the messages that vanish, arrive twice, are held up.
  var lossShare = 0.0
  var duplicateShare = 0.0
  var delayShare = 0.0
  var delayMax = Duration.zero
  /// How much slower than the fastest each worker computes.
  var slowness: [Double]
  /// Workers that are there from the start.
  var startsWith: [Bool]
  var healAt: Duration

  init(_ faults: FaultSet, workers: Int, seed: UInt64) {
    var random = SeededRandom(seed: seed, "faults")
    slowness = (0..<workers).map { _ in
      faults.contains(.slowWorkers) && random.below(4) == 0 ? 2 + 4 * random.unit() : 1
    }
    startsWith = (0..<workers).map { worker in
      !faults.contains(.churn) || worker == 0 || random.below(3) > 0
    }
    let window = faults.isEmpty ? 0.0 : 20 + 80 * random.unit()
    healAt = .seconds(window)
    if faults.contains(.loss) { lossShare = 0.15 * random.unit() }
    if faults.contains(.duplication) { duplicateShare = 0.15 * random.unit() }
    if faults.contains(.delay) {
      delayShare = 0.3 * random.unit()
      delayMax = .milliseconds(100 + random.below(4000))
    }
    func moment(_ random: inout SeededRandom) -> Duration { .seconds(window * random.unit()) }
    func times(_ set: FaultSet, _ most: Int, _ random: inout SeededRandom) -> Int {
      faults.contains(set) ? random.below(most + 1) : 0
    }
    for (worker, isThere) in startsWith.enumerated() where !isThere {
      actions.append((moment(&random), .start(worker: worker)))
    }
    for _ in 0..<times(.coordinatorCrashes, 4, &random) {
      let down = Duration.milliseconds(100 + random.below(8000))
      actions.append((moment(&random), .crash(.coordinator, restartAfter: down)))
    }
    for _ in 0..<times(.workerCrashes, 5, &random) {
      let worker = random.below(workers)
      let down = Duration.milliseconds(100 + random.below(15000))
      let isFinal = random.below(5) == 0
      actions.append(
        (
          moment(&random),
          isFinal ? .stop(worker: worker) : .crash(.worker(worker), restartAfter: down)
        ))
    }
    for _ in 0..<times(.stalls, 3, &random) {
      let machine: Machine = random.below(3) == 0 ? .coordinator : .worker(random.below(workers))
      actions.append(
        (moment(&random), .stall(machine, .milliseconds(500 + random.below(20000)))))
    }
    for _ in 0..<times(.partitions, 4, &random) {
      let one = Machine.worker(random.below(workers))
      let other: Machine = random.below(2) == 0 ? .coordinator : .worker(random.below(workers))
      let duration = Duration.milliseconds(500 + random.below(25000))
      let isForward = random.below(2) == 0
      actions.append(
        (
          moment(&random),
          .cut(
            from: isForward ? one : other, to: isForward ? other : one,
            bothWays: random.below(2) == 0, duration)
        ))
    }
    for _ in 0..<times(.slowDisk, 2, &random) {
      actions.append((moment(&random), .slowDisk(.milliseconds(1000 + random.below(10000)))))
    }
    for _ in 0..<times(.brokenLines, 4, &random) {
      actions.append((moment(&random), .breakLine(worker: random.below(workers))))
    }
    if times(.churn, 2, &random) == 2 {
      actions.append((moment(&random), .drain(worker: random.below(workers))))
    }
    actions.append((healAt, .heal))
  }
}
