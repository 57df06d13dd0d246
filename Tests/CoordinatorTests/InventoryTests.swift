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
}
