import Testing

@testable import Coordinator

@Suite("The line of a run's status")
struct StatusLineTests {
  @Test("tells times short")
  func times() {
    #expect(clock(42.4) == "42s")
    #expect(clock(185) == "3m05s")
    #expect(clock(7_620) == "2h07m")
    #expect(clock(-1) == "0s")
  }
}
