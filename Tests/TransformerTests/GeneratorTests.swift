import Formats
import Kernels
import Testing

@testable import Transformer

@Suite("A generator")
struct GeneratorTests {
  /// Requests of all kinds: short and long, with and without a picture, with common beginnings.
  func mixture(_ golden: Golden, count: Int, seed: UInt64) throws -> [GenerationInput] {
    var random = SeededStream(seed: seed)
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    let images =
      try golden.images
      + golden.images.map { image in
        ModelImage(PixelValues(channels: 3, height: 15, width: 15, values: values(675)))
      }
    let common: [Int32] = (0..<20).map { 6 + ($0 * 7) % 50 }
    return (0..<count).map { _ in
      var pieces: [Piece] = common.prefix(below(21)).map { .token($0) }
      if below(2) == 0 { pieces.append(.image(below(images.count))) }
      pieces += (0...below(9)).map { _ in .token(Int32(6 + below(60))) }
      return GenerationInput(
        ModelInput(pieces: pieces, images: images),
        sampling: SamplingParameters(
          temperature: below(2) == 0 ? 0 : 1.5, topP: below(2) == 0 ? 1 : 0.9,
          seed: random.next()),
        tokensMax: 1 + below(12), stops: below(2) == 0 ? [] : [Int32(6 + below(60))])
    }
  }

  @Test("answers a request the same alone, in any company, in any order, with two threads")
  func invariance() throws {
    let golden = try Golden("llava-clip")
    let requests = try mixture(golden, count: 40, seed: 3)
    let alone = try requests.map { request in
      try Generator(model: golden.model, compute: Compute()).run([request])[0]
    }
    let together = Generator(model: golden.model, compute: try Compute())
    #expect(try together.run(requests) == alone)
    let few = Generator(model: golden.model, compute: try Compute(threads: 2), batchMax: 3)
    #expect(try few.run(requests.reversed()) == alone.reversed())
    // Once more, with features and beginnings kept from before.
    #expect(try few.run(requests) == alone)
    #expect(Set(alone.map(\.tokens)).count > 20)
    #expect(Set(alone.map(\.stop)).count == 2)
  }

  @Test(
    "goes on greedily with the likeliest token of the whole sequence so far",
    arguments: ["llava-dinov2", "llava-siglip", "llava-next"])
  func greedy(name: String) throws {
    let golden = try Golden(name)
    let images = try golden.images
    var sample = TrainingInput(
      images: images,
      prefix: [.token(6), .image(0), .token(9), .image(1), .token(12)].map {
        TrainingPiece($0, trained: false)
      })
    let input = ModelInput(pieces: sample.prefix.map(\.piece), images: images)
    let answer = try Generator(model: golden.model, compute: Compute())
      .run([GenerationInput(input, tokensMax: 8)])[0]
    let imageTokens = try golden.tokens.filter { $0 == golden.model.imageToken }
    #expect(answer.promptTokens == imageTokens.count + 3 && answer.stop == .tokensMax)
    let compute = try Compute()
    for token in answer.tokens {
      let logits = try golden.model.logits(of: sample, on: compute).array
      #expect(greedyToken(Array(logits.suffix(golden.model.text.vocabularySize))) == token)
      sample.prefix.append(TrainingPiece(.token(token), trained: false))
    }
  }

  @Test(
    "answers about tiled pictures the same alone and in company, with features kept from before")
  func tiles() throws {
    let golden = try Golden("llava-next")
    let images = try golden.images
    let requests = [[0], [1], [0, 1], [1, 0]].map { order in
      let pieces = order.flatMap { [Piece.image($0), .token(Int32(9 + $0))] }
      return GenerationInput(
        ModelInput(pieces: pieces, images: images),
        sampling: SamplingParameters(temperature: 0.9, topP: 1, seed: UInt64(order[0])),
        tokensMax: 6)
    }
    let alone = try requests.map {
      try Generator(model: golden.model, compute: Compute()).run([$0])[0]
    }
    let together = Generator(model: golden.model, compute: try Compute(threads: 2))
    #expect(try together.run(requests) == alone)
    #expect(try together.run(requests.reversed()) == alone.reversed())
  }

  @Test("refuses a picture without its tiles, and tiles for a model that takes none")
  func wrongTiles() throws {
    let next = try Golden("llava-next")
    let (tiled, one) = (
      try next.images[0].load(),
      PixelValues(channels: 3, height: 15, width: 15, values: values(675))
    )
    func refusal(_ golden: Golden, _ picture: PixelValues) throws -> InputError? {
      let input = ModelInput(pieces: [.image(0)], images: [ModelImage(picture)])
      let generator = Generator(model: golden.model, compute: try Compute())
      return #expect(throws: InputError.self) {
        try generator.admit(GenerationInput(input, tokensMax: 1), id: 0)
      }
    }
    #expect(try refusal(next, one) == .pictureTiles(found: 1, expected: nil))
    #expect(try refusal(Golden("llava-clip"), tiled) == .pictureTiles(found: 4, expected: 1))
  }

  @Test(
    "goes on greedily with every decoder as the whole sequence foresees, far beyond a window",
    arguments: ["llama3", "mistral", "qwen2-window", "gemma3"])
  func greedyDecoders(name: String) throws {
    let golden = try Golden(name)
    let compute = try Compute()
    let requests = [3, 19, 26].map { length in
      GenerationInput(
        ModelInput(tokens: (0..<Int32(length)).map { 6 + ($0 * 7) % 40 }), tokensMax: 20)
    }
    let answers = try Generator(model: golden.model, compute: compute).run(requests)
    for (request, answer) in zip(requests, answers) {
      var sample = TrainingInput(
        prefix: request.input.pieces.map { TrainingPiece($0, trained: false) })
      #expect(answer.tokens.count == 20)
      for token in answer.tokens {
        let logits = try golden.model.logits(of: sample, on: compute).array
        #expect(greedyToken(Array(logits.suffix(golden.model.text.vocabularySize))) == token)
        sample.prefix.append(TrainingPiece(.token(token), trained: false))
      }
      #expect(try Generator(model: golden.model, compute: compute).run([request]) == [answer])
    }
  }

  @Test("ends at a stop token, at the most tokens, or where the context is full")
  func stops() throws {
    let golden = try Golden("llama")
    let generator = Generator(model: golden.model, compute: try Compute(), contextMax: 10)
    let input = ModelInput(tokens: [6, 7, 8, 9, 10, 11])
    let free = try generator.run([GenerationInput(input, tokensMax: 100)])[0]
    #expect(free.stop == .contextFull && free.tokens.count == 5)
    let short = try generator.run([GenerationInput(input, tokensMax: 2)])[0]
    #expect(short.stop == .tokensMax && short.tokens == Array(free.tokens.prefix(2)))
    let third = free.tokens[2]
    let stopped = try generator.run([GenerationInput(input, tokensMax: 100, stops: [third])])[0]
    #expect(stopped.stop == .stopToken)
    #expect(stopped.tokens == Array(free.tokens.prefix { $0 != third }))
  }

  @Test("takes requests in while others are under way")
  func continuous() throws {
    let golden = try Golden("llama")
    let requests = [3, 5, 4].map { length in
      GenerationInput(
        ModelInput(tokens: (0..<Int32(length)).map { 10 + $0 }), tokensMax: 2 * length)
    }
    let compute = try Compute()
    let alone = try requests.map {
      try Generator(model: golden.model, compute: compute).run([$0])[0]
    }
    let generator = Generator(model: golden.model, compute: compute, batchMax: 2)
    try generator.admit(requests[0], id: 70)
    #expect(generator.step().isEmpty)
    try generator.admit(requests[1], id: 71)
    #expect(!generator.hasRoom(for: requests[2]))
    var answers: [Int: GeneratedAnswer] = [:]
    var waiting: GenerationInput? = requests[2]
    while generator.activeCount > 0 || waiting != nil {
      if let request = waiting, generator.hasRoom(for: request) {
        try generator.admit(request, id: 72)
        waiting = nil
      }
      for (id, answer) in generator.step() { answers[id] = answer }
    }
    #expect([70, 71, 72].map { answers[$0] } == alone)
  }

  @Test("refuses what it could never answer, and goes on")
  func refusals() throws {
    let golden = try Golden("llama")
    let generator = Generator(
      model: golden.model, compute: try Compute(), keyValueBytesMax: 15_000, contextMax: 60)
    func refuse(_ request: GenerationInput, _ error: InputError) {
      #expect(throws: error) { try generator.admit(request, id: 1) }
    }
    func tokens(_ count: Int) -> ModelInput {
      ModelInput(tokens: Array(repeating: 6, count: count))
    }
    refuse(GenerationInput(tokens(61), tokensMax: 1), .tooLong(positions: 61, limit: 60))
    refuse(GenerationInput(tokens(0), tokensMax: 1), .empty)
    refuse(GenerationInput(ModelInput(pieces: [.image(0)]), tokensMax: 1), .cannotSee)
    // 2 layers, keys and values of 16 columns, 4 bytes: 256 a position.
    refuse(GenerationInput(tokens(59), tokensMax: 40), .overMemory(bytes: 15_360, limit: 15_000))
    #expect(try generator.run([GenerationInput(tokens(3), tokensMax: 4)])[0].tokens.count == 4)
  }
}
