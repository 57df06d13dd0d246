public import Domain
public import Scheduling

/// One thing that a journal tells.
public enum JournalRecord: Hashable, Sendable {
  /// A coordinator started: a machine is made from what the store had.
  case start(CoordinatorStart)
  /// The machine was handed this event at this moment since the start.
  case event(Event, at: Moment)
  /// So the machine stood after the event before.
  case standing(MachineStanding)
  /// Nothing more was recorded, for this reason, though the run went on.
  case ended(String)
}

/// All that a machine is made from, beside the store.
public struct CoordinatorStart: Hashable, Codable, Sendable {
  /// The moment zero of the events that follow, in milliseconds since 1970.
  public var startedAt: Int64
  public var settings: RunSettings
  /// Names of workers that might not take part.
  public var revoked: Set<String>
  /// How many of the run's events the store knew: what followed from later ones was lost with the
  /// process before this one.
  public var storeKnew: Int64
  /// Whether the store, as it was, lies beside the journal: it knew more than the journal tells.
  public var hasStoreCopy: Bool
  /// Of the program that decided.
  public var version: String

  /// - Parameters:
  ///   - startedAt: milliseconds since 1970.
  ///   - storeKnew: events.
  public init(
    startedAt: Int64, settings: RunSettings, revoked: Set<String>, storeKnew: Int64,
    hasStoreCopy: Bool, version: String
  ) {
    self.startedAt = startedAt
    self.settings = settings
    self.revoked = revoked
    self.storeKnew = storeKnew
    self.hasStoreCopy = hasStoreCopy
    self.version = version
  }
}

/// What a journal leaves to the run's store, which keeps it in any case.
public struct StoredParts: Sendable {
  /// The result of a job; nil when it has none.
  public var result: @Sendable (JobID) throws -> AcceptedResult?
  /// The first so many instructions of the run; nil when there are fewer.
  public var pool: @Sendable (Int) throws -> [Instruction]?

  public init(
    result: @escaping @Sendable (JobID) throws -> AcceptedResult?,
    pool: @escaping @Sendable (Int) throws -> [Instruction]?
  ) {
    self.result = result
    self.pool = pool
  }

  /// Nothing is there.
  public static let none = StoredParts(result: { _ in nil }, pool: { _ in nil })
}

/// Why a journal cannot be read on. The disk or another release is at fault, never the program.
public enum JournalError: Error, Hashable, Sendable, CustomStringConvertible {
  case notThere(folder: String)
  case io(path: String, reason: String)
  case damaged(path: String, reason: String)
  /// A record that no release like this one writes.
  case malformed(String)
  case resultMissing(JobID)
  /// The store has another result than the one that was reported.
  case resultDiffers(JobID)
  case poolMissing(Int)
  case settings(String)
  /// What it may take on the disk is taken.
  case full(folder: String, bytesMax: Int64)

  public var description: String {
    switch self {
    case .notThere(let folder): "\(folder): there is no journal of a run in it"
    case .io(let path, let reason): "\(path): \(reason)"
    case .damaged(let path, let reason): "\(path) is damaged: \(reason)"
    case .malformed(let what): "a record is not of this release's form: \(what)"
    case .resultMissing(let job): "the store has no result for \(job)"
    case .resultDiffers(let job): "the store has another result for \(job) than was reported"
    case .poolMissing(let count): "the store does not have the run's \(count) instructions"
    case .settings(let reason):
      "the settings at a start are not of this release's form (\(reason)): use the one that "
        + "recorded them"
    case .full(let folder, let bytesMax):
      "\(folder) has reached its limit of \(bytesMax) bytes (coordinator.journal in cluster.yaml)"
    }
  }
}
