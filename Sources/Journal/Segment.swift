import Foundation

/// One file of a journal: `00000012-start.events` when a coordinator started with it, otherwise
/// `00000013.events`; `.z` behind it once it is closed and deflated.
struct Segment: Hashable, Sendable {
  var number: Int
  var isStart: Bool

  static let magic = Array("CMJ1".utf8)
  static let deflatedMagic = Array("CMJZ".utf8)
  /// A larger file is none of ours.
  static let bytesMax = 512 << 20

  var name: String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
      + (isStart ? "-start" : "") + ".events"
  }

  /// Nil for the name of anything else.
  init?(name: String) {
    let plain = name.hasSuffix(".z") ? String(name.dropLast(2)) : name
    guard plain.hasSuffix(".events") else { return nil }
    let stem = plain.dropLast(".events".count)
    isStart = stem.hasSuffix("-start")
    let digits = isStart ? stem.dropLast("-start".count) : stem
    guard digits.count >= 8, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
      let number = Int(digits)
    else { return nil }
    self.number = number
  }

  init(number: Int, isStart: Bool) { (self.number, self.isStart) = (number, isStart) }

  /// The store as it was when the coordinator of this segment started.
  var storeCopy: String { String(name.dropLast(".events".count)) + ".sqlite" }

  /// In their order; none where there is no folder.
  static func all(in folder: String) -> [Segment] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return Set(names.compactMap { Segment(name: $0) }).sorted { $0.number < $1.number }
  }

  /// Its bytes as they were written, its name first. A coordinator may deflate it meanwhile.
  func bytes(in folder: String) throws(JournalError) -> [UInt8] {
    let path = folder + "/" + name
    for _ in 0..<3 {
      if let raw = FileManager.default.contents(atPath: path) { return [UInt8](raw) }
      if let packed = FileManager.default.contents(atPath: path + ".z") {
        return try Self.unpacked([UInt8](packed), path: path + ".z")
      }
    }
    throw .io(path: path, reason: "cannot be read")
  }

  private static func unpacked(_ packed: [UInt8], path: String) throws(JournalError) -> [UInt8] {
    guard packed.count >= 8, packed.starts(with: deflatedMagic) else {
      throw .damaged(path: path, reason: "it does not begin as a deflated journal does")
    }
    let count = Int(word(packed[4..<8]))
    guard count <= bytesMax, let bytes = inflated(Array(packed[8...]), count: count) else {
      throw .damaged(path: path, reason: "it cannot be inflated")
    }
    return bytes
  }

  /// Puts the deflated form in the place of the plain one.
  /// - Returns: bytes on the disk then.
  func deflate(in folder: String) throws -> Int {
    let path = folder + "/" + name
    let bytes = try [UInt8](Data(contentsOf: URL(filePath: path)))
    guard let packed = deflated(bytes) else { return bytes.count }
    let all = Self.deflatedMagic + littleEndian(UInt32(bytes.count)) + packed
    let partial = path + ".partial"
    guard FileManager.default.createFile(atPath: partial, contents: Data(all)) else {
      throw JournalError.io(path: partial, reason: "cannot be written")
    }
    // The plain one goes only when the other is on the disk.
    let file = try FileHandle(forWritingTo: URL(filePath: partial))
    try file.synchronize()
    try file.close()
    // Foundation's own move does not replace what is there.
    guard unsafe rename(partial, path + ".z") == 0 else {
      throw JournalError.io(path: path + ".z", reason: "cannot be named so")
    }
    try FileManager.default.removeItem(atPath: path)
    return all.count
  }
}
