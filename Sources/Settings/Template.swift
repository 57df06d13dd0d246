import Distillation
import Domain

extension ClusterSettings {
  /// A commented settings file with every key, at its default where it has one.
  ///
  /// - Parameter run: the name to write in.
  public static func template(run: String = "comd") -> String {
    var settings = ClusterSettings(
      run: run,
      models: ModelsSettings(
        teacher: .teacher(path: "models/teacher"),
        student: .student(path: "models/student")),
      data: DataSettings(instructions: "data/instructions.json", images: "data/images"))
    settings.data.captions = "data/captions.json"
    return settings.commented
  }

  /// These settings as the file that says them. Paths are written as they are.
  private var commented: String {
    """
    # Settings of a run of competitive distillation: comd run --config cluster.yaml --dir RUN
    # Relative paths start at this file's folder. A line that begins with '#' shows a key that is
    # not set. Where the paper names a value (section 4.1.3), it is the default.

    run: \(run)                    # letters, digits, '.', '_', '-'

    # Where the coordinator listens. Port 0 takes any free one. dashboard: none leaves it out.
    # journal: what the record of all decisions may take on the disk (comd simulate --replay), or
    # none.
    coordinator:
      control: \(coordinator.control.zeroMQ)
      bulk: \(coordinator.bulk.zeroMQ)
      dashboard: \(coordinator.dashboard?.authority ?? "none")
      journal: \(coordinator.journalBytesMax?.writtenBytes ?? "none")

    # A model is a Hugging Face folder or a GGUF file. The teacher is also assessor and augmentor.
    # conversation: the form of a dialogue, one of
    # \(ConversationTemplate.names.joined(separator: ", ")).
    # A teacher's is the one it was trained on. A student learns its own; the default has a <STOP>
    # after each instruction, too, as in the paper. precision: f32, bf16 (weights, keys and
    # values in half the memory; with AMX several times as quick) or, for the teacher, int8 (quicker
    # where long answers are written; `comd parity precision` says what it costs).
    models:
    \(lines(of: models.teacher, key: "teacher"))
    \(lines(of: models.student, key: "student"))

    data:
      instructions: \(data.instructions)   # LLaVA's JSON; answers in it are dropped
      images: \(data.images)
      captions: \(data.captions ?? "none")           # pictures and captions; without it no stage 1
      # conversations: data/dialogues.json  # in place of captions: stage 1 learns these
      # instructions_limit: 1000            # at most so many, a seeded sample
      # captions_limit: 10000

    method:
      iterations: \(method.iterations)
      threshold: \(method.threshold)       # difficult iff S >= threshold (eq. 6)
      rouge_l_max: \(method.rougeLMax)      # a new instruction is admitted below this only
      temperature: \(method.temperature)      # of teacher, assessor and augmentor
      judge_attempts: \(method.judgeAttempts)     # attempts at a judgement that can be parsed
      seed: \(method.seed)
      turns_max: \(method.turnsMax)          # of a conversation made of one picture's answers
      instruction_characters_max: \(method.instructionCharactersMax)

    # The most tokens that a model may say.
    tokens_max: { answer: \(tokensMax.answer), judge: \(tokensMax.judge), \
    instruction: \(tokensMax.instruction) }

    # Stage 1. trained: projector, projector-and-language, or all. clip_norm: 0 leaves gradients.
    # virtual_ranks: the batch is split over so many, whoever computes them; at least the most
    # workers that you will use. checkpoint_every: steps.
    # recompute: true takes less memory and a third more time; the same bits. replication: workers
    # that keep the moments of each part of the student: 2, so that any one may be lost; 0: all.
    # wire: bf16 halves what workers send each other, for slow networks, and rounds it.
    pretrain:
    \(lines(of: pretrain))

    # The tuning of every iteration. With lora, low-rank adapters are trained in place of the
    # language model's weights, and merged into them at the end: trained is then
    # projector-and-language, the default.
    tune:
    \(lines(of: tune))
    \(lines(of: tune.adapters))

    noun_phrases: \(nounPhrasesLine)
    # noun_phrases: { spacy: "python3 noun_phrases.py" }
    # prompts: prompts              # a folder whose files take the place of the built-in prompts

    # How patient the cluster is. suspect_after: silence after which a worker gets no new work;
    # gone_after: silence after which its work goes to others (longer for a worker that came back
    # from more; at once when its connection ends); lease: how long a job stays with a worker that
    # does not say it holds it; first_step: how long a training's first step may take.
    timing:
      heartbeat: \(timing.heartbeat.written)
      suspect_after: \(timing.suspectAfter.written)
      gone_after: \(timing.goneAfter.written)
      lease: \(timing.lease.written)
      first_step: \(timing.firstStep.written)

    # Questions asked after stage 1 and after every iteration.
    # name: \(EvaluationName.allCases.map(\.rawValue).joined(separator: ", "))
    evaluate: []
    # evaluate:
    #   - { name: scienceqa, path: data/scienceqa, limit: 500, temperature: 0.5 }

    """
  }

  private func lines(of model: ModelSettings, key: String) -> String {
    "  \(key): { path: \(model.path), conversation: \(model.conversation.name),"
      + " precision: \(model.precision.rawValue) }"
  }

  private func lines(of recipe: TrainingRecipe) -> String {
    """
      batch: \(recipe.batch)
      learning_rate: \(recipe.learningRate)
      warmup_ratio: \(recipe.warmupRatio)
      epochs: \(recipe.epochs)
      weight_decay: \(recipe.weightDecay)
      betas: [\(recipe.beta1), \(recipe.beta2)]
      epsilon: \(recipe.epsilon)
      clip_norm: \(recipe.clipNorm)
      trained: \(recipe.trained.written)
      virtual_ranks: \(recipe.virtualRanks)
      checkpoint_every: \(recipe.checkpointEvery)
      replication: \(recipe.replication)
      recompute: \(recipe.recompute)
      wire: \(recipe.wire.rawValue)
    """
  }

  private func lines(of adapters: LowRankAdapters?) -> String {
    let shown = adapters ?? LowRankAdapters()
    let targets = shown.orderedTargets.map(\.rawValue).joined(separator: ", ")
    let mark = adapters == nil ? "# " : ""
    return """
        \(mark)lora: { rank: \(shown.rank), alpha: \(shown.alpha),
        \(mark)        targets: [\(targets)] }
      """
  }

  private var nounPhrasesLine: String {
    switch nounPhrases {
    case .builtin: "builtin             # or a spaCy process:"
    case .spacy(let command): "{ spacy: \"\(command)\" }"
    }
  }
}
