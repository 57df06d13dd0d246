import Domain
import Foundation
import Journal
import Logging
import Scheduling
import Store

/// Counts what the loop hands its machine, and records it as long as it can.
///
/// A journal explains a run, it does not carry it: when its disk fails or its limit is reached the
/// recording ends, and the run goes on as without. The count goes on, too, and into the store, so
/// that everybody who reads the journal later sees how much it lacks.
struct Recorder: Sendable {
  private var journal: JournalWriter?
  /// Events that the run's machine was handed so far.
  private(set) var events: Int64
  /// Why nothing is recorded any more.
  private(set) var end: String?
  /// Not said yet.
  private var failure: (any Error)?
  private var effects = EffectsHash()
  private var notedAt = Moment.zero

  /// Where two machines are compared in a replay.
  private static let noteEvery = Duration.seconds(1)

  /// Records nothing.
  static let none = Recorder(events: 0)

  private init(events: Int64) { self.events = events }

  /// Goes on with a run's journal, or begins it.
  ///
  /// - Parameters:
  ///   - bytesMax: nil records nothing.
  ///   - settings, revoked: what the machine is made from.
  static func open(
    _ folder: RunFolder, store: RunStore, settings: RunSettings, revoked: Set<String>,
    bytesMax: Int64?, log: Logger
  ) throws -> Recorder {
    let known = try store.machineEvents()
    var recorder = Recorder(events: known)
    guard let bytesMax else { return recorder }
    do {
      var journal = try JournalWriter(
        folder: folder.journal, bytesMax: bytesMax, storeKnew: known)
      // A run that began without a journal, or whose journal lost its end with the power.
      let isNew = try known == 0 && store.phase() == .preparing
      let copies = !(journal.isWhole && (known > 0 || isNew))
      if copies {
        log.info("the journal does not tell how the run came here: it begins with a copy")
        try journal.keepStore(bytes: store.databaseBytes()) { try store.copyDatabase(to: $0) }
      }
      try journal.begin(
        CoordinatorStart(
          startedAt: Int64((Date().timeIntervalSince1970 * 1000).rounded()), settings: settings,
          revoked: revoked, storeKnew: known, hasStoreCopy: copies, version: comdVersion))
      recorder.events = journal.events
      recorder.journal = journal
    } catch {
      recorder.failure = error
    }
    return recorder
  }

  mutating func add(_ event: Event, at now: Moment, _ effects: [Effect]) {
    events += 1
    guard journal != nil else { return }
    self.effects.combine(effects)
    do {
      try journal?.add(event, at: now, effects)
    } catch {
      fail(error)
    }
  }

  /// About once a second: how the machine stands.
  mutating func noteSometimes(_ machine: borrowing RunMachine, at now: Moment) {
    guard journal != nil, now - notedAt >= Self.noteEvery else { return }
    notedAt = now
    journal?.add(machine.standing(effects: effects))
  }

  /// Hands over what was recorded.
  /// - Returns: why the recording has ended, once.
  mutating func flush() -> String? {
    do {
      try journal?.flush()
    } catch {
      fail(error)
    }
    guard let failure else { return nil }
    self.failure = nil
    end = "\(failure)"
    return end
  }

  /// Says last how the machine stands.
  mutating func close(_ machine: borrowing RunMachine, _ log: Logger) {
    if journal != nil { journal?.add(machine.standing(effects: effects)) }
    do {
      try journal?.close()
      journal = nil
    } catch {
      fail(error)
    }
    if let failure { log.warning("the journal lacks its end: \(failure)") }
  }

  private mutating func fail(_ error: any Error) {
    journal = nil
    failure = error
  }
}
