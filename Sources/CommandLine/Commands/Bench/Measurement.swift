import ArgumentParser
import Foundation
import Kernels

struct BenchOptions: ParsableArguments {
  @OptionGroup var computing: ComputeOptions
  @Option(help: "Timed runs, after one that is not counted.")
  var runs = 5
  @OptionGroup var facts: FactOptions

  func validate() throws { try require("--runs", runs, in: 1...1_000) }
}

/// One row of measurements; `value` is the median.
struct Measurement: Encodable {
  var bench: String
  var value: Double
  var unit: String
  var low: Double
  var high: Double
  var runs: Int
  var threads: Int
  var precision: String
  var gflops: Double
  /// Multiply-adds of all threads, of the precision's numbers, measured in this process.
  var peakGflops: Double
  /// `gflops` of `peakGflops`.
  var share: Double
  var peakMemoryBytes: Int64
  /// Where the time of prompts is counted in `value`: the rate without it.
  var generating: Double?
  var generatingLow: Double?
  var generatingHigh: Double?
  /// Of one unit, where a unit is something that is waited for.
  var milliseconds: Double?

  var text: String {
    let without = generating.map { ", \(short($0)) without prompts" } ?? ""
    let each = milliseconds.map { ", \(short($0)) ms each" } ?? ""
    let percent = Int((share * 100).rounded())
    let speed =
      gflops > 0 ? ", \(short(gflops)) GFLOP/s, \(percent) % of \(short(peakGflops))" : ""
    return "\(bench): \(short(value)) \(unit) (\(short(low)) to \(short(high)), \(runs) runs, "
      + "\(threads) threads, \(precision))\(without)\(each)\(speed), "
      + "peak memory \(peakMemoryBytes >> 20) MiB"
  }
}

/// Times a work after one run that is not counted, and prints the rates.
///
/// - Parameters:
///   - amount: units of one run, like tokens.
///   - operations: floating-point operations of one run, by the shapes.
func measure(
  _ bench: String, unit: String, amount: Double, operations: Double, _ options: BenchOptions,
  _ work: () throws -> Void
) throws {
  try work()
  let progress = Progress("bench \(bench)", unit: "runs", total: options.runs)
  var rates: [Double] = []
  for run in 0..<options.runs {
    let elapsed = try ContinuousClock().measure(work)
    rates.append(amount / (elapsed / .seconds(1)))
    progress.update(run + 1)
  }
  try tell(bench, unit: unit, values: rates, operations: operations / amount, options)
}

/// Does a work in a new folder, which is removed at its end.
func withBenchFolder<Result>(_ work: (String) async throws -> Result) async throws -> Result {
  let folder = FileManager.default.temporaryDirectory
    .appendingPathComponent("comd-bench-\(UUID().uuidString)").path
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  return try await work(folder)
}

/// Prints what was measured: the median with the least and the most.
///
/// - Parameters:
///   - generating: the same rates without the prompts' time, where both are measured.
///   - operations: floating-point operations of one unit; 0 where it is not about them.
///   - isWaitedFor: tells what one unit takes, too.
func tell(
  _ bench: String, unit: String, values: [Double], generating: [Double] = [],
  operations: Double = 0, isWaitedFor: Bool = false, _ options: BenchOptions
) throws {
  let sorted = values.sorted()
  let value = median(ofSorted: sorted)
  let apart = generating.sorted()
  let threads = options.computing.threads
  let gflops = value * operations / 1e9
  let peak =
    operations > 0 ? peakGigaflops(options.computing.precision.multiplied) * Double(threads) : 0
  let measurement = Measurement(
    bench: bench, value: value, unit: unit, low: sorted.first ?? 0, high: sorted.last ?? 0,
    runs: values.count, threads: threads, precision: options.computing.precision.rawValue,
    gflops: gflops, peakGflops: peak, share: peak > 0 ? gflops / peak : 0,
    peakMemoryBytes: peakMemoryBytes(),
    generating: apart.isEmpty ? nil : median(ofSorted: apart), generatingLow: apart.first,
    generatingHigh: apart.last, milliseconds: isWaitedFor ? 1000 / value : nil)
  if options.facts.json {
    try printJSON(measurement)
  } else {
    printFact(measurement.text)
  }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
func median(ofSorted values: [Double]) -> Double {
  if values.isEmpty { return 0 }
  let middle = values.count / 2
  return values.count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2
}

/// The most memory that this process ever had; 0 where the system does not say.
func peakMemoryBytes() -> Int64 { memoryBytes("VmHWM") }

/// The memory that this process has now; 0 where the system does not say.
func residentMemoryBytes() -> Int64 { memoryBytes("VmRSS") }

private func memoryBytes(_ name: String) -> Int64 {
  let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
  let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
  let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first
  return kibibytes.flatMap { Int64($0) }.map { $0 << 10 } ?? 0
}
