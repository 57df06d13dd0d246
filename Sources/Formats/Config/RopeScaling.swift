#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// How the angles of rotary embeddings are stretched for long contexts.
public enum RopeScaling: Hashable, Sendable {
  case none
  /// Positions are divided by `factor`.
  case linear(factor: Double)
  /// Llama 3.1: long wavelengths are stretched, short ones kept, those between are blended.
  case llama3(factor: Double, lowFactor: Double, highFactor: Double, originalContext: Int)
  /// Each frequency is divided by its own divisor, as GGUF files of Llama 3.1 have it.
  ///
  /// In Hugging Face's files this is `longrope` with the same factors for long and for short texts
  /// and an attention factor of 1.
  case divisors([Double])
}

extension RopeScaling {
  /// What the frequency of each pair of a head is divided by.
  ///
  /// - Parameters:
  ///   - headSize: of `divisors`, twice their count.
  ///   - base: the frequency of pair i is `base^(−2i / headSize)`.
  /// - Returns: headSize / 2 numbers.
  /// - Source: transformers, `modeling_rope_utils`; llama.cpp's converter for the same as divisors.
  public func divisors(headSize: Int, base: Double) -> [Double] {
    let half = headSize / 2
    switch self {
    case .none: return Array(repeating: 1, count: half)
    case .linear(let factor): return Array(repeating: factor, count: half)
    case .llama3(let factor, let low, let high, let originalContext):
      return (0..<half).map { pair in
        let wavelength = 2 * Double.pi * pow(base, Double(2 * pair) / Double(headSize))
        // How often the pair turns within the original context.
        let turns = Double(originalContext) / wavelength
        if turns > high { return 1 }
        if turns < low { return factor }
        let kept = (turns - low) / (high - low)
        return 1 / ((1 - kept) / factor + kept)
      }
    case .divisors(let divisors):
      precondition(divisors.count == half, "\(half) divisors expected, not \(divisors.count)")
      return divisors
    }
  }
}
