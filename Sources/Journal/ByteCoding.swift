import Domain

/// Bytes in the making: whole numbers in 7 bits a byte, the lowest first.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func byte(_ byte: UInt8) { bytes.append(byte) }

  mutating func word(_ word: UInt64) {
    var rest = word
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// Small ones of either sign are short.
  mutating func number(_ number: Int64) {
    word(UInt64(bitPattern: number << 1 ^ number >> 63))
  }

  mutating func count(_ count: Int) { word(UInt64(count)) }
  mutating func job(_ job: JobID) { word(UInt64(bitPattern: job.number)) }

  mutating func raw(_ more: [UInt8]) { bytes += more }

  /// With its length before it.
  mutating func block(_ block: [UInt8]) {
    count(block.count)
    bytes += block
  }

  mutating func text(_ text: String) { block(Array(text.utf8)) }

  mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
}

/// Reads what `ByteWriter` wrote, and trusts nothing.
struct ByteReader {
  private let bytes: [UInt8]
  private(set) var place: Int
  private let end: Int

  init(_ bytes: [UInt8]) { self.init(bytes, in: 0..<bytes.count) }

  init(_ bytes: [UInt8], in range: Range<Int>) {
    self.bytes = bytes
    (place, end) = (range.lowerBound, range.upperBound)
  }

  var isAtEnd: Bool { place == end }

  mutating func byte() throws(JournalError) -> UInt8 {
    guard place < end else { throw .malformed("it ends too early") }
    defer { place += 1 }
    return bytes[place]
  }

  mutating func word() throws(JournalError) -> UInt64 {
    var word: UInt64 = 0
    for shift in stride(from: 0 as UInt64, to: 70, by: 7) {
      let next = try byte()
      if shift == 63, next > 1 { break }
      word |= UInt64(next & 0x7f) << shift
      if next < 0x80 { return word }
    }
    throw .malformed("a number is too long")
  }

  mutating func number() throws(JournalError) -> Int64 {
    let word = try word()
    return Int64(bitPattern: word >> 1) ^ -Int64(bitPattern: word & 1)
  }

  /// A number that is not negative as an `Int`.
  mutating func count() throws(JournalError) -> Int {
    guard let count = Int(exactly: try word()) else { throw .malformed("a count is too large") }
    return count
  }

  mutating func job() throws(JournalError) -> JobID { JobID(Int64(bitPattern: try word())) }

  mutating func raw(_ count: Int) throws(JournalError) -> [UInt8] {
    guard count >= 0, count <= end - place else { throw .malformed("it ends too early") }
    defer { place += count }
    return Array(bytes[place..<place + count])
  }

  mutating func block() throws(JournalError) -> [UInt8] { try raw(try count()) }

  mutating func text() throws(JournalError) -> String {
    guard let text = String(validating: try block(), as: UTF8.self) else {
      throw .malformed("a text is not UTF-8")
    }
    return text
  }

  /// As many values as were counted; each takes a byte at least, so that bytes bound the count.
  mutating func list<Value>(
    _ read: (inout ByteReader) throws -> Value
  ) throws -> [Value] {
    let count = try count()
    guard count <= end - place else { throw JournalError.malformed("a list is too long") }
    var values: [Value] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try read(&self)) }
    return values
  }
}
