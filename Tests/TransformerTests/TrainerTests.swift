import Formats
import Kernels
import TestSupport
import Testing

@testable import Transformer

@Suite("A trainer")
struct TrainerTests {
  func gradient(
    _ golden: Golden, _ samples: [TrainingInput], _ trained: TrainedParts = .all,
    rowsPerPass: Int = 1024, threads: Int = 1
  ) throws -> (sum: LossSum, gradient: [Float]) {
    let trainer = Trainer(
      model: golden.model, trained: trained, compute: try Compute(threads: threads),
      rowsPerPass: rowsPerPass)
    let gradient = Floats(zeros: trainer.trainedRange.count)
    let sum = try trainer.gradient(of: samples, into: gradient)
    return (sum, gradient.array)
  }

  func text(_ tokens: [Int32]) -> [TrainingPiece] {
    tokens.map { TrainingPiece(.token($0), trained: true) }
  }

  @Test("computes branches behind one prefix as it computes the sequences apart")
  func branches() throws {
    let golden = try Golden("llava-clip")
    let images = try golden.images
    let prefix = text([7]) + [TrainingPiece(.image(0), trained: false)] + text([9, 8])
    let branches = [text([11, 12, 13]), text([14]), text([15, 16, 17, 18, 19])]
    let packed = TrainingInput(images: images, prefix: prefix, branches: branches)
    var frozenPrefix = prefix
    for index in prefix.indices { frozenPrefix[index].trained = false }
    let apart = branches.enumerated().map { index, branch in
      TrainingInput(images: images, prefix: (index == 0 ? prefix : frozenPrefix) + branch)
    }
    let (sum, gradient) = try gradient(golden, [packed])
    let (sumApart, gradientApart) = try self.gradient(golden, apart)
    #expect(sum.tokens == sumApart.tokens && sum.tokens == 11)
    #expect(abs(sum.loss - sumApart.loss) < 1e-4)
    #expect(relativeDifference(gradient, gradientApart) < 1e-4)
  }

  @Test("gives the gradient of a sum: two samples are the two samples' sums")
  func additive() throws {
    let golden = try Golden("llava-dinov2")
    let one = try golden.sample
    let other = TrainingInput(prefix: text([6, 7, 8, 9, 10]))
    let (both, sum) = try gradient(golden, [one, other])
    let (first, a) = try gradient(golden, [one])
    let (second, b) = try gradient(golden, [other])
    #expect(both.tokens == first.tokens + second.tokens)
    #expect(abs(both.loss - first.loss - second.loss) < 1e-4)
    #expect(relativeDifference(sum, zip(a, b).map { $0 + $1 }) < 1e-5)
  }

  @Test("gives the same bits with one thread and with two, and in every call")
  func repeatable() throws {
    let golden = try Golden("llava-dinov2")
    let samples = [try golden.sample, TrainingInput(prefix: text([6, 7, 8, 9, 10]))]
    let (sum, bits) = try gradient(golden, samples, rowsPerPass: 16)
    let (sumOfTwo, bitsOfTwo) = try gradient(golden, samples, rowsPerPass: 16, threads: 2)
    #expect(sum == sumOfTwo && bits == bitsOfTwo)
    let trainer = Trainer(
      model: golden.model, trained: .projectorAndLanguage, compute: try Compute())
    let first = Floats(zeros: trainer.trainedRange.count)
    let second = Floats(zeros: trainer.trainedRange.count)
    // The second call takes the pictures' features from the cache.
    _ = try trainer.gradient(of: samples, into: first)
    _ = try trainer.gradient(of: samples, into: second)
    #expect(first.array == second.array)
  }

  @Test(
    "tells each part once, when nothing is added to it any more, the same in a vector and without",
    arguments: [false, true], [8, 64])
  func finished(recomputes: Bool, rowsPerPass: Int) throws {
    let golden = try Golden("llava-clip")
    // Three passes, of which only the last one finishes anything, or one.
    let samples = [
      TrainingInput(prefix: text([6, 7, 8, 9, 10])), try golden.sample,
      TrainingInput(prefix: text([11, 12, 13])),
    ]
    for trained in [TrainedParts.projector, .projectorAndLanguage, .all] {
      let trainer = Trainer(
        model: golden.model, trained: trained, compute: try Compute(), rowsPerPass: rowsPerPass,
        recomputes: recomputes)
      let count = trainer.trainedRange.count
      let plain = Floats(zeros: count)
      let expected = try trainer.gradient(of: samples, into: plain)
      let layers = trained.contains(.language) ? golden.model.text.layerCount : 0
      for gradient in [Floats(zeros: count), nil, nil] {
        var told: [(range: Range<Int>, sum: LossSum)] = []
        var values: [Float?] = Array(repeating: nil, count: count)
        let sum = try trainer.gradient(
          of: samples, into: gradient,
          finished: { range, part, sum in
            #expect(values[range].allSatisfy { $0 == nil })
            values.replaceSubrange(range, with: part.array.map { $0 })
            if gradient == nil { part.fill(.nan) }
            told.append((range, sum))
          })
        #expect(sum == expected && told.allSatisfy { $0.sum == expected })
        #expect(values == plain.array && values.contains { $0 != 0 })
        // From the last layer to the first.
        let first = told.prefix(layers)
        #expect(first.count == layers)
        #expect(
          zip(first, first.dropFirst()).allSatisfy { $0.range.lowerBound >= $1.range.upperBound })
      }
    }
  }

  @Test("of no samples tells zeros, after others, too")
  func noSamples() throws {
    let golden = try Golden("llava-clip")
    let trainer = Trainer(
      model: golden.model, trained: .projectorAndLanguage, compute: try Compute())
    for samples in [[try golden.sample], []] {
      var told: [Float] = []
      let sum = try trainer.gradient(
        of: samples, into: nil, finished: { _, part, _ in told += part.array })
      #expect(told.count == trainer.trainedRange.count)
      #expect(told.contains { $0 != 0 } == !samples.isEmpty && (sum.tokens == 0) == samples.isEmpty)
    }
  }

  @Test("gives frozen parts nothing and trained parts what they get when all is trained")
  func frozen() throws {
    let golden = try Golden("llava-clip")
    let layout = golden.model.layout
    let (_, all) = try gradient(golden, [golden.sample], .all)
    let start = layout.range(of: TrainedParts.all).lowerBound
    for trained in [TrainedParts.projector, .projectorAndLanguage] {
      let range = layout.range(of: trained)
      let (_, part) = try gradient(golden, [golden.sample], trained)
      #expect(part == Array(all[range.lowerBound - start..<range.upperBound - start]))
    }
  }

  @Test("of a projector asks nothing of a sample without a picture")
  func nothingToLearn() throws {
    let golden = try Golden("llava-clip")
    let (sum, gradient) = try gradient(
      golden, [TrainingInput(prefix: text([6, 7, 8]))], .projector)
    #expect(sum.tokens == 2 && sum.loss > 0)
    #expect(gradient.allSatisfy { $0 == 0 })
  }

  @Test("loads a picture once when its features are kept by key")
  func pictureCache() throws {
    let golden = try Golden("llava-clip")
    let loads = Counter()
    let picture = try golden.images[0]
    let counted = ModelImage(key: "k") {
      loads.increment()
      return try picture.load()
    }
    let sample = TrainingInput(
      images: [counted], prefix: [TrainingPiece(.image(0), trained: false)] + text([6, 7]))
    let trainer = Trainer(model: golden.model, trained: .projector, compute: try Compute())
    let gradient = Floats(zeros: trainer.trainedRange.count)
    for _ in 0..<3 { _ = try trainer.gradient(of: [sample], into: gradient) }
    #expect(loads.count == 1)
  }

  @Test("lets a caller add losses on what the pictures became")
  func imageLoss() throws {
    let golden = try Golden("llava-dinov2")
    let sample = TrainingInput(
      images: try golden.images,
      prefix: [TrainingPiece(.image(0), trained: false), TrainingPiece(.image(1), trained: false)])
    let trainer = Trainer(model: golden.model, trained: .all, compute: try Compute())
    let gradient = Floats(zeros: trainer.trainedRange.count)
    var total = 0.0
    func run() throws {
      _ = try trainer.gradient(of: [sample], into: gradient) { states in
        #expect(states.imageRows == [[0..<16, 16..<32]])
        total = 0
        for index in 0..<states.projected.count {
          total += Double(states.projected[index]) * Double(states.projected[index]) / 2
          states.dProjected[index] += states.projected[index]
        }
        for index in 0..<states.features.count {
          total += Double(states.features[index])
          states.dFeatures?[index] += 1
        }
      }
    }
    try run()
    for name in [
      "multi_modal_projector.linear_1.weight", "vision_tower.embeddings.cls_token",
      "vision_tower.encoder.layer.0.mlp.fc1.weight",
    ] {
      let parameter = try #require(golden.model.layout[name])
      let slope = gradient[parameter.range.lowerBound - trainer.trainedRange.lowerBound + 1]
      let weight = golden.model.parameters
      let index = parameter.range.lowerBound + 1
      let (old, step) = (weight[index], Float(1e-2))
      weight[index] = old + step
      try run()
      let above = total
      weight[index] = old - step
      try run()
      weight[index] = old
      let measured = (above - total) / Double(2 * step)
      try run()
      #expect(abs(measured - Double(slope)) < 2e-2 * max(1, abs(measured)), "\(name)")
    }
  }

  @Test("turns neighbours instead of halves when the rows of queries and keys are so ordered")
  func interleaved() throws {
    let golden = try Golden("llama")
    var text = golden.model.text
    text.ropeStyle = .interleaved
    let other = Model(config: .decoder(text), parameters: golden.model.copy().parameters)
    let half = text.headSize / 2
    for layer in 0..<text.layerCount {
      for part in ["q_proj", "k_proj"] {
        let name = "model.layers.\(layer).self_attn.\(part).weight"
        let target = try #require(other.tensor(name))
        let source = try #require(golden.model.tensor(name))
        let columns = text.hiddenSize
        for row in 0..<target.count / columns {
          let (head, place) = (row / text.headSize, row % text.headSize)
          let from = head * text.headSize + (place % 2) * half + place / 2
          target[row * columns..<(row + 1) * columns]
            .copy(from: source[from * columns..<(from + 1) * columns])
        }
      }
    }
    let logits = try other.logits(of: golden.sample, on: Compute())
    #expect(relativeDifference(logits.array, try golden.store.floats("logits")) < 1e-4)
    let (loss, _, gradients) = try other.gradients(
      of: [golden.sample], trained: .all, on: Compute())
    #expect(abs(loss - Double(try golden.store.floats("loss")[0])) < 1e-4)
    let norm = try #require(gradients.first { $0.name == "model.layers.0.input_layernorm.weight" })
    #expect(
      relativeDifference(norm.values.array, try golden.store.floats("gradient/" + norm.name))
        < 1e-3)
  }

  @Test("refuses what it cannot read, and says why")
  func refusals() throws {
    let golden = try Golden("llama")
    func refuse(_ sample: TrainingInput, _ error: InputError) {
      #expect(throws: error) { try gradient(golden, [sample]) }
    }
    refuse(TrainingInput(prefix: []), .empty)
    refuse(TrainingInput(prefix: text([67])), .tokenOutsideVocabulary(67, vocabulary: 67))
    refuse(TrainingInput(prefix: text([-1])), .tokenOutsideVocabulary(-1, vocabulary: 67))
    refuse(TrainingInput(prefix: [TrainingPiece(.image(0), trained: false)]), .cannotSee)
    refuse(
      TrainingInput(
        prefix: text(Array(repeating: 6, count: 100)),
        branches: [text(Array(repeating: 7, count: 29))]), .tooLong(positions: 129, limit: 128))
    let seeing = try Golden("llava-clip")
    #expect(throws: InputError.pictureMissing(index: 1, given: 1)) {
      try gradient(
        seeing,
        [
          TrainingInput(
            images: seeing.images, prefix: [TrainingPiece(.image(1), trained: false)])
        ])
    }
    let small = ModelImage(
      PixelValues(channels: 3, height: 10, width: 15, values: values(3 * 10 * 15)))
    #expect(throws: InputError.pictureSize(channels: 3, height: 10, width: 15, expected: 15)) {
      try gradient(
        seeing,
        [
          TrainingInput(images: [small], prefix: [TrainingPiece(.image(0), trained: false)])
        ])
    }
  }
}
