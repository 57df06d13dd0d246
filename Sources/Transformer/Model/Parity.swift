import Formats
public import Kernels

/// What another implementation is compared with: logits, and gradients by name.
extension Model {
  /// A training sample from token ids, in which the image token stands for pictures: once for
  /// each, or once for each of the positions that they take.
  ///
  /// - Parameters:
  ///   - mask: one for each token, true where the loss counts it; nil: counts all but image tokens.
  ///   - images: in the order in which they stand.
  /// - Throws: `InputError`, and what loading a picture throws.
  public func trainingInput(
    tokens: [Int32], mask: [Bool]? = nil, images: [ModelImage] = []
  ) throws -> TrainingInput {
    precondition(mask.map { $0.count == tokens.count } ?? true, "a mask of \(tokens.count)")
    let mask = mask ?? Array(repeating: true, count: tokens.count)
    let found = tokens.filter { $0 == imageToken }.count
    guard !images.isEmpty || found > 0 else {
      return TrainingInput(prefix: zip(tokens, mask).map { TrainingPiece(.token($0), trained: $1) })
    }
    guard llava != nil else { throw InputError.cannotSee }
    let rows = try images.map { try imageRows(of: $0) }
    let patches = rows.reduce(0, +)
    guard found == images.count || found == patches else {
      throw InputError.imageTokens(found: found, pictures: images.count, patches: patches)
    }
    var pieces: [TrainingPiece] = []
    var picture = 0
    var skipped = 0
    for (token, trained) in zip(tokens, mask) {
      if token != imageToken {
        pieces.append(TrainingPiece(.token(token), trained: trained))
      } else if skipped > 0 {
        skipped -= 1
      } else {
        pieces.append(TrainingPiece(.image(picture), trained: false))
        skipped = found == images.count ? 0 : rows[picture] - 1
        picture += 1
      }
    }
    return TrainingInput(images: images, prefix: pieces)
  }

  private func imageRows(of image: ModelImage) throws -> Int {
    guard let llava else { throw InputError.cannotSee }
    return llava.lines(of: try llava.grid(of: image.load())).rows
  }

  /// The logits of every position.
  /// - Returns: (T, vocabulary), T counting every feature of a picture.
  public func logits(of sample: TrainingInput, on compute: Compute) throws -> Floats {
    try Trainer(model: self, trained: .projector, compute: compute).logits(of: sample)
  }

  /// A tensor's gradient under its name in Hugging Face's files.
  public struct NamedGradient: Sendable {
    public var name: String
    public var shape: [Int]
    public var values: Floats
  }

  /// The mean loss of the counted tokens and its gradient for every trained tensor.
  public func gradients(
    of samples: [TrainingInput], trained: TrainedParts, on compute: Compute
  ) throws -> (loss: Double, tokens: Int, gradients: [NamedGradient]) {
    let trainer = Trainer(model: self, trained: trained, compute: compute)
    let gradient = Floats(zeros: trainer.trainedRange.count)
    let sum = try trainer.gradient(of: samples, into: gradient)
    if sum.tokens > 0 { scale(gradient, by: 1 / Float(sum.tokens), on: compute) }
    let start = trainer.trainedRange.lowerBound
    let named = layout.parameters.filter { trained.contains($0.part) }.map { parameter in
      let range = parameter.range.lowerBound - start..<parameter.range.upperBound - start
      return NamedGradient(name: parameter.name, shape: parameter.shape, values: gradient[range])
    }
    return (sum.mean, sum.tokens, named)
  }
}
