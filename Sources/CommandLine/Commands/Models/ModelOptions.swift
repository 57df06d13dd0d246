import ArgumentParser
import Foundation
import Kernels
import Transformer

/// How a command computes.
struct ComputeOptions: ParsableArguments {
  /// What numbers are multiplied as.
  enum Precision: String, CaseIterable, ExpressibleByArgument { case f32, bf16, int8 }

  @Option(help: "Threads that compute.")
  var threads = ProcessInfo.processInfo.activeProcessorCount
  @Flag(name: .customLong("pin"), help: "Keep each thread on a core of its own.")
  var pinsThreads = false
  @Option(help: "The numbers that are multiplied.")
  var precision = Precision.f32

  func validate() throws { try require("--threads", threads, in: 1...256) }

  /// For work that is not done in int8.
  func compute() throws -> Compute {
    _ = try products
    return try Compute(threads: threads, isPinned: pinsThreads)
  }

  /// Of work that is not done in int8.
  var products: ProductPrecision {
    get throws {
      switch precision {
      case .f32: .f32
      case .bf16: .bf16
      case .int8: throw CommandError.usage("--precision int8 is for generation only")
      }
    }
  }

  /// Loads a model to generate with.
  func generating(_ model: ModelOptions) throws -> (model: Model, compute: Compute) {
    let compute = try Compute(threads: threads, isPinned: pinsThreads)
    return (try Model.load(model.model, for: .generation(generation, on: compute)), compute)
  }

  var generation: GenerationPrecision { precision.generation }
}

extension ComputeOptions.Precision {
  /// What most multiplications are of.
  var multiplied: MultipliedNumbers {
    switch self {
    case .f32: .f32
    case .bf16: .bf16
    case .int8: .int8
    }
  }

  var generation: GenerationPrecision {
    switch self {
    case .f32: .f32
    case .bf16: .bf16
    case .int8: .int8
    }
  }
}

/// For commands about one model.
struct ModelOptions: ParsableArguments {
  @Option(help: "A Hugging Face folder or a GGUF file.")
  var model: String

  func validate() throws { try requireFile("--model", model) }
}
