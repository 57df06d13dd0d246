import Domain
import Foundation
import Hashing
import Testing

@testable import Coordinator

@Suite("The inventory of files outside the run")
struct InventoryTests {
  let folder = NSTemporaryDirectory() + "inventory-\(UUID().uuidString)"

  @Test("remembers a digest over a restart, and computes it again when the file has changed")
  func remembers() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = folder + "/a picture.jpg"
    try Data("one".utf8).write(to: URL(filePath: file))
    let inventory = Inventory(path: folder + "/inventory.tsv")
    let first = try inventory.digest(ofFile: file)
    #expect(first == Digest(hashing: "one".utf8))
    #expect(inventory.file(of: first)?.path == file)
    #expect(inventory.file(of: first)?.size == 3)
    try inventory.save()

    let again = Inventory(path: folder + "/inventory.tsv")
    #expect(again.file(of: first)?.path == file)
    try Data("three".utf8).write(to: URL(filePath: file))
    #expect(try again.digest(ofFile: file) == Digest(hashing: "three".utf8))
    // As many bytes as before, later.
    try Data("seven".utf8).write(to: URL(filePath: file))
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: 60)], ofItemAtPath: file)
    #expect(try again.digest(ofFile: file) == Digest(hashing: "seven".utf8))
  }

  @Test("knows whether all of it is there: torn, cut off or lost, its files are looked at again")
  func whole() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let saved = folder + "/inventory.tsv"
    #expect(!Inventory(path: saved).isWhole)
    let inventory = Inventory(path: saved)
    for name in ["one", "two", "three"] {
      try Data(name.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
      _ = try inventory.digest(ofFile: "\(folder)/\(name)")
    }
    try inventory.save()
    #expect(Inventory(path: saved).isWhole)
    let bytes = try Data(contentsOf: URL(filePath: saved))
    for length in 0..<bytes.count - 1 {
      try bytes.prefix(length).write(to: URL(filePath: saved))
      #expect(!Inventory(path: saved).isWhole, "\(length) bytes")
    }
    // A line in the middle that the disk has lost.
    var lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    lines[1] = "\0\0\0"
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: saved))
    #expect(!Inventory(path: saved).isWhole)
  }
}
