import Distillation
import Domain
import Foundation
import Settings
import TestSupport
import Testing

@Suite("A settings file")
struct ReadingTests {
  @Test("as in the manual is read whole")
  func manual() throws {
    let settings = try ClusterSettings.parse(example, file: "/there/cluster.yaml")
    #expect(settings.run == "demo")
    #expect(settings.coordinator.control.zeroMQ == "tcp://0.0.0.0:7700")
    #expect(settings.coordinator.bulk == Endpoint(host: "0.0.0.0", port: 7701))
    #expect(settings.coordinator.dashboard?.authority == "127.0.0.1:7780")
    #expect(settings.models.teacher.path == "/there/models/llava-13b")
    #expect(settings.models.student.precision == .bf16)
    #expect(settings.models.student.conversation == .vicunaV1)
    #expect(settings.data.captions == "/there/data/blip_captions.json")
    #expect(settings.method.threshold == 0.33)
    #expect(settings.pretrain.learningRate == 2e-3)
    #expect(settings.tune.learningRate == 2e-5)
    #expect(settings.evaluate.map(\.path) == ["/there/data/scienceqa"])
  }

  @Test("that says the least has the paper's defaults")
  func defaults() throws {
    let settings = try ClusterSettings.parse(least, file: "/there/cluster.yaml")
    #expect(settings.method.iterations == 4)
    #expect(settings.method.threshold == 0.33)
    #expect(settings.method.rougeLMax == 0.7)
    #expect(settings.method.temperature == 0.5)
    for (recipe, rate) in [(settings.pretrain, 2e-3), (settings.tune, 2e-5)] {
      #expect(recipe.batch == 16)
      #expect(recipe.learningRate == rate)
      #expect(recipe.warmupRatio == 0.03)
      #expect(recipe.epochs == 1)
    }
    #expect(settings.pretrain.trained == .projector)
    #expect(settings.tune.trained == .projectorAndLanguage)
    #expect(settings.data.captions == nil)
    #expect(settings.evaluate.isEmpty)
    #expect(settings.models.teacher.conversation == .vicunaV1)
    #expect(settings.models.student.conversation == .vicunaV1Stop)
  }

  @Test("gives every key its value")
  func everyKey() throws {
    let settings = try ClusterSettings.parse(
      least + """
          captions: /abs/c.json
          instructions_limit: 64
          captions_limit: 256
        run: r-1
        coordinator: { control: "tcp://[::1]:0", bulk: "tcp://h:2", dashboard: none }
        method: { iterations: 0, threshold: 1, rouge_l_max: 1, temperature: 0,
                  judge_attempts: 1, seed: 18446744073709551615, turns_max: 3,
                  instruction_characters_max: 99 }
        tokens_max: { answer: 1, judge: 2, instruction: 3 }
        tune: { batch: 2, learning_rate: 1.5e-3, warmup_ratio: 0, epochs: 3,
                weight_decay: 0.1, betas: [0.8, 0.98], epsilon: 1e-6, clip_norm: 0, trained: all,
                virtual_ranks: 4, checkpoint_every: 7, recompute: true,
                replication: 1, wire: bf16 }
        noun_phrases: { spacy: "python3 np.py" }
        prompts: ../words
        timing: { heartbeat: 250ms, suspect_after: 500ms, gone_after: 1.5s,
                  lease: 2m, first_step: 1h }
        evaluate:
          - { name: seed-bench, path: b, limit: 9 }
          - { name: exact-match, path: c, temperature: 0.25 }
        """, file: "/there/cluster.yaml")
    #expect(settings.data.captions == "/abs/c.json")
    #expect(settings.data.instructionsLimit == 64)
    #expect(settings.data.captionsLimit == 256)
    #expect(settings.run == "r-1")
    #expect(settings.coordinator.control.zeroMQ == "tcp://[::1]:*")
    #expect(settings.coordinator.dashboard == nil)
    #expect(
      settings.method
        == Method(
          iterations: 0, threshold: 1, rougeLMax: 1, temperature: 0, judgeAttempts: 1, seed: .max,
          turnsMax: 3, instructionCharactersMax: 99))
    #expect(settings.tune.seed == .max)
    #expect(settings.tokensMax.answer == 1)
    #expect(settings.tokensMax.judge == 2)
    #expect(settings.tokensMax.instruction == 3)
    var tune = TrainingRecipe(
      batch: 2, learningRate: 1.5e-3, warmupRatio: 0, epochs: 3, weightDecay: 0.1, beta1: 0.8,
      beta2: 0.98, epsilon: 1e-6, clipNorm: 0, trained: .all, virtualRanks: 4,
      checkpointEvery: 7, seed: .max)
    tune.recompute = true
    tune.replication = 1
    tune.wire = .bf16
    #expect(settings.tune == tune)
    #expect(settings.nounPhrases == .spacy(command: "python3 np.py"))
    #expect(settings.prompts == "/words")
    #expect(settings.timing.heartbeat == .milliseconds(250))
    #expect(settings.timing.suspectAfter == .milliseconds(500))
    #expect(settings.timing.goneAfter == .milliseconds(1_500))
    #expect(settings.timing.firstStep == .seconds(3_600))
    #expect(settings.timing.lease == .seconds(120))
    #expect(settings.evaluate.map(\.name) == [.seedBench, .exactMatch])
    #expect(settings.evaluate.map(\.limit) == [9, nil])
    #expect(settings.evaluate.map(\.temperature) == [0.1, 0.25])
  }

  @Test("that `comd init` writes has every key and reads back to the defaults")
  func template() throws {
    let text = ClusterSettings.template(run: "trial")
    let settings = try ClusterSettings.parse(text, file: "/there/cluster.yaml")
    let models = ModelsSettings(
      teacher: .teacher(path: "/there/models/teacher"),
      student: .student(path: "/there/models/student"))
    var data = DataSettings(
      instructions: "/there/data/instructions.json", images: "/there/data/images")
    data.captions = "/there/data/captions.json"
    #expect(settings == ClusterSettings(run: "trial", models: models, data: data))

    // Every key that is known at all stands in the text, set or shown.
    for section in ["", "coordinator", "method", "tokens_max", "tune", "timing"] {
      let nonsense = section.isEmpty ? "qqqqqq: 1\n" : "\(section): { qqqqqq: 1 }\n"
      guard case .unknownKey(_, let allowed) = problems(adding: nonsense).first?.kind else {
        Issue.record("an unknown key in '\(section)' is not reported")
        continue
      }
      for key in allowed { #expect(text.contains("\(key):"), "\(section).\(key)") }
    }
    for key in [
      "lora", "rank", "alpha", "targets", "instructions_limit", "captions_limit", "name", "path",
      "limit", "spacy",
    ] {
      #expect(text.contains("\(key):"), "\(key)")
    }
  }

  @Test("names adapters by rank, alpha and targets, each of which has a default")
  func adapters() throws {
    func read(_ lora: String) throws -> LowRankAdapters? {
      try ClusterSettings.parse(least + "tune: { lora: \(lora) }\n", file: "/c.yaml").tune.adapters
    }
    #expect(try ClusterSettings.parse(least, file: "/c.yaml").tune.adapters == nil)
    #expect(try read("{}") == LowRankAdapters(rank: 16, alpha: 32))
    #expect(try read("{}")?.targets == Set(AdaptedLayer.allCases))
    #expect(
      try read("{ rank: 4, alpha: 0.5, targets: [down_proj, q_proj] }")
        == LowRankAdapters(rank: 4, alpha: 0.5, targets: [.query, .down]))
    // What the template shows can be set by taking its marks away.
    let text = ClusterSettings.template().replacing("  # lora:", with: "  lora:")
      .replacing("  #         targets:", with: "          targets:")
    let settings = try ClusterSettings.parse(text, file: "/c.yaml")
    #expect(settings.tune.adapters == LowRankAdapters() && settings.pretrain.adapters == nil)
  }

  @Test("is read from its folder, wherever the process stands")
  func relativePaths() throws {
    let folder = try TemporaryFolder()
    let settings = try ClusterSettings.load(file: folder.write("cluster.yaml", least))
    #expect(settings.models.teacher.path == folder.path("t"))
    #expect(settings.data.instructions == folder.path("i.json"))
  }
}
