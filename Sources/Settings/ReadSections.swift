import Distillation
import Domain
import Foundation
import Yams

/// Reads the whole file; nil when something without a default is absent, which is then reported.
func readCluster(_ root: Section, _ places: Places) -> ClusterSettings? {
  let run = root.value("run", .name)
  let coordinator = root.section("coordinator", readCoordinator)
  let models = root.section("models", required: true) { readModels($0, places) }
  let data = root.section("data", required: true) { readData($0, places) }
  let method = root.section("method", readMethod)
  let limits = root.section("tokens_max", readTokenLimits)
  let pretrain = root.section("pretrain") {
    readPretraining($0, defaults: ClusterSettings.pretrainDefault(seed: method.seed))
  }
  let tune = root.section("tune") {
    readTuning($0, defaults: ClusterSettings.tuneDefault(seed: method.seed))
  }
  let nounPhrases = readNounPhrases(root)
  let prompts = readPrompts(root, places)
  let timing = root.section("timing", readTiming)
  let evaluate = root.list("evaluate") { readEvaluation($0, places) }.compactMap(\.self)

  guard let models, let data else { return nil }
  var settings = ClusterSettings(models: models, data: data, method: method, evaluate: evaluate)
  if let run { settings.run = run }
  settings.coordinator = coordinator
  settings.tokensMax = limits
  settings.pretrain = pretrain
  settings.tune = tune
  settings.nounPhrases = nounPhrases
  settings.prompts = prompts
  settings.timing = timing
  return settings
}

private func readCoordinator(_ section: Section) -> CoordinatorSettings {
  var coordinator = CoordinatorSettings()
  section.take("control", .zeroMQ, into: &coordinator.control)
  section.take("bulk", .zeroMQ, into: &coordinator.bulk)
  section.take("dashboard", .dashboard, into: &coordinator.dashboard)
  section.take("journal", .bytesOrNone, into: &coordinator.journalBytesMax)
  let ports = [
    ("bulk", coordinator.bulk.port, ["control": coordinator.control.port]),
    (
      "dashboard", coordinator.dashboard?.port ?? 0,
      ["control": coordinator.control.port, "bulk": coordinator.bulk.port]
    ),
  ]
  for (key, port, others) in ports where port != 0 {
    for (other, taken) in others.sorted(by: { $0.key < $1.key }) where taken == port {
      section.note(
        .conflict("port \(port) is also that of \(other); each needs its own"), key,
        line: section.line(of: key))
    }
  }
  return coordinator
}

private func readModels(_ section: Section, _ places: Places) -> ModelsSettings? {
  let teacher = section.section("teacher", required: true) {
    readModel($0, places, .oneOf, ModelSettings.teacher)
  }
  let student = section.section("student", required: true) {
    readModel($0, places, .tuned, ModelSettings.student)
  }
  guard let teacher, let student else { return nil }
  return ModelsSettings(teacher: teacher, student: student)
}

private func readModel(
  _ section: Section, _ places: Places, _ precisions: Form<Precision>,
  _ defaults: (_ path: String) -> ModelSettings
) -> ModelSettings? {
  var model = defaults(places.path(section, "path", required: true) ?? "")
  section.take("conversation", .conversation, into: &model.conversation)
  section.take("precision", precisions, into: &model.precision)
  return model.path.isEmpty ? nil : model
}

private func readData(_ section: Section, _ places: Places) -> DataSettings? {
  let instructions = places.path(section, "instructions", required: true)
  let images = places.path(section, "images", required: true)
  let captions = places.path(section, "captions")
  let conversations = places.path(section, "conversations")
  if captions != nil, conversations != nil {
    section.note(
      .conflict("stage 1 learns either captions or conversations; take one of the two out"),
      "conversations", line: section.line(of: "conversations"))
  }
  let instructionsLimit = section.value("instructions_limit", .integer(1...1_000_000_000))
  let captionsLimit = section.value("captions_limit", .integer(1...1_000_000_000))
  guard let instructions, let images else { return nil }
  var data = DataSettings(instructions: instructions, images: images)
  data.captions = captions
  data.conversations = conversations
  data.instructionsLimit = instructionsLimit
  data.captionsLimit = captionsLimit
  return data
}

private func readMethod(_ section: Section) -> Method {
  var method = Method()
  section.take("iterations", .integer(0...1_000), into: &method.iterations)
  section.take("threshold", .number(0...10), into: &method.threshold)
  section.take("rouge_l_max", .number(above: 0, to: 1), into: &method.rougeLMax)
  section.take("temperature", .number(0...10), into: &method.temperature)
  section.take("judge_attempts", .integer(1...100), into: &method.judgeAttempts)
  section.take("seed", .seed, into: &method.seed)
  section.take("turns_max", .integer(1...1_000), into: &method.turnsMax)
  section.take(
    "instruction_characters_max", .integer(1...100_000), into: &method.instructionCharactersMax)
  return method
}

private func readTokenLimits(_ section: Section) -> TokenLimits {
  var limits = TokenLimits()
  section.take("answer", .integer(1...100_000), into: &limits.answer)
  section.take("judge", .integer(1...100_000), into: &limits.judge)
  section.take("instruction", .integer(1...100_000), into: &limits.instruction)
  return limits
}

private func readTraining(_ section: Section, defaults: TrainingRecipe) -> TrainingRecipe {
  var recipe = defaults
  section.take("batch", .integer(1...1_000_000), into: &recipe.batch)
  section.take("learning_rate", .number(above: 0, to: 1), into: &recipe.learningRate)
  section.take("warmup_ratio", .number(0...1), into: &recipe.warmupRatio)
  section.take("epochs", .integer(1...10_000), into: &recipe.epochs)
  section.take("weight_decay", .number(0...1), into: &recipe.weightDecay)
  if let betas = section.values("betas", count: 2, .number(from: 0, below: 1)) {
    (recipe.beta1, recipe.beta2) = (betas[0], betas[1])
  }
  section.take("epsilon", .number(above: 0, to: 1), into: &recipe.epsilon)
  section.take("clip_norm", .number(0...1e6), into: &recipe.clipNorm)
  section.take("trained", .trained, into: &recipe.trained)
  section.take("virtual_ranks", .integer(1...4_096), into: &recipe.virtualRanks)
  section.take("checkpoint_every", .integer(1...1_000_000), into: &recipe.checkpointEvery)
  section.take("recompute", .flag, into: &recipe.recompute)
  section.take("replication", .integer(0...64), into: &recipe.replication)
  section.take("wire", .oneOf, into: &recipe.wire)
  return recipe
}

private func readPretraining(_ section: Section, defaults: TrainingRecipe) -> TrainingRecipe {
  let recipe = readTraining(section, defaults: defaults)
  if let entry = section.entry("lora") {
    let problem = "stage 1 trains the projector alone and has no adapters; put lora under tune"
    section.note(.conflict(problem), "lora", line: entry.line)
  }
  return recipe
}

private func readTuning(_ section: Section, defaults: TrainingRecipe) -> TrainingRecipe {
  var recipe = readTraining(section, defaults: defaults)
  guard section.entry("lora") != nil else { return recipe }
  recipe.adapters = section.section("lora", readAdapters)
  if recipe.trained != .projectorAndLanguage {
    let problem =
      "with lora, projector and adapters are trained: take trained: projector-and-language,"
      + " or leave lora out"
    section.note(.conflict(problem), "trained", line: section.line(of: "trained"))
  }
  return recipe
}

private func readAdapters(_ section: Section) -> LowRankAdapters {
  var adapters = LowRankAdapters()
  section.take("rank", .integer(1...4_096), into: &adapters.rank)
  section.take("alpha", .number(above: 0, to: 1e5), into: &adapters.alpha)
  if let words = section.words("targets", of: AdaptedLayer.allCases.map(\.rawValue)) {
    adapters.targets = Set(words.compactMap { AdaptedLayer(rawValue: $0) })
  }
  return adapters
}

private func readNounPhrases(_ root: Section) -> NounPhraseSource {
  let key = "noun_phrases"
  guard let entry = root.entry(key) else { return .builtin }
  if entry.node.scalar?.string == "builtin" { return .builtin }
  guard entry.node.mapping != nil else {
    let allowed = "builtin, or { spacy: COMMAND }"
    root.note(.badValue(given: entry.node.shortText, allowed: allowed), key, line: entry.line)
    return .builtin
  }
  return root.section(key) { section in
    section.required("spacy", .text).map { .spacy(command: $0) } ?? .builtin
  }
}

private func readPrompts(_ root: Section, _ places: Places) -> String? {
  guard let folder = places.path(root, "prompts") else { return nil }
  if places.inputs == .mustExist, FileManager.default.fileExists(atPath: folder) {
    do throws(SettingsError) {
      _ = try loadPrompts(folder: folder)
    } catch {
      for problem in error.problems { root.log.note(problem) }
    }
  }
  return folder
}

private func readTiming(_ section: Section) -> TimingSettings {
  var timing = TimingSettings()
  let longer = Form<Duration>.time(.milliseconds(100) ... .seconds(86_400))
  section.take("heartbeat", .time(.milliseconds(10) ... .seconds(60)), into: &timing.heartbeat)
  section.take("suspect_after", longer, into: &timing.suspectAfter)
  section.take("gone_after", longer, into: &timing.goneAfter)
  section.take("lease", longer, into: &timing.lease)
  section.take("first_step", longer, into: &timing.firstStep)
  let order = [
    ("suspect_after", timing.suspectAfter, "two heartbeats", timing.heartbeat * 2),
    ("gone_after", timing.goneAfter, "suspect_after", timing.suspectAfter),
    ("lease", timing.lease, "two heartbeats", timing.heartbeat * 2),
  ]
  for (key, time, other, least) in order where time < least {
    let problem = "\(time.written) is less than \(other), \(least.written); take a longer time"
    section.note(.conflict(problem), key, line: section.line(of: key))
  }
  return timing
}

private func readEvaluation(_ section: Section, _ places: Places) -> EvaluationSettings? {
  let name: EvaluationName? = section.required("name", .oneOf)
  let path = places.path(section, "path", required: true)
  let limit = section.value("limit", .integer(1...1_000_000_000))
  let temperature = section.value("temperature", .number(0...10))
  guard let name, let path else { return nil }
  var evaluation = EvaluationSettings(name: name, path: path, limit: limit)
  if let temperature { evaluation.temperature = temperature }
  return evaluation
}

extension Form<ConversationTemplate> {
  static let conversation = Form(
    allowed: "one of: " + ConversationTemplate.names.joined(separator: ", ")
  ) {
    ConversationTemplate.named($0)
  }
}

extension Form<TrainedPart> {
  static let trained = Form(allowed: "one of: projector, projector-and-language, all") { text in
    TrainedPart.allCases.first { $0.written == text }
  }
}

extension TrainedPart {
  /// The word for it in `cluster.yaml` and on the command line.
  var written: String {
    switch self {
    case .projector: "projector"
    case .projectorAndLanguage: "projector-and-language"
    case .all: "all"
    }
  }
}
