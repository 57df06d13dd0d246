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

  func attempt(_ job: Int64, _ number: Int = 1) -> JobAttempt {
    JobAttempt(JobID(job), attempt: number)
  }

  @Test("forgets the attempt that was acknowledged, and no other of the same job")
  func attempts() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    try spool.keep([(attempt(7, 1), payload(1)), (attempt(7, 300), payload(2))])
    try spool.forget([attempt(7, 1)])
    for spool in [spool, try Spool(path: path)] {
      #expect(spool.pending.map(\.of) == [attempt(7, 300)])
      #expect(spool.pending.map(\.payload) == [payload(2)])
    }
  }

  @Test("gives back after a restart what was not acknowledged, and nothing else")
  func restart() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    try spool.keep((1...5).map { (attempt($0), payload($0)) })
    try spool.forget([attempt(2), attempt(4), attempt(99)])
    let again = try Spool(path: path)
    #expect(again.pending.map(\.of) == [attempt(1), attempt(3), attempt(5)])
    #expect(again.pending.map(\.payload) == [payload(1), payload(3), payload(5)])
  }

  @Test("cuts off a torn last record wherever the crash fell, and goes on from there")
  func torn() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    try spool.keep([(attempt(1), payload(1))])
    let whole = try Data(contentsOf: URL(filePath: path))
    try spool.keep([(attempt(2), payload(2))])
    let both = try Data(contentsOf: URL(filePath: path))
    for cut in whole.count..<both.count {
      try both.prefix(cut).write(to: URL(filePath: path))
      var reopened = try Spool(path: path)
      #expect(reopened.pending.map(\.of) == [attempt(1)])
      try reopened.keep([(attempt(3), payload(3))])
      #expect(try Spool(path: path).pending.map(\.of) == [attempt(1), attempt(3)])
    }
  }

  @Test("stops at a record whose bytes were changed")
  func changed() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    try spool.keep([(attempt(1), payload(1)), (attempt(2), payload(2))])
    var bytes = try Data(contentsOf: URL(filePath: path))
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: URL(filePath: path))
    #expect(try Spool(path: path).pending.map(\.of) == [attempt(1)])
  }

  @Test("stays small however many results pass through it")
  func compacts() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    var spool = try Spool(path: path)
    let large = payload(7, bytes: 1 << 20)
    for number in 1...20 {
      try spool.keep([(attempt(Int64(number)), large)])
      try spool.forget([attempt(Int64(number) - 1)])
    }
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
    #expect(try #require(size) < 8 << 20)
    #expect(try Spool(path: path).pending.map(\.of) == [attempt(20)])
  }
}
