import Executors
import Foundation
import Testing

@Suite("A bell", .timeLimit(.minutes(5)))
struct BellTests {
  @Test("wakes who waits, and lets the next one pass when nobody does")
  func rung() {
    let bell = Bell()
    bell.ring()
    bell.ring()
    bell.wait()
    let thread = Thread { bell.ring() }
    thread.start()
    bell.wait()
  }

  @Test("that is not rung wakes after the time that was asked for")
  func silent() {
    let bell = Bell()
    let clock = ContinuousClock()
    for time in [Duration.zero, .microseconds(1_500), .milliseconds(60)] {
      #expect(clock.measure { bell.wait(for: time) } >= time)
    }
  }
}
