import Formats
import Kernels
import Testing

@testable import Transformer

@Suite("A generator")
struct GeneratorTests {
  /// Requests of all kinds: short and long, with and without pictures, with common beginnings.
  func mixture(_ golden: Golden, count: Int, seed: UInt64) throws -> [GenerationInput] {
    var random = SeededStream(seed: seed)
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    let images =
      try golden.images
      + golden.images.map { image in
        ModelImage(PixelValues(channels: 3, height: 15, width: 15, values: values(675)))
      }
    let common: [Int32] = (0..<50).map { 6 + ($0 * 7) % 50 }
    return (0..<count).map { _ in
      let picture = Piece.image(below(images.count))
      var pieces: [Piece] = below(4) == 0 ? [picture] : []
      pieces += common.prefix(below(3) == 0 ? 50 : below(51)).map { .token($0) }
      if below(2) == 0 { pieces.append(picture) }
      pieces += (0...below(below(3) == 0 ? 40 : 9)).map { _ in .token(Int32(6 + below(50))) }
      return GenerationInput(
        ModelInput(pieces: pieces, images: images),
        sampling: SamplingParameters(
          temperature: below(2) == 0 ? 0 : 1.5, topP: below(2) == 0 ? 1 : 0.9,
          seed: random.next()),
        tokensMax: 1 + below(12),
        stops: below(2) == 0 ? [] : (0..<4).map { _ in Int32(6 + below(50)) })
    }
  }

  /// Each by a generator of its own, its prompt whole, on one thread.
  func alone(_ requests: [GenerationInput], _ model: Model) throws -> [GeneratedAnswer] {
    let compute = try Compute()
    return try requests.map { try Generator(model: model, compute: compute).run([$0])[0] }
  }

  @Test(
    "answers a request the same alone, in any company, in any order, with two threads",
    arguments: GenerationPrecision.allCases)
  func invariance(precision: GenerationPrecision) throws {
    let golden = try Golden("llava-clip")
    let model = try golden.served(precision)
    let requests = try mixture(golden, count: 40, seed: 3)
    let alone = try alone(requests, model)
    let together = Generator(model: model, compute: try Compute())
    #expect(try together.run(requests) == alone)
    let few = Generator(
      model: model, compute: try Compute(threads: 2),
      limits: GenerationLimits(batchMax: 3))
    #expect(try few.run(requests.reversed()) == alone.reversed())
    // Once more, with features and beginnings kept from before.
    #expect(try few.run(requests) == alone)
    #expect(Set(alone.map(\.tokens)).count > 20)
    #expect(Set(alone.map(\.stop)).count == 2)
  }

  @Test(
    "gives every request the same bits whoever comes, goes, shares pages or is given up",
    arguments: 0..<6 as Range<UInt64>, GenerationPrecision.allCases)
  func mixtures(seed: UInt64, precision: GenerationPrecision) throws {
    let golden = try Golden(seed % 3 == 0 ? "llava-dinov2" : "llava-clip")
    let model = try golden.served(precision)
    let requests = try mixture(golden, count: 24, seed: 100 + seed)
    let alone = try alone(requests, model)
    var random = SeededStream(seed: seed)
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    let batchMax = 1 + below(8)
    // From the pages of one request up to those of all.
    let text = model.text
    let pageBytes = PagePool.pageBytes(
      PageLayout(
        layers: text.layerCount, rows: 32, keyValueHeads: text.keyValueHeadCount,
        headSize: text.headSize, precision: precision.keyValues))
    let pagesMax = 8 + below(60)
    let generator = Generator(
      model: model, compute: try Compute(threads: 1 + below(2)),
      limits: GenerationLimits(
        batchMax: batchMax, stepRowsMax: batchMax + 1 + below(70),
        keyValueBytesMax: pagesMax * pageBytes,
        prefixBytesMax: [0, pagesMax / 2, pagesMax][below(3)] * pageBytes,
        featureBytesMax: [0, 4_000, 1 << 20][below(3)], pageRows: 32))
    let start = ContinuousClock.now
    var answers: [Int: GeneratedAnswer] = [:]
    var gone: Set<Int> = []
    var (next, step) = (0, 0)
    while next < requests.count || generator.activeCount > 0 {
      while next < requests.count, below(3) > 0 {
        let isShort = below(8) == 0
        try generator.admit(
          requests[next], id: next, priority: below(3),
          deadline: isShort ? start + .seconds(step + below(9)) : nil)
        next += 1
      }
      if below(12) == 0, next > 0 {
        let id = below(next)
        generator.cancel(id)
        if answers[id] == nil { gone.insert(id) }
      }
      step += 1
      for (id, result) in generator.step(at: start + .seconds(step)) {
        #expect(!gone.contains(id) && answers[id] == nil)
        switch result {
        case .success(let answer): answers[id] = answer
        case .failure: gone.insert(id)
        }
      }
    }
    for (id, answer) in answers { #expect(answer == alone[id], "request \(id)") }
    #expect(gone.union(answers.keys) == Set(0..<requests.count) && answers.count >= 12)
    #expect(generator.pool.usedCount == 0)
  }

  @Test("computes the beginning that prompts share once, and a picture once")
  func sharing() throws {
    let golden = try Golden("llava-clip")
    let common: [Piece] = [.token(6), .image(0)] + (0..<64).map { .token(7 + $0 % 40) }
    let images = try golden.images
    let requests = (0..<6).map { index in
      GenerationInput(
        ModelInput(pieces: common + [.token(Int32(10 + index)), .token(9)], images: images),
        tokensMax: 3)
    }
    func counts(_ limits: GenerationLimits) throws -> GenerationCounts {
      let generator = Generator(model: golden.model, compute: try Compute(), limits: limits)
      _ = try generator.run(requests)
      return generator.counts
    }
    let limits = GenerationLimits(stepRowsMax: 40, pageRows: 16)
    let (with, without) = (try counts(limits), try counts(limits.withoutCaches))
    let rows = without.promptRows
    #expect(without == GenerationCounts(promptRows: rows, computedRows: rows, pictures: 6))
    // The first computes all, the others their own last two rows, though those lie in one page
    // with the last common ones.
    #expect(with == GenerationCounts(promptRows: rows, computedRows: rows / 6 + 5 * 2, pictures: 1))
  }

  @Test("lets answers go on while a long prompt is read, and a short prompt pass it")
  func longPrompt() throws {
    let golden = try Golden("llama")
    let generator = Generator(
      model: golden.model, compute: try Compute(),
      limits: GenerationLimits(batchMax: 4, stepRowsMax: 8))
    func request(_ length: Int, _ tokensMax: Int) -> GenerationInput {
      GenerationInput(
        ModelInput(tokens: (0..<Int32(length)).map { 10 + ($0 + Int32(length)) % 50 }),
        tokensMax: tokensMax)
    }
    try generator.admit(request(4, 6), id: 1)
    #expect(generator.step().isEmpty)
    try generator.admit(request(100, 1), id: 2)
    try generator.admit(request(5, 2), id: 3)
    var order: [Int] = []
    while generator.activeCount > 0 { order += generator.step().map(\.id) }
    #expect(order == [3, 1, 2])
  }

  @Test("gives up a request whose deadline has passed, whether it waits or runs")
  func deadlines() throws {
    let golden = try Golden("llama")
    let generator = Generator(
      model: golden.model, compute: try Compute(), limits: GenerationLimits(batchMax: 1))
    let start = ContinuousClock.now
    let request = GenerationInput(ModelInput(tokens: [6, 7, 8]), tokensMax: 50)
    try generator.admit(request, id: 1, deadline: start + .seconds(3))
    try generator.admit(request, id: 2, deadline: start + .seconds(2))
    #expect(generator.step(at: start).isEmpty && !generator.hasRoom)
    #expect(generator.step(at: start + .seconds(1)).isEmpty)
    func late(_ ended: [Generator.Ended]) -> [Int: Int] {
      Dictionary(
        uniqueKeysWithValues: ended.compactMap { id, result in
          if case .failure(let late) = result { (id, late.tokens) } else { nil }
        })
    }
    #expect(late(generator.step(at: start + .seconds(2))) == [2: 0])
    #expect(late(generator.step(at: start + .seconds(4))) == [1: 3])
    #expect(generator.activeCount == 0 && generator.pool.usedCount == 0)
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
      #expect(
        argmaxReference(Floats(Array(logits.suffix(golden.model.text.vocabularySize)))) == token)
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
    arguments: ["llama3", "mistral", "qwen2-window", "gemma3"], GenerationPrecision.allCases)
  func greedyDecoders(name: String, precision: GenerationPrecision) throws {
    let model = try Golden(name).served(precision)
    let compute = try Compute()
    let requests = [3, 19, 26].map { length in
      GenerationInput(
        ModelInput(tokens: (0..<Int32(length)).map { 6 + ($0 * 7) % 40 }), tokensMax: 20)
    }
    let answers = try Generator(model: model, compute: compute).run(requests)
    for (request, answer) in zip(requests, answers) {
      var sample = TrainingInput(
        prefix: request.input.pieces.map { TrainingPiece($0, trained: false) })
      #expect(answer.tokens.count == 20)
      for token in answer.tokens {
        let logits = try model.logits(of: sample, on: compute)
        let last = logits[logits.count - model.text.vocabularySize..<logits.count]
        #expect(argmaxReference(last) == token)
        sample.prefix.append(TrainingPiece(.token(token), trained: false))
      }
      #expect(try Generator(model: model, compute: compute).run([request]) == [answer])
    }
  }

  @Test("ends at a stop token, at the most tokens, or where the context is full")
  func stops() throws {
    let golden = try Golden("llama")
    let generator = Generator(
      model: golden.model, compute: try Compute(),
      limits: GenerationLimits(contextMax: 10))
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
    let generator = Generator(
      model: golden.model, compute: compute,
      limits: GenerationLimits(batchMax: 2))
    try generator.admit(requests[0], id: 70)
    #expect(generator.step().isEmpty)
    try generator.admit(requests[1], id: 71)
    #expect(!generator.hasRoom)
    var answers: [Int: GeneratedAnswer] = [:]
    var waiting: GenerationInput? = requests[2]
    while generator.activeCount > 0 || waiting != nil {
      if let request = waiting, generator.hasRoom {
        try generator.admit(request, id: 72)
        waiting = nil
      }
      for (id, result) in generator.step() { answers[id] = try result.get() }
    }
    #expect([70, 71, 72].map { answers[$0] } == alone)
  }

  @Test("refuses what it could never answer, and goes on")
  func refusals() throws {
    let golden = try Golden("llama")
    let generator = Generator(
      model: golden.model, compute: try Compute(),
      limits: GenerationLimits(keyValueBytesMax: 15_000, contextMax: 60, pageRows: 16))
    func refuse(_ request: GenerationInput, _ error: InputError) {
      #expect(throws: error) { try generator.admit(request, id: 1) }
    }
    func tokens(_ count: Int) -> ModelInput {
      ModelInput(tokens: Array(repeating: 6, count: count))
    }
    refuse(GenerationInput(tokens(61), tokensMax: 1), .tooLong(positions: 61, limit: 60))
    refuse(GenerationInput(tokens(0), tokensMax: 1), .empty)
    refuse(GenerationInput(ModelInput(pieces: [.image(0)]), tokensMax: 1), .cannotSee)
    // 2 layers, keys and values of 16 columns, 4 bytes: 256 a position; 64 positions are 4 pages.
    refuse(GenerationInput(tokens(59), tokensMax: 40), .overMemory(bytes: 16_384, limit: 15_000))
    #expect(try generator.run([GenerationInput(tokens(3), tokensMax: 4)])[0].tokens.count == 4)
  }
}
