import Foundation
import TestSupport
import Testing

@testable import Transport

@Suite("A file that is held for another process")
struct HeldFileTests {
  private func append(_ bytes: [UInt8], to writer: inout HeldFile.Writer) throws {
    try writer.append(Frame(bytes).payload)
  }

  /// As another process opens it; this one has its own numbers, too.
  private func opened(_ file: HeldFile, offset: Int64 = 0, size: Int64? = nil) -> HeldFile? {
    HeldFile(
      process: file.process, descriptor: file.descriptor, offset: file.offset + offset,
      size: size ?? file.size)
  }

  @Test("in memory gives each range that was cut from it, whoever opens it, until all are gone")
  func memory() throws {
    var writer = try HeldFile.Writer()
    let (first, second) = (randomBytes(70_001), randomBytes(3))
    try append(first, to: &writer)
    let one = writer.cut()
    try append(Array(second[..<2]), to: &writer)
    try append(Array(second[2...]), to: &writer)
    let two = writer.cut()
    #expect((one.size, two.size, writer.cut().size) == (70_001, 3, 0))
    for (file, bytes) in [(one, first), (two, second)] {
      let other = try #require(opened(file))
      #expect(try file.read(offset: 0, length: 1 << 20) == bytes)
      #expect(try other.read(offset: 0, length: 1 << 20) == bytes)
      #expect(try other.read(offset: 2, length: 1) == [bytes[2]])
      #expect(try other.read(offset: file.size, length: 5) == [])
    }
  }

  @Test("of a folder is read after its name has gone, and ends where it was cut off")
  func named() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let bytes = randomBytes(1000)
    let path = try folder.write("blob", bytes)
    let file = try HeldFile(path: path)
    let other = try #require(opened(file))
    try FileManager.default.removeItem(atPath: path)
    #expect(try other.read(offset: 10, length: 5000) == Array(bytes[10...]))
    let cut = try folder.write("cut", bytes)
    let short = try HeldFile(path: cut)
    try FileHandle(forWritingTo: URL(filePath: cut)).truncate(atOffset: 4)
    #expect(try short.read(offset: 0, length: 1000) == Array(bytes[..<4]))
    #expect(try short.read(offset: 4, length: 1000) == [])
  }

  @Test("is opened only where there is such a file, of that size at least")
  func strangers() throws {
    var writer = try HeldFile.Writer()
    try append([1, 2, 3], to: &writer)
    let file = writer.cut()
    #expect(opened(file, offset: 1, size: 2) != nil)
    #expect(opened(file, size: 4) == nil && opened(file, offset: 1) == nil)
    #expect(opened(file, offset: -1) == nil && opened(file, size: -1) == nil)
    #expect(opened(file, offset: .max, size: .max) == nil)
    #expect(HeldFile(process: file.process, descriptor: 1 << 30, offset: 0, size: 0) == nil)
    #expect(HeldFile(process: 0, descriptor: file.descriptor, offset: 0, size: 0) == nil)
    // No regular file: nothing is read from it.
    let pipe = Pipe()
    let end = Int(pipe.fileHandleForReading.fileDescriptor)
    #expect(HeldFile(process: file.process, descriptor: end, offset: 0, size: 0) == nil)
    #expect(throws: TransportError.self) { try HeldFile(path: NSTemporaryDirectory()) }
    #expect(throws: TransportError.self) { try HeldFile(path: "/nowhere/at/all") }
  }
}
