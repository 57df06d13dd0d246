import ArgumentParser
import Foundation
import Kernels

/// How a command computes.
struct ComputeOptions: ParsableArguments {
  /// What numbers are multiplied as.
  enum Precision: String, CaseIterable, ExpressibleByArgument { case f32, bf16 }

  @Option(help: "Threads that compute.")
  var threads = ProcessInfo.processInfo.activeProcessorCount
  @Option(help: "The numbers that are multiplied.")
  var precision = Precision.f32

  func validate() throws { try require("--threads", threads, in: 1...256) }

  func compute() throws -> Compute {
    switch precision {
    case .f32: try Compute(threads: threads)
    case .bf16: throw CommandError.notAvailable("--precision bf16")
    }
  }
}

/// For commands about one model.
struct ModelOptions: ParsableArguments {
  @Option(help: "A Hugging Face folder or a GGUF file.")
  var model: String

  func validate() throws { try requireFile("--model", model) }
}
