import Domain
import TestSupport
import Testing

@Suite("A generation request")
struct GenerationRequestTests {
  let digest = Digest(words: (1, 2, 3, 4))

  private func request(
    _ parts: [PromptPart], temperature: Double = 0.5, topP: Double = 1, tokensMax: Int = 8,
    seed: UInt64 = 1, stops: [String] = [], precision: Precision = .f32
  ) -> GenerationRequest {
    GenerationRequest(
      model: digest, prompt: Prompt(parts),
      sampling: Sampling(
        temperature: temperature, topP: topP, tokensMax: tokensMax, seed: seed, stops: stops),
      precision: precision)
  }

  @Test("has a byte string of its own for everything that a result depends on")
  func distinct() {
    var otherModel = request([.text("ab")])
    otherModel.model = Digest(words: (1, 2, 3, 5))
    let requests = [
      request([.text("ab")]), otherModel, request([.text("a"), .text("b")]),
      request([.control("ab")]), request([.text("ab"), .image(digest)]),
      request([.image(digest), .text("ab")]), request([]), request([.text("")]),
      request([.text("ab")], temperature: 0), request([.text("ab")], topP: 0.9),
      request([.text("ab")], tokensMax: 9), request([.text("ab")], seed: 2),
      request([.text("ab")], stops: ["x"]), request([.text("ab")], stops: ["x", ""]),
      request([.text("ab")], stops: ["", "x"]), request([.text("ab")], precision: .bf16),
      request([.text("ab")], precision: .int8),
    ]
    #expect(Set(requests.map(\.canonicalBytes)).count == requests.count)
  }

  @Test("has the same byte string from version to version, so that results are found again")
  func pinned() {
    let bytes = request([.text("é"), .control("</s>"), .image(digest)], stops: ["</s>"])
      .canonicalBytes
    #expect(bytes.count == 14 + 32 + 8 + (9 + 2) + (9 + 4) + (9 + 32) + 5 * 8 + (9 + 4))
    #expect(bytes.starts(with: Array("comd-request-1".utf8) + digest.bytes))
    #expect(checksum(bytes) == 1_391_154_765_474_485_853)
  }

  @Test("knows its first picture")
  func image() {
    #expect(Prompt([.text("a"), .image(digest), .text("b")]).image == digest)
    #expect(Prompt([.text("a")]).image == nil)
  }
}

@Suite("A training recipe")
struct TrainingRecipeTests {
  @Test("takes a step for every batch begun, in every epoch")
  func steps() {
    var recipe = TrainingRecipe(learningRate: 1e-3, trained: .all, seed: 1)
    #expect(recipe.steps(samples: 16) == 1)
    #expect(recipe.steps(samples: 17) == 2)
    #expect(recipe.steps(samples: 0) == 0)
    recipe.epochs = 3
    #expect(recipe.steps(samples: 33) == 9)
  }
}

@Suite("Ids and moments")
struct OrderTests {
  @Test("order as the numbers and names in them")
  func order() {
    #expect(JobID(2) < JobID(10))
    #expect(WorkerID(name: "a", boot: 9) < WorkerID(name: "b", boot: 1))
    #expect(WorkerID(name: "a", boot: 1) < WorkerID(name: "a", boot: 2))
    #expect(TrainingID.pretraining < TrainingID(iteration: 1))
    #expect(Moment.zero < Moment.zero + .milliseconds(1))
    #expect(Moment.zero + .seconds(3) - Moment(sinceStart: .seconds(1)) == .seconds(2))
  }
}
