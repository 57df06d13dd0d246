import Formats
import Kernels
import Shapes
import Transformer

/// Teaches a tower to see: its projected rows are drawn towards the words that the language model
/// would read of the same cells, by half the squared distance of each row.
///
/// No text is involved; the language model stays as it is and only lends its embedding.
actor AlignmentWorker: GradientWorker {
  private let trainer: Trainer
  private let gradient: Floats
  private let embedding: [Float]
  private let tokenizer: Tokenizer
  private let columns: Int
  private let scene: @Sendable (UInt64) -> Scene

  /// - Parameter model: its tower and projector are trained; a language model without layers keeps
  ///   the pass short.
  init(
    model: Model, embedding: [Float], tokenizer: Tokenizer,
    scene: @escaping @Sendable (UInt64) -> Scene
  ) throws(KernelError) {
    trainer = Trainer(model: model, trained: .all, compute: try Compute(threads: 1))
    gradient = Floats(zeros: trainer.trainedRange.count)
    self.embedding = embedding
    self.tokenizer = tokenizer
    self.scene = scene
    columns = model.text.hiddenSize
  }

  /// The sum is of the distances; each cell counts as a token.
  func gradient(of samples: Range<UInt64>) throws -> (gradient: Floats, sum: LossSum) {
    let scenes = samples.map(scene)
    let inputs = scenes.map { scene in
      TrainingInput(
        images: [ModelImage(scene.drawing().pixelValues)],
        prefix: [TrainingPiece(.image(0), trained: false)])
    }
    let targets = scenes.map(embeddedWords)
    let columns = self.columns
    var loss = 0.0
    _ = try trainer.gradient(of: inputs, into: gradient) { states in
      for (offset, rows) in states.imageRows.enumerated() {
        let target = targets[states.firstSample + offset]
        let start = rows[0].lowerBound * columns
        for index in target.indices {
          let error = states.projected[start + index] - target[index]
          states.dProjected[start + index] += error
          loss += Double(error * error) / 2
        }
      }
    }
    return (gradient, LossSum(loss: loss, tokens: scenes.count * Place.all.count))
  }

  /// (9, columns): what `WordReader` makes of the scene.
  private func embeddedWords(_ scene: Scene) -> [Float] {
    var rows = [Float](repeating: 0, count: Place.all.count * columns)
    for place in Place.all {
      for (word, weight) in scene.weightedWords(at: place) {
        for token in tokenizer.encode(word) {
          let source = Int(token) * columns
          let target = place.index * columns
          for column in 0..<columns { rows[target + column] += weight * embedding[source + column] }
        }
      }
    }
    return rows
  }
}
