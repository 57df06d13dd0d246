import Formats
import Foundation
public import Kernels

/// What a quicker form of a model loses: its next tokens beside those of the model in f32.
public struct PrecisionLoss: Codable, Sendable {
  /// Places compared: each token but the last foresees the next.
  public var positions: Int
  /// Mean and largest Kullback–Leibler divergence from the distribution in f32, in nats.
  public var divergenceMean: Double
  public var divergenceMax: Double
  /// Share of places where both hold the same token for the likeliest.
  public var sameChoice: Double
  /// e to the mean surprise at the text: in f32, and in the other form.
  public var perplexity: Double
  public var perplexityThere: Double

  /// - Parameters:
  ///   - tokens: at least two.
  ///   - other: the same model in another form.
  /// - Throws: as `Model.logits`.
  public init(of tokens: [Int32], exact: Model, other: Model, on compute: Compute) throws {
    precondition(tokens.count > 1, "two tokens at least")
    let sample = TrainingInput(prefix: tokens.map { TrainingPiece(.token($0), trained: true) })
    let columns = exact.text.vocabularySize
    let (here, there) = (
      try exact.logits(of: sample, on: compute), try other.logits(of: sample, on: compute)
    )
    var (sum, largest, same, surprise, surpriseThere) = (0.0, 0.0, 0, 0.0, 0.0)
    for row in 0..<tokens.count - 1 {
      let range = row * columns..<(row + 1) * columns
      let p = logProbabilities(here[range].array)
      let q = logProbabilities(there[range].array)
      let divergence = zip(p, q).reduce(0.0) { $0 + exp($1.0) * ($1.0 - $1.1) }
      sum += divergence
      largest = max(largest, divergence)
      same += likeliest(p) == likeliest(q) ? 1 : 0
      surprise -= p[Int(tokens[row + 1])]
      surpriseThere -= q[Int(tokens[row + 1])]
    }
    positions = tokens.count - 1
    let count = Double(positions)
    (divergenceMean, divergenceMax, sameChoice) = (sum / count, largest, Double(same) / count)
    (perplexity, perplexityThere) = (exp(surprise / count), exp(surpriseThere / count))
  }
}

private func logProbabilities(_ logits: [Float]) -> [Double] {
  let top = Double(logits.max() ?? 0)
  let total = log(logits.reduce(0.0) { $0 + exp(Double($1) - top) }) + top
  return logits.map { Double($0) - total }
}

private func likeliest(_ values: [Double]) -> Int? {
  values.indices.max { values[$0] < values[$1] }
}
