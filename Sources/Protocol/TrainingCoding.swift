import CProtocol
import Domain

extension TrainingCheckpoint {
  init(_ message: Comd__TrainingCheckpoint) throws(ProtocolError) {
    self.init(
      step: try unsafe Checked.integer(message.step, "checkpoint.step"),
      state: try unsafe Checked.digest(message.state, "checkpoint.state"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__TrainingCheckpoint> {
    let c = unsafe arena.make(comd__training_checkpoint__init)
    unsafe c.pointee.step = UInt64(step)
    unsafe c.pointee.state = arena.data(state.bytes)
    return unsafe c
  }
}

extension TrainingExport {
  init(_ message: Comd__TrainingExport) throws(ProtocolError) {
    self.init(
      training: try unsafe Checked.training(message.training, "export.training"),
      model: try unsafe Checked.digest(message.model, "export.model"),
      weights: try unsafe Checked.digest(message.weights, "export.weights"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__TrainingExport> {
    let c = unsafe arena.make(comd__training_export__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.model = arena.data(model.bytes)
    unsafe c.pointee.weights = arena.data(weights.bytes)
    return unsafe c
  }
}

extension TrainingRecipe {
  init(_ message: Comd__TrainingRecipe) throws(ProtocolError) {
    let trained: TrainedPart =
      switch unsafe message.trained {
      case COMD__TRAINED_PART__TRAINED_PROJECTOR: .projector
      case COMD__TRAINED_PART__TRAINED_PROJECTOR_AND_LANGUAGE: .projectorAndLanguage
      case COMD__TRAINED_PART__TRAINED_ALL: .all
      default: throw .missing(field: "recipe.trained")
      }
    let count = 1...Int(UInt32.max)
    self.init(
      batch: try unsafe Checked.integer(message.batch, "recipe.batch", in: count),
      learningRate: try unsafe Checked.real(
        message.learning_rate, "recipe.learning_rate", in: 0...1e6),
      warmupRatio: try unsafe Checked.real(
        message.warmup_ratio, "recipe.warmup_ratio", in: 0...1),
      epochs: try unsafe Checked.integer(message.epochs, "recipe.epochs", in: count),
      weightDecay: try unsafe Checked.real(
        message.weight_decay, "recipe.weight_decay", in: 0...1e6),
      beta1: try unsafe Checked.real(message.beta1, "recipe.beta1", in: 0...1),
      beta2: try unsafe Checked.real(message.beta2, "recipe.beta2", in: 0...1),
      epsilon: try unsafe Checked.real(message.epsilon, "recipe.epsilon", in: 0...1e6),
      clipNorm: try unsafe Checked.real(message.clip_norm, "recipe.clip_norm", in: 0...1e30),
      trained: trained,
      virtualRanks: try unsafe Checked.integer(
        message.virtual_ranks, "recipe.virtual_ranks", in: 1...WireLimits.ranksMax),
      checkpointEvery: try unsafe Checked.integer(
        message.checkpoint_every, "recipe.checkpoint_every"),
      seed: unsafe message.seed,
      precision: try unsafe Precision(message.precision, "recipe.precision"))
    recompute = unsafe message.recompute != 0
    if let adapters = unsafe message.adapters {
      self.adapters = try unsafe LowRankAdapters(adapters.pointee)
    }
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__TrainingRecipe> {
    let c = unsafe arena.make(comd__training_recipe__init)
    unsafe c.pointee.batch = UInt32(batch)
    unsafe c.pointee.learning_rate = learningRate
    unsafe c.pointee.warmup_ratio = warmupRatio
    unsafe c.pointee.epochs = UInt32(epochs)
    unsafe c.pointee.weight_decay = weightDecay
    unsafe c.pointee.beta1 = beta1
    unsafe c.pointee.beta2 = beta2
    unsafe c.pointee.epsilon = epsilon
    unsafe c.pointee.clip_norm = clipNorm
    unsafe c.pointee.trained =
      switch trained {
      case .projector: COMD__TRAINED_PART__TRAINED_PROJECTOR
      case .projectorAndLanguage: COMD__TRAINED_PART__TRAINED_PROJECTOR_AND_LANGUAGE
      case .all: COMD__TRAINED_PART__TRAINED_ALL
      }
    unsafe c.pointee.virtual_ranks = UInt32(virtualRanks)
    unsafe c.pointee.checkpoint_every = UInt32(checkpointEvery)
    unsafe c.pointee.seed = seed
    unsafe c.pointee.recompute = recompute ? 1 : 0
    unsafe c.pointee.precision = precision.message
    unsafe c.pointee.adapters = adapters.map { unsafe $0.message(in: arena) }
    return unsafe c
  }
}

extension TrainingPlan {
  init(_ message: Comd__TrainingPlan) throws(ProtocolError) {
    var checkpoint: TrainingCheckpoint?
    if let state = unsafe message.checkpoint {
      checkpoint = try unsafe TrainingCheckpoint(state.pointee)
    }
    self.init(
      training: try unsafe Checked.training(message.training, "plan.training"),
      model: try unsafe Checked.digest(message.model, "plan.model"),
      dataset: try unsafe Checked.digest(message.dataset, "plan.dataset"),
      recipe: try unsafe TrainingRecipe(Checked.present(message.recipe, "plan.recipe")),
      stepsTotal: try unsafe Checked.integer(message.steps_total, "plan.steps_total"),
      checkpoint: checkpoint)
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__TrainingPlan> {
    let c = unsafe arena.make(comd__training_plan__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.model = arena.data(model.bytes)
    unsafe c.pointee.dataset = arena.data(dataset.bytes)
    unsafe c.pointee.recipe = recipe.message(in: arena)
    unsafe c.pointee.steps_total = UInt64(stepsTotal)
    unsafe c.pointee.checkpoint = checkpoint.map { unsafe $0.message(in: arena) }
    return unsafe c
  }
}

extension TrainingStanding {
  init(_ message: Comd__TrainingStanding) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__TRAINING_STANDING__KIND_PREPARING: self = .preparing
    case COMD__TRAINING_STANDING__KIND_READY:
      self = .ready(step: try unsafe Checked.integer(message.ready, "standing.ready"))
    case COMD__TRAINING_STANDING__KIND_PREPARED:
      let prepared = try unsafe Checked.present(message.prepared, "standing.prepared")
      self = .prepared(
        step: try unsafe Checked.integer(prepared.step, "standing.step"),
        epoch: unsafe prepared.epoch)
    case COMD__TRAINING_STANDING__KIND_FAILED:
      self = .failed(try unsafe Checked.reason(message.failed, "standing.failed"))
    default: throw .missing(field: "standing")
    }
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__TrainingStanding> {
    let c = unsafe arena.make(comd__training_standing__init)
    switch self {
    case .preparing:
      unsafe c.pointee.kind_case = COMD__TRAINING_STANDING__KIND_PREPARING
      unsafe c.pointee.preparing = arena.make(comd__training_standing__preparing__init)
    case .ready(let step):
      unsafe c.pointee.kind_case = COMD__TRAINING_STANDING__KIND_READY
      unsafe c.pointee.ready = UInt64(step)
    case .prepared(let step, let epoch):
      let prepared = unsafe arena.make(comd__training_standing__prepared__init)
      unsafe prepared.pointee.step = UInt64(step)
      unsafe prepared.pointee.epoch = epoch
      unsafe c.pointee.kind_case = COMD__TRAINING_STANDING__KIND_PREPARED
      unsafe c.pointee.prepared = prepared
    case .failed(let reason):
      unsafe c.pointee.kind_case = COMD__TRAINING_STANDING__KIND_FAILED
      unsafe c.pointee.failed = arena.reason(reason)
    }
    return unsafe c
  }
}

extension StepMember {
  init(_ message: Comd__StepMember) throws(ProtocolError) {
    self.init(
      worker: try unsafe WorkerID(Checked.present(message.worker, "member.worker"), "member"),
      endpoint: try unsafe Checked.name(message.endpoint, "member.endpoint"),
      publicKey: try unsafe Checked.curveKey(message.public_key, "member.public_key"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__StepMember> {
    let c = unsafe arena.make(comd__step_member__init)
    unsafe c.pointee.worker = worker.message(in: arena)
    unsafe c.pointee.endpoint = arena.data(endpoint)
    unsafe c.pointee.public_key = arena.data(publicKey)
    return unsafe c
  }
}

extension StepPlan {
  init(_ message: Comd__StepPlan) throws(ProtocolError) {
    let members = try unsafe Checked.messages(
      message.members, message.n_members, "step.members", max: WireLimits.membersMax
    ) { member throws(ProtocolError) in try unsafe StepMember(member) }
    let owner = { (index: UInt32, field: String) throws(ProtocolError) -> Int in
      try Checked.integer(index, field, in: 0...max(0, members.count - 1))
    }
    guard !members.isEmpty else { throw .missing(field: "step.members") }
    self.init(
      training: try unsafe Checked.training(message.training, "step.training"),
      epoch: unsafe message.epoch, step: try unsafe Checked.integer(message.step, "step.step"),
      members: members,
      rankOwners: try unsafe Checked.list(
        message.rank_owners, message.n_rank_owners, "step.rank_owners", max: WireLimits.ranksMax,
        owner),
      segmentOwners: try unsafe Checked.list(
        message.segment_owners, message.n_segment_owners, "step.segment_owners",
        max: WireLimits.segmentsMax, owner))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__StepPlan> {
    let c = unsafe arena.make(comd__step_plan__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.epoch = epoch
    unsafe c.pointee.step = UInt64(step)
    unsafe c.pointee.n_members = members.count
    unsafe c.pointee.members = arena.pointers(members.map { unsafe $0.message(in: arena) })
    unsafe c.pointee.n_rank_owners = rankOwners.count
    unsafe c.pointee.rank_owners = arena.array(rankOwners.map { UInt32($0) })
    unsafe c.pointee.n_segment_owners = segmentOwners.count
    unsafe c.pointee.segment_owners = arena.array(segmentOwners.map { UInt32($0) })
    return unsafe c
  }
}

extension StepVote {
  init(_ message: Comd__StepVote) throws(ProtocolError) {
    self.init(
      training: try unsafe Checked.training(message.training, "vote.training"),
      epoch: unsafe message.epoch, step: try unsafe Checked.integer(message.step, "vote.step"),
      loss: unsafe message.loss,
      gradient: try unsafe Checked.digest(message.gradient, "vote.gradient"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__StepVote> {
    let c = unsafe arena.make(comd__step_vote__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.epoch = epoch
    unsafe c.pointee.step = UInt64(step)
    unsafe c.pointee.loss = loss
    unsafe c.pointee.gradient = arena.data(gradient.bytes)
    return unsafe c
  }
}
