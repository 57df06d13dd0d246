import Domain
import Testing

@Suite("The plan of a training")
struct TrainingPlanTests {
  @Test("knows steps of before all went back by their epoch: they are not of it any more")
  func lineage() {
    let digest = Digest(words: (1, 2, 3, 4))
    var plan = TrainingPlan(
      training: .pretraining, model: digest, dataset: digest,
      recipe: TrainingRecipe(learningRate: 1, trained: .all, seed: 1), stepsTotal: 5,
      checkpoint: nil)
    #expect(plan.isCurrent(epoch: 1))
    plan.lineage = 7
    #expect([6, 7, 8].map { plan.isCurrent(epoch: $0) } == [false, false, true])
  }
}
