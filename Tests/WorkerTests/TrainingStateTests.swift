import Domain
import Kernels
import Protocol
import Scheduling
import TestSupport
import Testing
import Transformer

@testable import Worker

@Suite("The state of a training")
struct TrainingStateTests {
  let student: Model
  let compute: Compute

  init() throws {
    student = try Model.load(fixture("Transformer/llama-bias"))
    compute = try Compute()
  }

  func plan(_ adapters: LowRankAdapters?, seed: UInt64 = 3) -> TrainingPlan {
    var recipe = TrainingRecipe(
      batch: 2, learningRate: 1e-2, warmupRatio: 0, trained: .projectorAndLanguage,
      virtualRanks: 1, seed: seed)
    recipe.adapters = adapters
    recipe.recompute = adapters != nil
    return TrainingPlan(
      training: TrainingID(iteration: 1), model: Digest(words: (1, 0, 0, 0)),
      dataset: Digest(words: (2, 0, 0, 0)),
      recipe: recipe, stepsTotal: 3, checkpoint: nil)
  }

  func state(_ plan: TrainingPlan) -> TrainingState {
    let inputs = (0..<6).map { (sample: Int) -> TrainingInput in
      let tokens = (0..<9).map { (place: Int) -> Int32 in Int32(6 + (7 * sample + 5 * place) % 50) }
      return TrainingInput(prefix: tokens.map { TrainingPiece(.token($0), trained: true) })
    }
    return TrainingState(
      plan: plan, model: TrainingState.begin(student, plan.recipe), inputs: inputs,
      compute: compute)
  }

  func advance(_ state: inout TrainingState) throws {
    let gradient = Floats(zeros: state.trainedCount)
    let sum = try state.gradient(step: state.step, rank: 0, into: gradient)
    let grid = VectorGrid(count: gradient.count, segments: 8, cellMax: StepExchange.cellMax)
    let plan = StepPlan(
      training: state.plan.training, epoch: 1, step: state.step, members: [], rankOwners: [0],
      segmentOwners: Array(repeating: 0, count: 8))
    state.apply(
      SummedStep(
        plan: plan, grid: grid, sums: grid.cells.map { gradient[$0] },
        statistics: [RankStatistics(rank: 0, lossSum: sum.loss, tokens: Int64(sum.tokens))]),
      on: compute)
  }

  @Test(
    "goes on from a checkpoint of the trained parameters alone as if it had never stopped",
    arguments: [nil, LowRankAdapters(rank: 3, alpha: 6, targets: [.query, .up, .down])])
  func checkpoint(adapters: LowRankAdapters?) throws {
    var first = state(plan(adapters))
    for _ in 0..<2 { try advance(&first) }
    let bytes = first.encoded()
    #expect(bytes.count == 28 + 12 * first.trainedCount)
    var second = state(plan(adapters))
    #expect(second.weightsDigest != first.weightsDigest)
    try second.restore(bytes)
    #expect(second.step == 2 && second.weightsDigest == first.weightsDigest)
    try advance(&first)
    try advance(&second)
    #expect(second.weightsDigest == first.weightsDigest)
    #expect(
      second.student(on: compute).parameters.array == first.student(on: compute).parameters.array)
  }

  @Test("with adapters trains these alone and hands over a plain student that has learned")
  func adapters() throws {
    let adapters = LowRankAdapters(rank: 3, alpha: 6, targets: [.query, .up, .down])
    var state = state(plan(adapters))
    #expect(state.trainedCount == 2 * 3 * ((36 + 48) + 2 * (36 + 44)))
    for _ in 0..<3 { try advance(&state) }
    let result = state.student(on: compute)
    #expect(result.adapters == nil)
    for parameter in student.layout.parameters {
      let isTarget = adapters.targets.contains { parameter.name.contains($0.rawValue + ".weight") }
      let values = result.parameters[parameter.range].array
      #expect(
        (values != student.parameters[parameter.range].array) == isTarget, "\(parameter.name)")
    }
    // The model that the adapters stand beside is another's, too.
    let untouched = try Model.load(fixture("Transformer/llama-bias"))
    #expect(student.parameters.array == untouched.parameters.array)
  }

  @Test("begins with adapters drawn from the training's own seed")
  func seed() {
    let adapters = LowRankAdapters(rank: 3)
    let one = state(plan(adapters))
    #expect(one.weightsDigest == state(plan(adapters)).weightsDigest)
    #expect(one.weightsDigest != state(plan(adapters, seed: 4)).weightsDigest)
  }

  @Test("refuses a checkpoint of another shape")
  func foreign() throws {
    let bytes = state(plan(LowRankAdapters(rank: 3))).encoded()
    for other in [nil, LowRankAdapters(rank: 4)] {
      var state = state(plan(other))
      #expect(throws: TrainingStateError.self) { try state.restore(bytes) }
    }
  }
}
