/// Some records that were handed to the disk together: whole, or not there.
///
/// On the disk: 4 bytes of length, 4 of CRC-32, both lowest first, then the payload: how many
/// events of the run came before, how many are in it, the moment of the last one, and the records.
struct Frame {
  var before: Int64
  var events: Int64
  /// Since the start of its coordinator.
  var lastMoment: Int64
  /// Where its records lie.
  var records: Range<Int>

  static let headBytes = 8
  /// A frame that says it is longer is none.
  static let bytesMax = 256 << 20

  /// The bytes of a frame.
  static func sealed(
    before: Int64, events: Int64, lastMoment: Int64, records: [UInt8]
  ) -> [UInt8] {
    var frame = ByteWriter()
    // Room for the head.
    frame.raw(Array(repeating: 0, count: headBytes))
    frame.number(before)
    frame.number(events)
    frame.number(lastMoment)
    frame.raw(records)
    var bytes = frame.bytes
    let sum = crc32(bytes[headBytes...])
    bytes.replaceSubrange(..<4, with: littleEndian(UInt32(bytes.count - headBytes)))
    bytes.replaceSubrange(4..<headBytes, with: littleEndian(sum))
    return bytes
  }
}

/// The frames of a segment, and what follows the last whole one.
struct Frames {
  var frames: [Frame] = []
  /// Where the last whole frame ends.
  var wholeBytes = 0
  /// What is wrong, when it cannot be that a write was cut off.
  var problem: String?

  /// - Parameter start: where the first frame begins.
  init(_ bytes: [UInt8], from start: Int) {
    wholeBytes = start
    while wholeBytes < bytes.count {
      guard let payload = payload(bytes, at: wholeBytes) else { return }
      let isLast = payload.upperBound == bytes.count
      let isSound =
        crc32(bytes[payload]) == word(bytes[(wholeBytes + 4)..<(wholeBytes + Frame.headBytes)])
      guard isSound, let frame = frame(bytes, payload) else {
        // A write that was cut off is the last one; zeros are what a disk has in its place.
        if !isLast { problem = "the bytes from \(wholeBytes) on are not those that were written" }
        return
      }
      frames.append(frame)
      wholeBytes = payload.upperBound
    }
  }

  /// Nil where what is there is cut off.
  private mutating func payload(_ bytes: [UInt8], at place: Int) -> Range<Int>? {
    let rest = bytes.count - place
    guard rest >= Frame.headBytes else { return nil }
    let length = Int(word(bytes[place..<(place + 4)]))
    if length == 0 || length > Frame.bytesMax {
      if bytes[place...].contains(where: { $0 != 0 }) {
        problem = "the length at byte \(place) is none that was written"
      }
      return nil
    }
    guard length <= rest - Frame.headBytes else { return nil }
    return (place + Frame.headBytes)..<(place + Frame.headBytes + length)
  }

  private func frame(_ bytes: [UInt8], _ payload: Range<Int>) -> Frame? {
    var reader = ByteReader(bytes, in: payload)
    guard let before = try? reader.number(), let events = try? reader.number(),
      let moment = try? reader.number(), before >= 0, events >= 0
    else { return nil }
    return Frame(
      before: before, events: events, lastMoment: moment,
      records: reader.place..<payload.upperBound)
  }
}

func littleEndian(_ word: UInt32) -> [UInt8] {
  stride(from: 0 as UInt32, to: 32, by: 8).map { UInt8(truncatingIfNeeded: word >> $0) }
}

/// From 4 bytes, the lowest first.
func word(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
}
