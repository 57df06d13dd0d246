import Testing

@testable import CommandLineTool

@Suite("On the command line")
struct SupportTests {
  @Test("seeds are one number or two with dots between")
  func seeds() {
    #expect(SeedRange(argument: "7")?.seeds == 7...7)
    #expect(SeedRange(argument: "1..2000")?.seeds == 1...2_000)
    for wrong in ["", "a", "2..1", "1...3", "1..", "-1..2", "1..2..3"] {
      #expect(SeedRange(argument: wrong) == nil, "\(wrong)")
    }
  }

  @Test("token ids are numbers with commas between")
  func numbers() {
    #expect(NumberList(argument: "1,2, 3")?.numbers == [1, 2, 3])
    for wrong in ["", "1,,2", "1,a", "99999999999"] {
      #expect(NumberList(argument: wrong) == nil, "\(wrong)")
    }
  }

  @Test("memory has a unit")
  func bytes() {
    #expect(Bytes(argument: "8GiB")?.count == 8 << 30)
    #expect(Bytes(argument: "lots") == nil)
  }

  @Test("progress has a bar, a rate and the time left when the total is known")
  func progress() {
    #expect(
      progressLine("answering", unit: "jobs", done: 50, total: 200, after: .seconds(10))
        == "answering  █████░░░░░░░░░░░░░░░  25%  50/200 jobs  5.00 jobs/s  30s left")
    #expect(
      progressLine("reading", unit: "files", done: 0, total: nil, after: .zero)
        == "reading  0 files")
    #expect(
      progressLine("x", unit: "y", done: 9, total: 9, after: .seconds(3))
        == "x  ████████████████████  100%  9/9 y  3.00 y/s")
  }

  @Test("figures are short")
  func short() {
    #expect(CommandLineTool.short(1_234.5) == "1234" || CommandLineTool.short(1_234.5) == "1235")
    #expect(CommandLineTool.short(0.1234) == "0.123")
  }

  @Test("NO_COLOR and a dumb terminal are honoured")
  func terminal() {
    #expect(!Terminal.current(environment: ["NO_COLOR": "1"]).showsColor)
    #expect(!Terminal.current(environment: ["TERM": "dumb"]).movesCursor)
    #expect(Terminal.current(environment: ["COLUMNS": "60"]).columns == 60)
  }
}
