import Domain
import Foundation
import Testing

@testable import Worker

@Suite("The spool")
struct SpoolTests {
  let path = NSTemporaryDirectory() + "spool-\(UUID().uuidString)"

  func payload(_ number: Int64, bytes: Int = 40) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bytes)
  }

  @Test("gives back after a restart what was not acknowledged, and nothing else")
  func restart() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    try spool.keep((1...5).map { (JobID($0), payload($0)) })
    try spool.forget([JobID(2), JobID(4), JobID(99)])
    let again = try Spool(path: path)
    #expect(again.pending.map(\.job) == [JobID(1), JobID(3), JobID(5)])
    #expect(again.pending.map(\.payload) == [payload(1), payload(3), payload(5)])
  }

  @Test("cuts off a torn last record wherever the crash fell, and goes on from there")
  func torn() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    try spool.keep([(JobID(1), payload(1))])
    let whole = try Data(contentsOf: URL(filePath: path))
    try spool.keep([(JobID(2), payload(2))])
    let both = try Data(contentsOf: URL(filePath: path))
    for cut in whole.count..<both.count {
      try both.prefix(cut).write(to: URL(filePath: path))
      var reopened = try Spool(path: path)
      #expect(reopened.pending.map(\.job) == [JobID(1)])
      try reopened.keep([(JobID(3), payload(3))])
      #expect(try Spool(path: path).pending.map(\.job) == [JobID(1), JobID(3)])
    }
  }

  @Test("stops at a record whose bytes were changed")
  func changed() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    try spool.keep([(JobID(1), payload(1)), (JobID(2), payload(2))])
    var bytes = try Data(contentsOf: URL(filePath: path))
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: URL(filePath: path))
    #expect(try Spool(path: path).pending.map(\.job) == [JobID(1)])
  }

  @Test("stays small however many results pass through it")
  func compacts() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    let large = payload(7, bytes: 1 << 20)
    for number in 1...20 {
      try spool.keep([(JobID(Int64(number)), large)])
      try spool.forget([JobID(Int64(number) - 1)])
    }
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
    #expect(try #require(size) < 8 << 20)
    #expect(try Spool(path: path).pending.map(\.job) == [JobID(20)])
  }
}
