import Formats
public import Kernels

/// What a model is loaded for.
public enum ModelPurpose: Sendable {
  /// All parameters at hand as numbers: training, cutting, saving.
  case anything
  /// Generation alone, on computes of one kind.
  case generation(GenerationPrecision, on: Compute)

  var products: ProductPrecision {
    switch self {
    case .anything: .f32
    case .generation(let precision, _): precision.products
    }
  }

  var keyValues: ProductPrecision {
    switch self {
    case .anything: .f32
    case .generation(let precision, _): precision.keyValues
    }
  }
}

/// What a generating model multiplies.
public enum GenerationPrecision: String, Hashable, Sendable, CaseIterable {
  /// f32. Matrices that the file has in codes of few bits stay so in memory; the tokens are those
  /// of the decoded model.
  case f32
  /// As f32, but products are of numbers rounded to bf16, and so are weights, keys and values in
  /// memory.
  case bf16
  /// The language model's matrices in whole numbers of 8 bits, or in the file's own codes of fewer;
  /// activations are rounded to 8 bits, too. Several times as quick, and not quite the same model:
  /// `comd parity precision` measures by how much. Attention, the vision tower and what else has no
  /// codes are as with `bf16`.
  case int8

  var activations: CodeLayout.Activations {
    switch self {
    case .f32, .bf16: .f32
    case .int8: .int8
    }
  }

  /// Of the matrices that are not in codes.
  var products: ProductPrecision {
    switch self {
    case .f32: .f32
    case .bf16, .int8: .bf16
    }
  }

  /// What keys and values are kept as.
  var keyValues: ProductPrecision {
    switch self {
    case .f32: .f32
    case .bf16, .int8: .bf16
    }
  }

  /// How a matrix is coded that the file has in floats; nil: not at all.
  var form: CodeForm? {
    switch self {
    case .f32, .bf16: nil
    case .int8: CodeForm(bits: 8, block: 32, hasOffsets: false, scales: .f32)
    }
  }
}
