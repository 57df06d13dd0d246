import Foundation
import Kernels
import Testing

@Suite("The threads of kernels")
struct PoolTests {
  /// How many cores each thread of this process may use.
  static func coresOfThreads() throws -> [Int] {
    let folder = "/proc/self/task"
    return try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { thread in
      // A thread may end while its neighbours are asked.
      guard let status = try? String(contentsOfFile: "\(folder)/\(thread)/status", encoding: .utf8),
        let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") })
      else { return nil }
      return line.dropFirst("Cpus_allowed:".count).reduce(0) {
        $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0)
      }
    }
  }

  @Test(
    "stay on one core each when they are pinned, but for the caller, and compute the same",
    .enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1))
  func pinned() throws {
    func pinnedThreads() throws -> Int { try Self.coresOfThreads().count { $0 == 1 } }
    var values = Values(3)
    let x = values.floats(100_000)
    #expect(try pinnedThreads() == 0)
    for (threads, isPinned) in [(3, false), (3, true)] {
      let compute = try Compute(threads: threads, isPinned: isPinned)
      #expect(try pinnedThreads() == (isPinned ? threads - 1 : 0))
      let y = x.copy
      scale(y, by: 3, on: compute)
      #expect(y.array == x.array.map { 3 * $0 })
    }
    #expect(try pinnedThreads() == 0)
  }
}

@Suite("The roof of an instruction set")
struct PeakRateTests {
  @Test("is measured for each kind of number, with the instructions of each set")
  func rates() {
    for set in InstructionSet.supported {
      let rates = MultipliedNumbers.allCases.map { peakGigaflops($0, set, runs: 1) }
      #expect(rates.allSatisfy { $0.isFinite && $0 > 0 }, "\(set): \(rates)")
    }
  }
}
