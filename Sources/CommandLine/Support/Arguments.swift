import ArgumentParser
import Domain
import Foundation
import Settings

/// The settings' `wire`.
enum Wire: String, CaseIterable, ExpressibleByArgument {
  case f32, bf16

  var precision: WirePrecision { self == .f32 ? .f32 : .bf16 }
}

/// `A..B`, both ends included, or one number.
struct SeedRange: ExpressibleByArgument, Equatable {
  var seeds: ClosedRange<UInt64>

  init?(argument: String) {
    let ends = argument.components(separatedBy: "..").map { UInt64($0) }
    switch ends.count {
    case 1:
      guard let seed = ends[0] else { return nil }
      seeds = seed...seed
    case 2:
      guard let first = ends[0], let last = ends[1], first <= last else { return nil }
      seeds = first...last
    case _: return nil
    }
  }

  var defaultValueDescription: String { "\(seeds.lowerBound)..\(seeds.upperBound)" }
}

/// A number of bytes with its unit, like `8GiB`.
struct Bytes: ExpressibleByArgument, Equatable {
  var count: Int64

  init?(argument: String) {
    guard let count = Int64(writtenBytes: argument) else { return nil }
    self.count = count
  }

  init(_ count: Int64) { self.count = count }

  var defaultValueDescription: String { "\(count)" }
}

/// Whole numbers with commas between them: `1,2,3`.
struct NumberList: ExpressibleByArgument, Equatable {
  var numbers: [Int32]

  init(_ numbers: [Int32]) { self.numbers = numbers }

  init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map {
      Int32($0.trimmingCharacters(in: .whitespaces))
    }
    guard !numbers.contains(nil) else { return nil }
    self.numbers = numbers.compactMap(\.self)
  }
}

/// For commands that print facts.
struct FactOptions: ParsableArguments {
  @Flag(help: "Print facts as JSON on standard output; one object a line.")
  var json = false
}

/// For commands about a run that exists.
struct RunOptions: ParsableArguments {
  @Option(name: .customLong("dir"), help: ArgumentHelp("The run's folder.", valueName: "run"))
  var folder = "."
}

/// Checks a number that a command takes; the message names the option and what is allowed.
func require<Number: Comparable>(
  _ option: String, _ value: Number, in range: ClosedRange<Number>
) throws {
  if !range.contains(value) {
    throw ValidationError(
      "\(option) takes \(range.lowerBound) to \(range.upperBound), \(value) given.")
  }
}

/// Checks that a file or folder that an option names is there.
func requireFile(_ option: String, _ path: String) throws {
  if !FileManager.default.fileExists(atPath: path) {
    throw ValidationError("\(option): there is no file or folder '\(path)'.")
  }
}
