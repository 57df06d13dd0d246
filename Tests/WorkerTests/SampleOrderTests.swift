import Domain
import Testing

@testable import Worker

@Suite("The order of samples")
struct SampleOrderTests {
  let recipe = TrainingRecipe(
    batch: 16, learningRate: 1, epochs: 2, trained: .projector, virtualRanks: 6, seed: 3)

  @Test("takes every sample once in each epoch, and the ranks of a step share its batch")
  func complete() {
    var order = SampleOrder(samples: 41, recipe: recipe)
    let steps = recipe.steps(samples: 41)
    #expect(steps == 6)
    for epoch in 0..<2 {
      var seen: [Int] = []
      for step in (epoch * 3)..<(epoch * 3 + 3) {
        let byRank = (0..<6).flatMap { Array(order.samples(step: step, rank: $0)) }
        #expect(byRank == Array(order.batch(step: step)))
        seen += byRank
      }
      #expect(seen.sorted() == Array(0..<41))
    }
  }

  @Test("is the same whatever step is asked for first, and another in every epoch")
  func stateless() {
    var forwards = SampleOrder(samples: 41, recipe: recipe)
    var backwards = SampleOrder(samples: 41, recipe: recipe)
    let up = (0..<6).map { Array(forwards.batch(step: $0)) }
    let down = (0..<6).reversed().map { Array(backwards.batch(step: $0)) }
    #expect(up == down.reversed())
    #expect(up[0] != up[3])
  }
}
