import Domain
import Foundation
import Settings
import TestSupport
import Testing

@Suite("A problem in a settings file")
struct ProblemTests {
  @Test("an unknown key names its line, its path and the nearest known key")
  func unknownKey() {
    let found = problems(adding: "run: a\nmethod:\n  iterations: 2\n  threshhold: 0.5\n")
    #expect(found.map(\.line) == [10])
    #expect(found.map(\.key) == ["method.threshhold"])
    let known = [
      "iterations", "threshold", "rouge_l_max", "temperature", "judge_attempts", "seed",
      "turns_max", "instruction_characters_max",
    ]
    #expect(found.first?.kind == .unknownKey(nearest: "threshold", allowed: known))
    #expect(
      found.first?.description.hasPrefix(
        "/there/cluster.yaml:10: method.threshhold: unknown key; did you mean 'threshold'?") == true
    )
  }

  @Test("an unknown key like no other lists what is allowed, without a guess")
  func noGuess() {
    let found = problems(adding: "zzzzzzzz: 1\n")
    guard case .unknownKey(nil, let allowed) = found.first?.kind else {
      Issue.record("\(found)")
      return
    }
    #expect(allowed.contains("models"))
    #expect(found.first?.line == 7)
  }

  @Test("a key that stands twice is an error at the line of the mapping's key")
  func duplicate() {
    let found = problems(adding: "run: a\ntiming: {}\nrun: b\n")
    #expect(found.map(\.kind) == [.duplicateKey])
    #expect(found.map(\.key) == ["run"])
    #expect(found.map(\.line) == [7])
  }

  @Test("text that is not YAML has the parser's words and line")
  func syntax() {
    let found = problems(adding: "method: { seed: 1\nrun: [\n")
    #expect(found.count == 1)
    guard case .syntax = found.first?.kind else {
      Issue.record("\(found)")
      return
    }
    #expect((found.first?.line ?? 0) >= 8)
  }

  @Test("a file that is empty, or a list, is told what it should be")
  func noMapping() {
    for text in ["", "# nothing\n", "- 1\n", "hello\n"] {
      #expect(problems(text).map(\.line) == [1])
      guard case .badValue(_, "a mapping of keys to values") = problems(text).first?.kind else {
        Issue.record("\(problems(text))")
        continue
      }
    }
  }

  @Test("what has no default and is absent is reported once, at its section")
  func missing() {
    #expect(problems("run: a\n").map(\.key) == ["data", "models"])
    let found = problems(
      "models:\n  teacher: { path: t }\n  student:\n    precision: f32\ndata: {}\n")
    #expect(found.map(\.key) == ["models.student.path", "data.images", "data.instructions"])
    #expect(found.map(\.line) == [3, 5, 5])
    #expect(problems(adding: "evaluate:\n  - path: x\n").map(\.key) == ["evaluate[0].name"])
    #expect(problems(adding: "evaluate:\n  - path: x\n").map(\.line) == [8])
  }

  @Test(
    "a value of the wrong form names its line, what was given and what is allowed",
    arguments: [
      ("run: a b", "run", "a b"),
      ("run: ''", "run", ""),
      ("run: .a", "run", ".a"),
      ("run: [a]", "run", "a list"),
      ("coordinator: { control: \"0.0.0.0:1\" }", "coordinator.control", "0.0.0.0:1"),
      ("coordinator: { bulk: \"tcp://h:70000\" }", "coordinator.bulk", "tcp://h:70000"),
      ("coordinator: { bulk: \"tcp://:7\" }", "coordinator.bulk", "tcp://:7"),
      ("coordinator: { bulk: \"tcp://a:b:7\" }", "coordinator.bulk", "tcp://a:b:7"),
      ("coordinator: { dashboard: h }", "coordinator.dashboard", "h"),
      ("coordinator: 7700", "coordinator", "7700"),
      ("method: [1]", "method", "a list"),
      ("method: { iterations: -1 }", "method.iterations", "-1"),
      ("method: { iterations: 2.5 }", "method.iterations", "2.5"),
      ("method: { iterations: two }", "method.iterations", "two"),
      ("method: { iterations: }", "method.iterations", ""),
      ("method: { threshold: nan }", "method.threshold", "nan"),
      ("method: { threshold: 0x1 }", "method.threshold", "0x1"),
      ("method: { threshold: inf }", "method.threshold", "inf"),
      ("method: { rouge_l_max: 0 }", "method.rouge_l_max", "0"),
      ("method: { rouge_l_max: 1.01 }", "method.rouge_l_max", "1.01"),
      ("method: { temperature: -0.1 }", "method.temperature", "-0.1"),
      ("method: { judge_attempts: 0 }", "method.judge_attempts", "0"),
      ("method: { seed: -1 }", "method.seed", "-1"),
      ("method: { seed: 18446744073709551616 }", "method.seed", "18446744073709551616"),
      ("tokens_max: { answer: 0 }", "tokens_max.answer", "0"),
      ("tune: { batch: 0 }", "tune.batch", "0"),
      ("tune: { learning_rate: 0 }", "tune.learning_rate", "0"),
      ("pretrain: { warmup_ratio: 3 }", "pretrain.warmup_ratio", "3"),
      ("tune: { betas: 0.9 }", "tune.betas", "0.9"),
      ("tune: { betas: [0.9] }", "tune.betas", "a list"),
      ("tune: { betas: [0.9, 1] }", "tune.betas[1]", "1"),
      ("tune: { trained: language }", "tune.trained", "language"),
      ("tune: { virtual_ranks: 5000 }", "tune.virtual_ranks", "5000"),
      ("tune: { trained: '' }", "tune.trained", ""),
      ("noun_phrases: spacy", "noun_phrases", "spacy"),
      ("timing: { heartbeat: 1 }", "timing.heartbeat", "1"),
      ("timing: { heartbeat: 1x }", "timing.heartbeat", "1x"),
      ("timing: { heartbeat: 0s }", "timing.heartbeat", "0s"),
      ("evaluate: scienceqa", "evaluate", "scienceqa"),
      ("evaluate: [ scienceqa ]", "evaluate[0]", "scienceqa"),
      ("evaluate: [ { name: other, path: p } ]", "evaluate[0].name", "other"),
      ("evaluate: [ { name: llava, path: p, limit: 0 } ]", "evaluate[0].limit", "0"),
    ])
  func badValue(line: String, key: String, given: String) {
    let found = problems(adding: "\n# a comment\n" + line + "\n")
    #expect(found.count == 1)
    #expect(found.first?.line == 9)
    #expect(found.first?.key == key)
    guard case .badValue(given, let allowed) = found.first?.kind else {
      Issue.record("\(found)")
      return
    }
    #expect(!allowed.isEmpty)
  }

  @Test("two values that do not go together are reported at the second")
  func conflicts() {
    let ports = problems(
      adding: """
        coordinator:
          control: "tcp://h:9000"
          bulk: "tcp://h:9000"
          dashboard: "h:9000"
        """)
    #expect(ports.map(\.line) == [9, 10, 10])
    #expect(ports.map(\.key) == ["bulk", "dashboard", "dashboard"].map { "coordinator." + $0 })
    #expect(
      problems(adding: "coordinator: { control: \"tcp://h:0\", bulk: \"tcp://h:0\" }").isEmpty)
    let stage1 = problems(adding: "  captions: a.json\n  conversations: b.json")
    #expect(stage1.map(\.line) == [8] && stage1.map(\.key) == ["data.conversations"])
    #expect(problems(adding: "  conversations: b.json").isEmpty)

    let times = problems(adding: "timing:\n  heartbeat: 30s\n  gone_after: 1s\n  lease: 1m\n")
    #expect(times.map(\.line) == [7, 9])
    #expect(times.map(\.key) == ["timing.suspect_after", "timing.gone_after"])
  }

  @Test("is a student in int8, for it is tuned; a teacher may be")
  func int8() {
    let found = problems(
      """
      models:
        teacher: { path: t, precision: int8 }
        student: { path: s, precision: int8 }
      data: { instructions: i.json, images: i }
      """)
    #expect(found.map(\.key) == ["models.student.precision"])
    #expect(found.first.map { "\($0)".contains("f32 or bf16") } == true)
  }

  @Test("adapters are refused in stage 1, beside other parts, and for layers that no block has")
  func adapters() {
    let stage1 = problems(adding: "pretrain:\n  lora: { rank: 4 }\n")
    #expect(stage1.map(\.key) == ["pretrain.lora"] && stage1.map(\.line) == [8])
    #expect(stage1.first?.description.contains("put lora under tune") == true)
    for trained in ["all", "projector"] {
      let both = problems(adding: "tune:\n  lora: {}\n  trained: \(trained)\n")
      #expect(both.map(\.key) == ["tune.trained"] && both.map(\.line) == [9])
    }
    #expect(problems(adding: "tune: { lora: {}, trained: projector-and-language }").isEmpty)
    let unknown = problems(adding: "tune:\n  lora:\n    targets: [q_proj, gate_prj, zzz]\n")
    #expect(unknown.map(\.key) == ["tune.lora.targets[1]", "tune.lora.targets[2]"])
    let allowed = AdaptedLayer.allCases.map(\.rawValue)
    #expect(
      unknown.map(\.kind) == [
        .unknownWord(given: "gate_prj", nearest: "gate_proj", allowed: allowed),
        .unknownWord(given: "zzz", nearest: nil, allowed: allowed),
      ])
    #expect(unknown.first?.description.contains("did you mean 'gate_proj'?") == true)
    for (lora, key) in [
      ("{ rank: 0 }", "rank"), ("{ alpha: 0 }", "alpha"), ("{ targets: [] }", "targets"),
      ("{ targets: q_proj }", "targets"), ("{ ranks: 1 }", "ranks"),
    ] {
      #expect(problems(adding: "tune: { lora: \(lora) }").map(\.key) == ["tune.lora.\(key)"])
    }
  }

  @Test("is never alone: all of them are told at once, by line")
  func all() {
    let found = problems(
      """
      rum: a
      models:
        teacher: { paht: t }
        student: { path: s, precision: f16, conversation: vicuna }
      data: 3
      tune: { bach: 2, epochs: none }
      """)
    #expect(found.map(\.line) == [1, 3, 3, 4, 4, 5, 6, 6])
    #expect(
      found.map(\.key) == [
        "rum", "models.teacher.paht", "models.teacher.path",
        "models.student.conversation", "models.student.precision", "data", "tune.bach",
        "tune.epochs",
      ])
  }

  @Test("an input that is not there is reported only when inputs must exist")
  func inputs() {
    let found = problems(least, inputs: .mustExist)
    #expect(found.map(\.line) == [2, 3, 5, 6])
    #expect(found.first?.kind == .notFound(path: "/there/t"))
    #expect(problems(least).isEmpty)
  }

  @Test("a settings file that is not there, or is no text, is named")
  func noFile() throws {
    #expect(throws: SettingsError.self) { try ClusterSettings.load(file: "/not/there.yaml") }
    let folder = try TemporaryFolder()
    for bytes in [Data([0xff, 0xfe, 0x00]), Data(repeating: 0x20, count: 1 << 21)] {
      let file = try folder.write("cluster.yaml", bytes)
      let error = #expect(throws: SettingsError.self) {
        try ClusterSettings.load(file: file)
      }
      #expect(error?.problems.first?.file == file)
      guard case .syntax = error?.problems.first?.kind else {
        Issue.record("\(String(describing: error))")
        continue
      }
    }
  }
}
