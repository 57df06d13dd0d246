import Domain

/// Which samples each virtual rank computes in each step: a pure function of the recipe.
///
/// Every epoch draws an order of its own from the seed; a step takes the next `batch` samples, the
/// last one of an epoch what is left; a rank takes an even share of the step's samples.
struct SampleOrder {
  let samples: Int
  let recipe: TrainingRecipe
  private var epoch = -1
  private var order: [Int] = []

  init(samples: Int, recipe: TrainingRecipe) {
    precondition(samples > 0, "a training has samples")
    self.samples = samples
    self.recipe = recipe
  }

  private var stepsPerEpoch: Int { (samples + recipe.batch - 1) / recipe.batch }

  /// The samples of the global batch of `step`, from 0, in the order of the ranks.
  mutating func batch(step: Int) -> ArraySlice<Int> {
    let wanted = step / stepsPerEpoch
    if wanted != epoch {
      var random = SeededRandom(seed: recipe.seed, "sample order", UInt64(wanted))
      order = random.shuffled(Array(0..<samples))
      epoch = wanted
    }
    let start = step % stepsPerEpoch * recipe.batch
    return order[start..<min(start + recipe.batch, samples)]
  }

  /// The samples that one rank computes in `step`; none when the batch is smaller than the ranks.
  mutating func samples(step: Int, rank: Int) -> ArraySlice<Int> {
    let batch = batch(step: step)
    let first = batch.startIndex + rank * batch.count / recipe.virtualRanks
    let end = batch.startIndex + (rank + 1) * batch.count / recipe.virtualRanks
    return batch[first..<end]
  }
}
