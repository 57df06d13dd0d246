import ArgumentParser
import Foundation
import Testing

@testable import CommandLineTool

@Suite("A time of a run's past")
struct PastTimeTests {
  private let calendar = Calendar(identifier: .gregorian)

  private func date(_ day: Int, _ hour: Int, _ minute: Int, _ second: Int = 0) throws -> Date {
    try #require(
      calendar.date(
        from: DateComponents(
          year: 2026, month: 11, day: day, hour: hour, minute: minute, second: second)))
  }

  @Test("is a time of day, a date with a time, or a time since the start")
  func forms() throws {
    let run = try date(27, 18, 0)...date(29, 2, 30)
    func found(_ text: String) throws -> Date {
      try #require(PastTime(argument: text)).date(in: run, "--to")
    }
    #expect(try found("+90m") == date(27, 19, 30))
    #expect(try found("2026-11-28 14:05") == date(28, 14, 5))
    #expect(try found("2026-11-28 14:05:09") == date(28, 14, 5, 9))
    // The last such time that there was.
    #expect(try found("2:05") == date(29, 2, 5))
    #expect(try found("02:30:00") == date(29, 2, 30))
    #expect(try found("14:05:30") == date(28, 14, 5, 30))
    #expect(throws: ValidationError.self) { try found("2026-11-26 14:05") }
  }

  @Test(
    "is nothing else", arguments: ["noon", "25:00", "3:60", "+", "+x", "14", "2026-13-01 3:00"])
  func others(text: String) {
    #expect(PastTime(argument: text) == nil)
  }
}
