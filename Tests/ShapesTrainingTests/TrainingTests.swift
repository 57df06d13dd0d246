import Distillation
import Domain
import Formats
import Foundation
import Kernels
import Shapes
import TestSupport
import Testing
import Transformer

@testable import ShapesTraining

@Suite("Training the world's models")
struct TrainingTests {
  private let size = LanguageSize(hidden: 32, layers: 2, heads: 2, feedForward: 48)
  private let tokenizer: Tokenizer
  private let writer: LessonWriter

  init() throws {
    tokenizer = try worldTokenizer(prompts: worldPrompts())
    writer = LessonWriter(prompts: try PromptSet(replacing: worldPrompts()), seed: 3)
  }

  @Test("raises the rate, holds it, and lets it fall over the last share of the steps")
  func schedule() {
    let schedule = TrapezoidSchedule(peak: 2, warmup: 10, total: 100, decayShare: 0.5)
    #expect(schedule.rate(step: 0) == 0.2)
    #expect(schedule.rate(step: 9) == 2)
    #expect(schedule.rate(step: 50) == 2)
    #expect(schedule.rate(step: 75) == 1)
    #expect(schedule.rate(step: 99) == 0.04)
  }

  @Test("gives, stopped and taken up again, what it would have given undisturbed")
  func resumed() async throws {
    let folder = try TemporaryFolder()
    let undisturbed = readingModel()
    try await teach(undisturbed, steps: 6, checkpoint: nil)

    let path = folder.path("state.safetensors")
    let stopped = readingModel()
    let task = Task {
      let model = readingModel()
      try await teach(model, steps: 6, checkpoint: path)
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    let state = try #require(try TrainingState.read(path, count: languageCount(stopped)))
    #expect(state.step < 6)
    try await teach(stopped, steps: 6, checkpoint: path)
    #expect(stopped.parameters.array == undisturbed.parameters.array)
    #expect(undisturbed.parameters.array != readingModel().parameters.array)
  }

  @Test("keeps a word-reader's patches equal to its words, and leaves other models alone")
  func wordReader() async throws {
    let model = readingModel()
    try await teach(model, steps: 2, checkpoint: nil)
    let before = model.parameters.array
    try #require(WordReader(model)).shareEmbedding()
    #expect(model.parameters.array == before)
    let seeing = worldModel(
      size, vision: towerConfig(), projector: .mlp(.gelu), tokenizer: tokenizer, seed: 1)
    #expect(WordReader(seeing) == nil)
  }

  @Test("begins with keys that match their queries and outputs that undo the values")
  func matching() throws {
    let model = readingModel()
    func weights(_ name: String) throws -> [Float] {
      let found = model.layout.parameters.first {
        $0.name.contains("layers.1.") && $0.name.hasSuffix("self_attn.\(name).weight")
      }
      return model.parameters[try #require(found).range].array
    }
    #expect(try weights("q_proj") == weights("k_proj"))
    let value = try weights("v_proj")
    let output = try weights("o_proj")
    for (row, column) in [(0, 0), (0, 5), (7, 2), (31, 30)] {
      #expect(output[row * 32 + column] == value[column * 32 + row])
    }
  }

  @Test("refuses the state of another model by name and shape")
  func otherState() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("state.safetensors")
    try TrainingState(
      step: 3, parameters: Floats(zeros: 5), firstMoments: Floats(zeros: 5),
      secondMoments: Floats(zeros: 5)
    ).write(path)
    #expect(try TrainingState.read(path, count: 5)?.step == 3)
    #expect(throws: FormatError.self) { try TrainingState.read(path, count: 6) }
  }

  @Test("learns to say what the words of a scene say")
  func learns() async throws {
    let model = wordReadingModel(size, tokenizer: tokenizer, seed: 1)
    var losses: [Double] = []
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .words)
    let worker = try LanguageWorker(model: model, trained: .all) { [writer] index in
      encoder.branched(writer.studentLesson(index, items: 4, kinds: [.sceneName, .ground]))
    }
    losses.append(try await worker.gradient(of: 1_000..<1_010).sum.mean)
    try await teach(model, steps: 40, checkpoint: nil, kinds: [.sceneName, .ground])
    losses.append(try await worker.gradient(of: 1_000..<1_010).sum.mean)
    #expect(losses[1] < losses[0] - 1, "\(losses)")
  }

  private func readingModel() -> Model {
    wordReadingModel(size, tokenizer: tokenizer, seed: 1)
  }

  private func languageCount(_ model: Model) -> Int {
    model.layout.range(of: ParameterLayout.Part.language).count
  }

  private func teach(
    _ model: Model, steps: Int, checkpoint: String?, kinds: [QuestionKind] = QuestionKind.read
  ) async throws {
    let course = TrainingCourse(
      name: "test", schedule: TrapezoidSchedule(peak: 3e-3, warmup: 2, total: steps), batch: 4)
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .words)
    try await train(
      model, .all, course, shell: TrainingShell(checkpoint: checkpoint) { _ in }
    ) { [writer] index in
      encoder.branched(writer.studentLesson(index, items: 4, kinds: kinds))
    }
  }
}
