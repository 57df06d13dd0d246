import Dispatch
public import Domain
import Foundation
public import Scheduling
import Synchronization

/// Records what a machine is handed, in a folder of files that are only ever appended to.
///
/// Records gather until `flush` hands them to the operating system in one write, without waiting
/// for the disk: they survive the process, not the power. A file that is full is closed and
/// deflated by a thread of its own.
public struct JournalWriter: Sendable {
  /// Events of the run so far, recorded or not.
  public private(set) var events: Int64
  /// Whether it tells all that the store knows.
  public let isWhole: Bool
  private let folder: String
  private let bytesMax: Int64
  private let closed: ClosedSegments
  private var segment: Segment
  private var file: FileHandle?
  private var encoder = RecordEncoder()
  private var segmentBytes = 0
  private var flushed: Int64

  /// A segment is closed beyond this size.
  private let segmentBytesMax: Int
  /// As many bytes wait for `flush` at most.
  private static let waitingBytesMax = 64 << 10

  /// Opens a run's journal, or makes it. What a process before this one left is deflated meanwhile.
  ///
  /// - Parameters:
  ///   - folder: the journal's own.
  ///   - bytesMax: of all its files.
  ///   - segmentBytesMax: of one file before it is deflated.
  ///   - storeKnew: events that the store knows.
  public init(
    folder: String, bytesMax: Int64, segmentBytesMax: Int = 16 << 20, storeKnew: Int64
  ) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let segments = Segment.all(in: folder)
    let told = try JournalReader.end(of: segments, in: folder)
    isWhole = storeKnew <= told
    events = max(told, storeKnew)
    flushed = events
    self.folder = folder
    self.bytesMax = bytesMax
    self.segmentBytesMax = segmentBytesMax
    segment = Segment(number: (segments.last?.number ?? 0) + 1, isStart: true)
    closed = ClosedSegments(folder: folder, segments)
  }

  /// Has the store copied beside the journal, before `begin`, when the journal is not whole.
  ///
  /// - Parameter bytes: of the store; they count to the limit.
  /// - Throws: `JournalError.full` when there is no room for it, or what `copy` throws.
  public func keepStore(bytes: Int64, _ copy: (_ path: String) throws -> Void) throws {
    guard closed.bytes + bytes <= bytesMax else {
      throw JournalError.full(folder: folder, bytesMax: bytesMax)
    }
    try copy(folder + "/" + segment.storeCopy)
    closed.count(bytes)
  }

  /// Begins a file of its own.
  public mutating func begin(_ start: CoordinatorStart) throws {
    try encoder.add(start)
    try flush()
  }

  /// - Parameter effects: what followed from it.
  public mutating func add(_ event: Event, at now: Moment, _ effects: [Effect]) throws {
    try encoder.add(event, at: now, effects)
    events += 1
    if encoder.writer.bytes.count > Self.waitingBytesMax { try flush() }
  }

  public mutating func add(_ standing: MachineStanding) { encoder.add(standing) }

  /// Hands over what waits.
  ///
  /// - Throws: `JournalError`. Nothing more can be recorded then.
  public mutating func flush() throws {
    guard !encoder.writer.bytes.isEmpty else { return }
    let frame = Frame.sealed(
      before: flushed, events: events - flushed, lastMoment: encoder.moment.nanoseconds,
      records: encoder.take())
    if closed.bytes + Int64(segmentBytes + frame.count + Self.endBytes) > bytesMax {
      if file != nil { try? writeEnd() }
      throw JournalError.full(folder: folder, bytesMax: bytesMax)
    }
    try write(frame)
    flushed = events
    if segmentBytes > segmentBytesMax { try closeSegment() }
  }

  /// Room for the last record.
  private static let endBytes = 256

  private mutating func writeEnd() throws {
    encoder.addEnd("the journal had reached its limit of \(bytesMax) bytes")
    let records = encoder.take()
    try write(
      Frame.sealed(
        before: flushed, events: 0, lastMoment: encoder.moment.nanoseconds, records: records))
  }

  /// Nothing waits; the next file's records need nothing of this one's.
  private mutating func closeSegment() throws {
    try file?.close()
    file = nil
    closed.add(segment, bytes: segmentBytes)
    segment = Segment(number: segment.number + 1, isStart: false)
    segmentBytes = 0
    encoder = RecordEncoder(after: encoder.moment)
  }

  private mutating func write(_ bytes: [UInt8]) throws {
    let path = folder + "/" + segment.name
    var bytes = bytes
    if file == nil {
      guard FileManager.default.createFile(atPath: path, contents: nil) else {
        throw JournalError.io(path: path, reason: "cannot be made")
      }
      file = try FileHandle(forWritingTo: URL(filePath: path))
      bytes = Segment.magic + bytes
    }
    try file?.write(contentsOf: Data(bytes))
    segmentBytes += bytes.count
  }

  /// Ends the recording: returns when all that is recorded lies deflated in its files.
  public mutating func close() throws {
    try flush()
    try file?.close()
    if file != nil { closed.add(segment, bytes: segmentBytes) }
    file = nil
    closed.finish()
  }
}

/// The files that nothing is added to any more; they are deflated one after the other.
private final class ClosedSegments: Sendable {
  private let folder: String
  private let queue = DispatchQueue(label: "journal", qos: .utility)
  private let total: Mutex<Int64>

  init(folder: String, _ segments: [Segment]) {
    self.folder = folder
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    total = Mutex(
      names.reduce(0) { sum, name in
        let found = try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)
        return sum + ((found?[.size] as? NSNumber)?.int64Value ?? 0)
      })
    for segment in segments where names.contains(segment.name) { deflate(segment) }
  }

  /// On the disk.
  var bytes: Int64 { total.withLock { $0 } }

  func count(_ bytes: Int64) { total.withLock { $0 += bytes } }

  func add(_ segment: Segment, bytes: Int) {
    count(Int64(bytes))
    deflate(segment)
  }

  /// A segment that cannot be deflated stays as it is, and can be read so.
  private func deflate(_ segment: Segment) {
    queue.async { [self] in
      let path = folder + "/" + segment.name
      let found = try? FileManager.default.attributesOfItem(atPath: path)
      guard let before = (found?[.size] as? NSNumber)?.int64Value,
        let after = try? segment.deflate(in: folder)
      else { return }
      count(Int64(after) - before)
    }
  }

  func finish() { queue.sync {} }
}
