public import Distillation
public import Domain

/// Everything that `cluster.yaml` says: checked, with defaults filled in and paths resolved.
///
/// Every default is the paper's (section 4.1.3) where the paper has one.
public struct ClusterSettings: Hashable, Sendable {
  /// The run's name: letters, digits, `.`, `_` and `-`.
  public var run: String
  public var coordinator: CoordinatorSettings
  public var models: ModelsSettings
  public var data: DataSettings
  public var method: Method
  public var tokensMax: TokenLimits
  /// Stage 1; trains the projector unless `trained` says otherwise.
  public var pretrain: TrainingRecipe
  /// The tuning of every iteration.
  public var tune: TrainingRecipe
  public var nounPhrases: NounPhraseSource
  /// A folder whose files take the place of the built-in prompts; `loadPrompts` reads it.
  public var prompts: String?
  public var timing: TimingSettings
  public var evaluate: [EvaluationSettings]

  /// The defaults, for a run whose models and data are named.
  public init(
    run: String = "comd", coordinator: CoordinatorSettings = CoordinatorSettings(),
    models: ModelsSettings, data: DataSettings, method: Method = Method(),
    evaluate: [EvaluationSettings] = []
  ) {
    self.run = run
    self.coordinator = coordinator
    self.models = models
    self.data = data
    self.method = method
    tokensMax = TokenLimits()
    pretrain = Self.pretrainDefault(seed: method.seed)
    tune = Self.tuneDefault(seed: method.seed)
    nounPhrases = .builtin
    prompts = nil
    timing = TimingSettings()
    self.evaluate = evaluate
  }

  /// Stage 1 as in section 4.1.3: AdamW, batch 16, rate 2e-3, warm-up ratio 0.03.
  static func pretrainDefault(seed: UInt64) -> TrainingRecipe {
    TrainingRecipe(learningRate: 2e-3, trained: .projector, seed: seed)
  }

  /// Stage 2 as in section 4.1.3: as stage 1 with rate 2e-5; one epoch in each iteration.
  static func tuneDefault(seed: UInt64) -> TrainingRecipe {
    TrainingRecipe(learningRate: 2e-5, trained: .projectorAndLanguage, seed: seed)
  }
}

/// Where the coordinator listens.
public struct CoordinatorSettings: Hashable, Sendable {
  public var control = Endpoint(host: "0.0.0.0", port: 7700)
  public var bulk = Endpoint(host: "0.0.0.0", port: 7701)
  /// nil when the file says `none`.
  public var dashboard: Endpoint? = Endpoint(host: "127.0.0.1", port: 7780)
  /// What the record of all decisions may take on the disk; nil when the file says `none`.
  public var journalBytesMax: Int64? = 4 << 30
  public init() {}
}

/// A host and a TCP port; port 0 takes any free one.
public struct Endpoint: Hashable, Sendable {
  /// A name, an IPv4 address, or an IPv6 address without brackets.
  public var host: String
  public var port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// `host:port`, an IPv6 host in brackets.
  public var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
  /// As ZeroMQ writes it: `tcp://host:port`, with `*` for any free port.
  public var zeroMQ: String {
    "tcp://" + (port == 0 ? authority.dropLast(1) + "*" : authority)
  }
}

public struct ModelsSettings: Hashable, Sendable {
  /// Plays teacher, assessor and augmentor.
  public var teacher: ModelSettings
  public var student: ModelSettings
  public init(teacher: ModelSettings, student: ModelSettings) {
    self.teacher = teacher
    self.student = student
  }
}

public struct ModelSettings: Hashable, Sendable {
  /// A Hugging Face folder or a GGUF file.
  public var path: String
  /// The form of a dialogue that the model was trained on or, for a student, is tuned on.
  public var conversation: ConversationTemplate
  public var precision = Precision.f32

  /// A teacher keeps the form that LLaVA was tuned on.
  public static func teacher(path: String) -> ModelSettings {
    ModelSettings(path: path, conversation: .vicunaV1)
  }

  /// A student learns the paper's form: `<STOP>` after each instruction and each answer.
  /// - Source: Li et al. 2024, eq. 3 and figure 3.
  public static func student(path: String) -> ModelSettings {
    ModelSettings(path: path, conversation: .vicunaV1Stop)
  }
}

public struct DataSettings: Hashable, Sendable {
  /// LLaVA's JSON; answers in it are dropped.
  public var instructions: String
  /// The folder of the pictures that instructions and captions name.
  public var images: String
  /// Pictures and captions for stage 1.
  public var captions: String?
  /// Dialogues in LLaVA's form for stage 1, in place of captions: learnt as they are.
  public var conversations: String?
  /// At most so many instructions or caption pairs, a seeded sample; nil takes all.
  public var instructionsLimit: Int?
  public var captionsLimit: Int?
  public init(instructions: String, images: String) {
    self.instructions = instructions
    self.images = images
  }

  /// Without captions and dialogues stage 1 is left out.
  public var hasStage1: Bool { captions != nil || conversations != nil }
}

/// The most tokens that a model may say in each role.
public struct TokenLimits: Hashable, Sendable {
  public var answer = 512
  public var judge = 256
  public var instruction = 128
  public init() {}
}

/// Who finds the noun phrases of captions (section 3.2).
public enum NounPhraseSource: Hashable, Sendable {
  /// The small chunker of this project.
  case builtin
  /// A process that reads captions line by line and answers each with its phrases as a JSON array.
  case spacy(command: String)
}

/// How patient the cluster is.
public struct TimingSettings: Hashable, Sendable {
  public var heartbeat = Duration.milliseconds(500)
  /// Silence after which a worker gets no new work.
  public var suspectAfter = Duration.milliseconds(1500)
  /// Silence after which a worker's work goes to others; longer for one that came back from more.
  public var goneAfter = Duration.milliseconds(2500)
  /// How long a job stays with a worker that does not say it holds it.
  public var lease = Duration.seconds(12)
  /// How long the first step of a training may take.
  public var firstStep = Duration.seconds(300)
  public init() {}
}

public enum EvaluationName: String, Hashable, Sendable, CaseIterable {
  case scienceqa
  case seedBench = "seed-bench"
  case llava, shapes
  case exactMatch = "exact-match"
}

/// A set of questions with known answers, asked after stage 1 and after every iteration.
public struct EvaluationSettings: Hashable, Sendable {
  public var name: EvaluationName
  public var path: String
  /// The first so many items; nil takes all.
  public var limit: Int?
  /// 0 is greedy. The paper's are 0.5 for ScienceQA and 0.1 for SEED-Bench; 0 elsewhere.
  public var temperature: Double

  public init(name: EvaluationName, path: String, limit: Int? = nil) {
    self.name = name
    self.path = path
    self.limit = limit
    temperature =
      switch name {
      case .scienceqa: 0.5
      case .seedBench: 0.1
      case .llava, .shapes, .exactMatch: 0
      }
  }
}
