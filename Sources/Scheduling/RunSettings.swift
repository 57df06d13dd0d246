public import Distillation
public import Domain

/// Everything that steers a run's decisions; the same after a restart.
public struct RunSettings: Hashable, Codable, Sendable {
  /// The run's name, as workers hear it.
  public var run: String
  public var method: Method
  public var prompts: PromptSet
  /// How the teacher (also judge and augmentor) and the student are spoken to.
  public var teacherTemplate: ConversationTemplate
  public var studentTemplate: ConversationTemplate
  public var teacherPrecision = Precision.f32
  public var studentPrecision = Precision.f32
  /// Drawing of tokens by role; the seed follows from `method.seed` and the job's purpose.
  public var teacher: RoleSampling
  public var student: RoleSampling
  public var judge: RoleSampling
  public var augmentor: RoleSampling
  /// The recipe of stage 1. `seed` is replaced by `Seeds.training`, as in `tune`.
  public var pretrain: TrainingRecipe
  /// The recipe of every tuning.
  public var tune: TrainingRecipe
  /// The kernel set that the run is pinned to; nil until its first worker decides it.
  public var kernelSet: String?
  /// Whether results are looked up by address before jobs are handed out.
  public var reuse: Bool
  public var timing: Timing
  public var limits: Limits

  public init(
    run: String, method: Method = Method(), prompts: PromptSet,
    teacherTemplate: ConversationTemplate, studentTemplate: ConversationTemplate,
    teacher: RoleSampling, student: RoleSampling, judge: RoleSampling, augmentor: RoleSampling,
    pretrain: TrainingRecipe, tune: TrainingRecipe, kernelSet: String? = nil, reuse: Bool = true,
    timing: Timing = Timing(), limits: Limits = Limits()
  ) {
    self.run = run
    self.method = method
    self.prompts = prompts
    self.teacherTemplate = teacherTemplate
    self.studentTemplate = studentTemplate
    self.teacher = teacher
    self.student = student
    self.judge = judge
    self.augmentor = augmentor
    self.pretrain = pretrain
    self.tune = tune
    self.kernelSet = kernelSet
    self.reuse = reuse
    self.timing = timing
    self.limits = limits
  }
}

/// How one role draws its tokens.
public struct RoleSampling: Hashable, Codable, Sendable {
  public var temperature: Double
  public var topP: Double
  public var tokensMax: Int
  public init(temperature: Double, topP: Double = 1, tokensMax: Int) {
    self.temperature = temperature
    self.topP = topP
    self.tokensMax = tokensMax
  }
}

/// Time limits. They bound how long a fault can hold the run up; none of them decides a result.
public struct Timing: Hashable, Codable, Sendable {
  /// How often the shell promises to send `.tick`.
  public var tickEvery: Duration = .milliseconds(250)
  public var heartbeatEvery: Duration = .milliseconds(500)
  /// Silence after which a worker gets no new work.
  public var suspectAfter: Duration = .milliseconds(1500)
  /// Silence after which a worker's work goes to others. A worker that was heard again after a
  /// longer one is given more.
  public var goneAfter: Duration = .milliseconds(2500)
  /// How long a worker may be without a connection: no more than making a new one takes.
  public var reconnectPatience: Duration = .milliseconds(500)
  /// How long a job stays with a worker that does not say it holds it.
  public var leaseDuration: Duration = .seconds(12)
  /// No worker counts as stuck in a job earlier than this, however long it usually takes.
  public var stuckAfter: Duration = .seconds(60)
  /// No job is given to a second worker earlier than this.
  public var speculateAfter: Duration = .seconds(2)
  /// How long a message about training is waited on before it is sent again.
  public var resendAfter: Duration = .seconds(3)
  /// How long a training waits for workers that are still fetching, once one is ready.
  public var gatherPatience: Duration = .seconds(30)
  /// The same after a restart of the coordinator, when the workers have what they need.
  public var regatherPatience: Duration = .seconds(5)
  /// How long no step begins after a restart of the coordinator: workers make their connections
  /// anew one by one.
  public var reconnectAllPatience: Duration = .seconds(3)
  /// How long the holders of the newest training state are waited for before an older one is used.
  public var statePatience: Duration = .seconds(30)
  /// How long the first step may take; later ones are measured by those before them.
  public var firstStepPatience: Duration = .seconds(300)
  /// No step is given up earlier than this.
  public var stepPatienceMin: Duration = .seconds(5)
  /// How long a checkpoint or an export of one worker is waited for.
  public var uploadPatience: Duration = .seconds(180)
  /// How long a training stands still for workers that load the state to join it.
  public var joinPatience: Duration = .seconds(120)

  public init() {}
}

/// Bounds, and what happens at each.
public struct Limits: Hashable, Codable, Sendable {
  /// Jobs that one worker holds at most; a worker that is willing to hold more does not get more.
  public var creditMax: Int = 16
  /// Jobs of a phase that are created before workers take them, so that a phase of millions does
  /// not lie in memory; more when there are many workers.
  public var askedAheadMax: Int = 4096
  /// A job that failed on this many workers (by name) is set aside.
  public var failedWorkersMax: Int = 3
  /// A job that failed this often, on whichever workers there are, is set aside.
  public var failuresMax: Int = 6
  /// A job with which so many workers were lost is done with nothing beside it from then on.
  public var lostWithMax: Int = 2
  /// A job is set aside when so many workers were lost with it alone: it kills them.
  public var lostAloneMax: Int = 3
  /// A job that was handed out this often without a result is set aside.
  public var attemptsMax: Int = 64

  public init() {}
}

/// What a run is about, read and stored by the shell.
public struct RunInput: Hashable, Codable, Sendable {
  public var teacher: Digest
  /// The student before stage 1.
  public var student: Digest
  /// Whether stage 1 has anything to learn from; without captions it is left out.
  public var hasCaptions: Bool
  public var evaluationSets: [EvaluationSet]

  public init(
    teacher: Digest, student: Digest, hasCaptions: Bool, evaluationSets: [EvaluationSet]
  ) {
    self.teacher = teacher
    self.student = student
    self.hasCaptions = hasCaptions
    self.evaluationSets = evaluationSets
  }
}

/// Questions with known answers, as the models read them.
public struct EvaluationSet: Hashable, Codable, Sendable {
  public var name: String
  public var items: [EvaluationItem]
  public var sampling: RoleSampling
  public init(name: String, items: [EvaluationItem], sampling: RoleSampling) {
    self.name = name
    self.items = items
    self.sampling = sampling
  }
}

public struct EvaluationItem: Hashable, Codable, Sendable {
  public var image: Digest?
  public var text: String
  public init(image: Digest?, text: String) {
    self.image = image
    self.text = text
  }
}
