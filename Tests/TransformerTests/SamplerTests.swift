import Foundation
import Kernels
import Testing

@testable import Transformer

@Suite("Drawing a token")
struct SamplerTests {
  func draw(_ logits: [Float], _ sampler: inout Sampler) -> Int32 {
    let row = Floats(logits)
    var weights: [Double] = []
    return sampler.draw(row, best: argmaxReference(row), &weights)
  }

  func shares(
    _ logits: [Float], temperature: Double, topP: Double = 1, draws: Int = 20_000
  ) -> [Double] {
    var sampler = Sampler(SamplingParameters(temperature: temperature, topP: topP, seed: 5))
    var counts = Array(repeating: 0.0, count: logits.count)
    for _ in 0..<draws { counts[Int(draw(logits, &sampler))] += 1 / Double(draws) }
    return counts
  }

  @Test("is greedy at temperature 0, the lowest id of equals, never what is not a number")
  func greedy() {
    var sampler = Sampler(SamplingParameters())
    #expect(draw([1, 3, 2, 3], &sampler) == 1)
    #expect(draw([.nan, -2, -1], &sampler) == 2)
    #expect(draw([-.infinity, -.infinity], &sampler) == 0)
  }

  @Test("follows softmax(logits / temperature)")
  func softmax() {
    let logits: [Float] = [0, 1, 2, -.infinity]
    let weights = logits.map { exp(Double($0) / 0.5) }
    let total = weights.reduce(0, +)
    for (share, weight) in zip(shares(logits, temperature: 0.5), weights) {
      #expect(abs(share - weight / total) < 0.015)
    }
  }

  @Test("keeps the smallest set of the likeliest whose probability reaches top-p")
  func nucleus() {
    let logits: [Float] = [0.1, 0.2, 0.5, 0.2].map { Float(log($0)) }
    // 0.5 and the first 0.2 reach 0.6; between equals the lowest id stays.
    let kept = shares(logits, temperature: 1, topP: 0.6)
    #expect(kept[0] == 0 && kept[3] == 0)
    #expect(abs(kept[2] - 0.5 / 0.7) < 0.015)
    #expect(shares(logits, temperature: 1, topP: 0.01)[2] > 0.999_999)
  }

  @Test("is the same for the same seed and another for another")
  func seeded() {
    let logits = values(50)
    func draws(_ seed: UInt64) -> [Int32] {
      var sampler = Sampler(SamplingParameters(temperature: 2, topP: 0.95, seed: seed))
      return (0..<40).map { _ in draw(logits, &sampler) }
    }
    #expect(draws(1) == draws(1))
    #expect(draws(1) != draws(2))
  }
}
