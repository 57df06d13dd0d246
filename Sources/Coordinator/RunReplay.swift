public import Foundation
import Domain
import Hashing
import Journal
import Scheduling
import Store

/// Goes through a run's past once more: hands the events of its journal to fresh machines, which
/// decide as the coordinator's did, and compares the two.
///
/// The run's folder is only read, also while a coordinator works on it.
public struct RunReplay: Sendable {
  private let folder: RunFolder
  private let journal: JournalReader
  private let store: StoreView
  /// Read before the journal, which may grow meanwhile.
  private let storeKnows: Int64

  /// - Throws: `JournalError` or `StoreError` when there is nothing to be replayed.
  public init(runFolder: String) throws {
    folder = RunFolder(path: runFolder)
    store = try StoreView(runFolder: runFolder)
    storeKnows = try store.machineEvents()
    journal = try JournalReader(folder: folder.journal)
  }

  /// When the first coordinator started.
  public var begins: Date { Date(of: journal.starts[0].start, .zero) }
  /// When the last event came.
  public var ends: Date {
    Date(of: journal.starts[journal.starts.count - 1].start, journal.lastMoment)
  }

  /// Replays from the beginning to a moment.
  ///
  /// - Parameters:
  ///   - until: nil for all there is.
  ///   - onHappening: hears every note, with its time.
  ///   - onProgress: hears how many events were replayed and how many there are.
  /// - Throws: `JournalError` or `StoreError` where the journal cannot be read on, and whatever
  ///   `onProgress` throws.
  public func run(
    until: Date? = nil, onHappening: (StatusReport.Happening) -> Void = { _ in },
    onProgress: (Int, Int) throws -> Void = { _, _ in }
  ) throws -> ReplayedRun {
    let stored = StoredParts(
      result: { [store] job in try store.acceptedResult(of: job) },
      pool: { [store] count in try store.instructions(first: count) })
    var replay = ReplayedRun(starts: journal.starts)
    defer { replay.forgetStore() }
    try journal.read(stored, storeKnows: storeKnows) { record, events in
      if let until, let time = replay.time(of: record), time > until { return false }
      try replay.take(record, events: events, onHappening)
      if events % 4096 == 0 { try onProgress(Int(events), Int(journal.events)) }
      return replay.difference == nil
    }
    try onProgress(Int(replay.events), Int(journal.events))
    if until.map({ $0 > ends }) ?? true, replay.difference == nil, storeKnows > replay.events {
      replay.difference =
        "the journal ends at \(written(ends)), before what the store knew: "
        + "\(storeKnows - replay.events) events are not in it"
    }
    return replay
  }
}

/// A run as it was at a moment of its past.
public struct ReplayedRun {
  /// The first thing in which the replay is not what happened; nil when it is the truth.
  public internal(set) var difference: String?
  /// Events that were replayed, and comparisons that were made.
  public private(set) var events: Int64 = 0
  public private(set) var comparisons = 0
  /// Events that were never recorded, or were lost with the power; what follows them begins with
  /// a copy of the store.
  public private(set) var lacking: Int64 = 0

  private let starts: [JournalReader.Start]
  private var started = 0
  private var machine: RunMachine?
  private var effects = EffectsHash()
  private var moment = Moment.zero
  private var recent: [StatusReport.Happening] = []
  private var keeper = Keeper()

  private static let recentMax = 12

  init(starts: [JournalReader.Start]) { self.starts = starts }

  /// When the last event came.
  public var time: Date { present.map { Date(of: $0, moment) } ?? Date(timeIntervalSince1970: 0) }

  /// What `comd status` would have said; nil before the first event.
  public var status: StatusReport? {
    machine.map { machine in
      StatusReport(
        machine.snapshot(at: moment), why: machine.explain(.phase, at: moment).description,
        recent: recent)
    }
  }

  /// What `comd explain` would have said.
  public func explain(_ words: String?) -> String {
    machine?.explain(ExplanationSubject(words: words), at: moment).description
      ?? "no coordinator was there yet"
  }

  private var present: CoordinatorStart? { started > 0 ? starts[started - 1].start : nil }

  /// Nil for what has no time of its own.
  func time(of record: JournalRecord) -> Date? {
    switch record {
    case .start(let start): Date(of: start, .zero)
    case .event(_, let moment): present.map { Date(of: $0, moment) }
    case .standing, .ended: nil
    }
  }

  mutating func take(
    _ record: JournalRecord, events: Int64, _ onHappening: (StatusReport.Happening) -> Void
  ) throws {
    let missing = events - self.events
    self.events = events
    switch record {
    case .start(let start):
      try begin(start)
      tell("a coordinator started", onHappening)
      if start.hasStoreCopy {
        lacking += missing
        tell("\(missing) events before this start are not in the journal", onHappening)
      }
    case .event(let event, let moment):
      guard var machine = machine.take() else { return }
      self.moment = moment
      let following = machine.handle(event, at: moment)
      self.machine = machine
      effects.combine(following)
      try keep(following)
      for case .note(let note) in following { tell(note.description, onHappening) }
    case .standing(let standing):
      comparisons += 1
      guard let mine = machine?.standing(effects: effects),
        let difference = mine.difference(fromRun: standing)
      else { return }
      self.difference =
        "the replay differs from what happened at \(written(time)), after event \(events): "
        + difference
    case .ended(let reason): tell("the recording ended: \(reason)", onHappening)
    }
  }

  /// A machine as the coordinator made it: from what the store knew.
  private mutating func begin(_ start: CoordinatorStart) throws {
    // Nothing is told of one that was cut off before it said anything: both lists are of the rest.
    started += 1
    moment = .zero
    effects = EffectsHash()
    let restored = try keeper.restored(
      copy: start.hasStoreCopy ? starts[started - 1].storeCopy : nil)
    machine = RunMachine(
      settings: start.settings, restored: restored, revoked: start.revoked,
      address: { Digest(of: $0) }, at: .zero)
  }

  /// What becomes durable is wanted at the next start alone, and as far as the store knew it then.
  private mutating func keep(_ effects: [Effect]) throws {
    guard started < starts.count, !starts[started].start.hasStoreCopy,
      events <= starts[started].start.storeKnew
    else { return }
    let changes = effects.compactMap { if case .persist(let change) = $0 { change } else { nil } }
    try keeper.keep(changes)
  }

  private mutating func tell(
    _ what: String, _ onHappening: (StatusReport.Happening) -> Void
  ) {
    let happening = StatusReport.Happening(at: time.timeIntervalSince1970, what: what)
    if recent.count == Self.recentMax { recent.removeFirst() }
    recent.append(happening)
    onHappening(happening)
  }

  mutating func forgetStore() { keeper.remove() }
}

/// A store of the replay's own, out of which a machine is made at a start as in the run: the same
/// code reads it in the same order.
private struct Keeper {
  private let folder = NSTemporaryDirectory() + "comd-replay-\(UUID().uuidString)"
  private var store: RunStore?
  private var waiting: [Change] = []

  /// Changes that wait for one commit: each of them waits for the disk.
  private static let waitingMax = 20_000

  mutating func keep(_ changes: [Change]) throws {
    waiting += changes
    if waiting.count > Self.waitingMax { try commit() }
  }

  private mutating func commit() throws {
    let store = try store ?? RunStore(folder: folder)
    self.store = store
    try store.commit(waiting)
    waiting.removeAll(keepingCapacity: true)
  }

  /// - Parameter copy: of the run's store, which counts in place of what was kept.
  mutating func restored(copy: String?) throws -> RestoredRun {
    if let copy {
      remove()
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: copy, toPath: folder + "/run.sqlite")
      store = try RunStore(folder: folder)
    } else if store == nil, waiting.isEmpty {
      return RestoredRun()
    } else {
      try commit()
    }
    return try store?.restore() ?? RestoredRun()
  }

  mutating func remove() {
    waiting = []
    try? store?.close()
    store = nil
    try? FileManager.default.removeItem(atPath: folder)
  }
}

extension Date {
  fileprivate init(of start: CoordinatorStart, _ moment: Moment) {
    self.init(
      timeIntervalSince1970: Double(start.startedAt) / 1000 + moment.sinceStart.inSeconds)
  }
}

/// A time of this place, to the second.
public func written(_ time: Date) -> String {
  let formatter = DateFormatter()
  formatter.locale = Locale(identifier: "en_US_POSIX")
  formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
  return formatter.string(from: time)
}
