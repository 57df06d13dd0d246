/// What a coordinator said at its log's finest level: what became durable, jobs by number, steps
/// by name, each as often as it was said; and who computed which step.
public struct RunHistory: Sendable {
  public private(set) var accepted: [Substring: Int] = [:]
  public private(set) var leased: [Substring: Int] = [:]
  /// Like `tuning 1 step 3`, in no order.
  public private(set) var steps: [Substring: Int] = [:]
  public private(set) var phases: Set<Substring> = []
  /// Names of the workers whose sums make up each committed step.
  public private(set) var members: [Substring: Set<Substring>] = [:]
  private var opened: [Attempt: Set<Substring>] = [:]

  private struct Attempt: Hashable {
    var step: Substring
    var epoch: Substring
  }

  public init(_ lines: [String] = []) { add(lines) }

  /// Takes in what one more coordinator of the run said.
  public mutating func add(_ lines: [String]) {
    for line in lines {
      if let found = line.firstMatch(of: /durable: attempt \d+ of (job \d+) accepted/) {
        accepted[found.1, default: 0] += 1
      } else if let found = line.firstMatch(of: /durable: attempt \d+ of (job \d+) leased/) {
        leased[found.1, default: 0] += 1
      } else if let found = line.firstMatch(of: /durable: phase (.*)/) {
        phases.insert(found.1)
      } else if let found = line.firstMatch(
        of: /(tuning \d+ step \d+|pretraining step \d+), epoch (\d+) opened for (\w+)#/)
      {
        opened[Attempt(step: found.1, epoch: found.2), default: []].insert(found.3)
      } else if let found = line.firstMatch(of: /durable: (.* step \d+) committed, epoch (\d+)/) {
        steps[found.1, default: 0] += 1
        members[found.1] = opened[Attempt(step: found.1, epoch: found.2)]
      }
    }
  }

  /// How many steps of a training, like `tuning 1`, were committed.
  public func stepCount(of training: String) -> Int {
    steps.keys.count { $0.hasPrefix(training + " step ") }
  }

  /// How many steps exactly these workers computed together.
  public func stepCount(by names: Set<Substring>) -> Int { members.values.count { $0 == names } }
}
