import Foundation
import Kernels

/// How the tokens of one answer are drawn.
public struct SamplingParameters: Hashable, Sendable {
  /// 0 is greedy.
  public var temperature: Double
  /// Nucleus: the smallest set of likeliest tokens whose probability reaches this; 1 keeps all.
  public var topP: Double
  public var seed: UInt64

  /// - Precondition: `temperature >= 0` and finite, `0 < topP <= 1`.
  public init(temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0) {
    precondition(temperature >= 0 && temperature.isFinite, "temperature \(temperature)")
    precondition(topP > 0 && topP <= 1, "top-p \(topP)")
    self.temperature = temperature
    self.topP = topP
    self.seed = seed
  }
}

/// Draws tokens from rows of logits: one per request, for its random stream is part of its result.
struct Sampler {
  let parameters: SamplingParameters
  private var stream: SeededStream

  init(_ parameters: SamplingParameters) {
    self.parameters = parameters
    stream = SeededStream(seed: parameters.seed)
  }

  /// The next token: `argmax` with ties to the lowest id, or a draw from `softmax(logits / T)`
  /// in f64, cut to its nucleus.
  ///
  /// A logit that is not a number never wins.
  /// - Parameters:
  ///   - logits: (V), not empty.
  ///   - best: the place of the largest.
  ///   - weights: scratch, kept by the caller so that a draw allocates nothing.
  mutating func draw(_ logits: Floats, best: Int32, _ weights: inout [Double]) -> Int32 {
    guard parameters.temperature > 0 else { return best }
    let largest = Double(logits[Int(best)])
    weights.removeAll(keepingCapacity: true)
    weights.reserveCapacity(logits.count)
    var total = 0.0
    for id in 0..<logits.count {
      let logit = logits[id]
      let weight = logit.isNaN ? 0 : exp((Double(logit) - largest) / parameters.temperature)
      weights.append(weight)
      total += weight
    }
    let point = stream.unit()
    guard parameters.topP < 1 else {
      return walk(weights.indices, weights, to: point * total) ?? best
    }
    let nucleus = nucleus(weights, total: total)
    let mass = nucleus.reduce(0.0) { $0 + weights[$1] }
    return walk(nucleus, weights, to: point * mass) ?? best
  }

  /// Ids from the likeliest down (ties: lowest id first) until their sum reaches top-p.
  ///
  /// Tokens under `(1 - topP) / V` weigh less than `1 - topP` together, so they cannot be needed;
  /// leaving them out first makes the sort small.
  private func nucleus(_ weights: [Double], total: Double) -> [Int] {
    let least = (1 - parameters.topP) * total / Double(weights.count)
    var candidates = weights.indices.filter { weights[$0] >= least }
    candidates.sort { weights[$0] != weights[$1] ? weights[$0] > weights[$1] : $0 < $1 }
    var sum = 0.0
    for (place, candidate) in candidates.enumerated() {
      sum += weights[candidate]
      if sum >= parameters.topP * total { return Array(candidates[...place]) }
    }
    return candidates
  }

  /// The id at which the running sum of weights passes `point`; nil when rounding kept it short.
  private func walk(
    _ ids: some Sequence<Int>, _ weights: [Double], to point: Double
  ) -> Int32? {
    var sum = 0.0
    var last: Int?
    for id in ids where weights[id] > 0 {
      sum += weights[id]
      last = id
      if sum > point { return Int32(id) }
    }
    return last.map { Int32($0) }
  }
}
