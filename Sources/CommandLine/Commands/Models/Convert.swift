import ArgumentParser
import Formats
import Foundation
import Transformer

/// How weights are stored.
enum StoredAs: String, CaseIterable, ExpressibleByArgument {
  case f32, f16, bf16

  var precision: StoredPrecision {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    }
  }
}

struct Convert: ParsableCommand {
  enum Target: String, CaseIterable, ExpressibleByArgument { case hf }

  static let configuration = CommandConfiguration(
    abstract: "Write a model in another form.",
    discussion: """
      Example:
        comd convert smollm2.gguf --to hf --out models/smollm2
      """)

  @Argument(help: "A Hugging Face folder or a GGUF file.")
  var source: String
  @Option(help: "The form to write.")
  var to = Target.hf
  @Option(help: "The folder to write.")
  var out: String
  @Option(help: "How the weights are stored.")
  var precision = StoredAs.f32

  func validate() throws { try requireFile("model", source) }

  func run() throws {
    let model = try Model.load(source)
    switch to {
    case .hf: try model.save(folder: out, precision: precision.precision)
    }
    printFact(out)
  }
}
