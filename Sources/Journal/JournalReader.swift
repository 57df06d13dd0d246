public import Domain
import Foundation
import Scheduling

/// Reads a run's journal from its beginning, also while a coordinator goes on writing it.
public struct JournalReader: Sendable {
  /// The start of a coordinator.
  public struct Start: Sendable {
    public var start: CoordinatorStart
    /// Events of the run before it.
    public var before: Int64
    /// The copy of the store that lies beside it, where it says that there is one.
    public var storeCopy: String
    fileprivate var segment: Int
  }

  private let folder: String
  private let segments: [Segment]
  /// In their order; one at least.
  public let starts: [Start]
  /// Events that it tells of, and the moment of the last since the last start.
  public let events: Int64
  public let lastMoment: Moment

  /// - Throws: `JournalError` when there is none, or one that cannot be read.
  public init(folder: String) throws {
    self.folder = folder
    segments = Segment.all(in: folder)
    var starts: [Start] = []
    for segment in segments where segment.isStart {
      // One that was cut off before its first frame was whole tells nothing.
      guard let start = try Self.start(of: segment, in: folder) else { continue }
      starts.append(start)
    }
    guard !starts.isEmpty else { throw JournalError.notThere(folder: folder) }
    self.starts = starts
    let last = try Self.lastFrame(of: segments, in: folder)
    events = last.map { $0.before + $0.events } ?? 0
    lastMoment = Moment(nanoseconds: last?.lastMoment ?? 0)
  }

  private static func start(of segment: Segment, in folder: String) throws -> Start? {
    let bytes = try segment.bytes(in: folder)
    let frames = Frames(bytes, from: Segment.magic.count)
    guard let frame = frames.frames.first else {
      if let problem = frames.problem {
        throw JournalError.damaged(path: folder + "/" + segment.name, reason: problem)
      }
      return nil
    }
    var reader = ByteReader(bytes, in: frame.records)
    var decoder = RecordDecoder(.none)
    guard case .start(let start) = try decoder.next(&reader) else { return nil }
    return Start(
      start: start, before: frame.before, storeCopy: folder + "/" + segment.storeCopy,
      segment: segment.number)
  }

  /// How many events the journal tells of.
  static func end(of segments: [Segment], in folder: String) throws -> Int64 {
    try lastFrame(of: segments, in: folder).map { $0.before + $0.events } ?? 0
  }

  private static func lastFrame(of segments: [Segment], in folder: String) throws -> Frame? {
    for segment in segments.reversed() {
      let bytes = try segment.bytes(in: folder)
      if let last = Frames(bytes, from: Segment.magic.count).frames.last { return last }
    }
    return nil
  }

  /// Hands out every record, in order.
  ///
  /// - Parameters:
  ///   - stored: the run's store.
  ///   - storeKnows: events that it knows. What a later event reported may be missing there: it was
  ///     lost with its coordinator, and the records go on at the next start.
  ///   - body: is given each record and how many events there were with it; false to stop.
  /// - Throws: `JournalError`, or what `stored` and `body` throw.
  public func read(
    _ stored: StoredParts, storeKnows: Int64,
    _ body: (JournalRecord, _ events: Int64) throws -> Bool
  ) throws {
    var position = Position(decoder: RecordDecoder(stored))
    for segment in segments {
      if segment.isStart, position.isLost {
        position.isLost = false
        position.skipped = true
      }
      if position.isLost { continue }
      position.decoder = RecordDecoder(stored, after: position.moment)
      let path = folder + "/" + segment.name
      let bytes = try segment.bytes(in: folder)
      guard bytes.starts(with: Segment.magic) || bytes.count < Segment.magic.count else {
        throw JournalError.damaged(path: path, reason: "it does not begin as a journal does")
      }
      let frames = Frames(bytes, from: Segment.magic.count)
      let known = starts.first { $0.segment > segment.number }?.start.storeKnew ?? storeKnows
      for frame in frames.frames where !position.isLost {
        let reader = ByteReader(bytes, in: frame.records)
        guard try read(frame, reader, &position, path: path, storeKnows: known, body) else {
          return
        }
      }
      if let problem = frames.problem, !position.isLost {
        throw JournalError.damaged(path: path, reason: problem)
      }
    }
  }

  private struct Position {
    var decoder: RecordDecoder
    var events: Int64 = 0
    var moment: Int64 = 0
    /// Until the next start nothing can be read.
    var isLost = false
    /// The events before the next record were not all counted.
    var skipped = false
  }

  private func read(
    _ frame: Frame, _ records: ByteReader, _ position: inout Position, path: String,
    storeKnows: Int64, _ body: (JournalRecord, Int64) throws -> Bool
  ) throws -> Bool {
    var reader = records
    var isFirst = true
    while !reader.isAtEnd {
      let record: JournalRecord
      do {
        record = try position.decoder.next(&reader)
      } catch let error as JournalError where error.isOfStore && position.events >= storeKnows {
        position.isLost = true
        return true
      }
      if isFirst, frame.before != position.events {
        guard case .start(let start) = record, start.hasStoreCopy || position.skipped else {
          throw JournalError.damaged(
            path: path,
            reason: "event \(position.events + 1) should follow, event \(frame.before + 1) does")
        }
        position.events = frame.before
      }
      isFirst = false
      position.skipped = false
      switch record {
      case .start: position.moment = 0
      case .event(_, let moment):
        position.events += 1
        position.moment = moment.nanoseconds
      case .standing, .ended: break
      }
      if try !body(record, position.events) { return false }
    }
    return true
  }
}

extension JournalError {
  /// Something that the journal left to the store is not there.
  fileprivate var isOfStore: Bool {
    switch self {
    case .resultMissing, .resultDiffers, .poolMissing: true
    case .notThere, .io, .damaged, .malformed, .settings, .full: false
    }
  }
}
