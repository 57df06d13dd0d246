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
    replication = try unsafe Checked.integer(
      message.replication, "recipe.replication", in: 0...WireLimits.membersMax)
    wire = try unsafe WirePrecision(message.wire, "recipe.wire")
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
    unsafe c.pointee.replication = UInt32(replication)
    unsafe c.pointee.precision = precision.message
    unsafe c.pointee.wire = wire.message
    unsafe c.pointee.adapters = adapters.map { unsafe $0.message(in: arena) }
    return unsafe c
  }
}

extension WirePrecision {
  fileprivate init(_ message: Comd__Precision, _ field: String) throws(ProtocolError) {
    switch message {
    case COMD__PRECISION__PRECISION_F32: self = .f32
    case COMD__PRECISION__PRECISION_BF16: self = .bf16
    default: throw .outOfRange(field: field, found: "another precision", allowed: "f32 or bf16")
    }
  }

  fileprivate var message: Comd__Precision {
    switch self {
    case .f32: COMD__PRECISION__PRECISION_F32
    case .bf16: COMD__PRECISION__PRECISION_BF16
    }
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
    lineage = unsafe message.lineage
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__TrainingPlan> {
    let c = unsafe arena.make(comd__training_plan__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.model = arena.data(model.bytes)
    unsafe c.pointee.dataset = arena.data(dataset.bytes)
    unsafe c.pointee.recipe = recipe.message(in: arena)
    unsafe c.pointee.steps_total = UInt64(stepsTotal)
    unsafe c.pointee.lineage = lineage
    unsafe c.pointee.checkpoint = checkpoint.map { unsafe $0.message(in: arena) }
    return unsafe c
  }
}

extension TrainingStanding {
  init(_ message: Comd__TrainingStanding) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__TRAINING_STANDING__KIND_PREPARING: self = .preparing
    case COMD__TRAINING_STANDING__KIND_FOLLOWING:
      self = .following(
        try unsafe TrainingProgress(Checked.present(message.following, "standing.following")))
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
    case .following(let progress):
      unsafe c.pointee.kind_case = COMD__TRAINING_STANDING__KIND_FOLLOWING
      unsafe c.pointee.following = progress.message(in: arena)
    case .failed(let reason):
      unsafe c.pointee.kind_case = COMD__TRAINING_STANDING__KIND_FAILED
      unsafe c.pointee.failed = arena.reason(reason)
    }
    return unsafe c
  }
}

extension TrainingProgress {
  init(_ message: Comd__TrainingStanding__Following) throws(ProtocolError) {
    let segments = try unsafe Checked.integer(
      message.segments, "standing.segments", in: 0...WireLimits.segmentsMax)
    var summed: PieceSet?
    if let given = unsafe message.summed {
      summed = try unsafe PieceSet(given.pointee.segments, of: segments, "standing.summed")
    }
    self.init(
      lineage: unsafe message.lineage,
      elements: try unsafe Checked.integer(message.elements, "standing.elements"),
      step: try unsafe Checked.integer(message.step, "standing.step"),
      isWhole: unsafe message.whole != 0,
      kept: try unsafe PieceSet(message.kept, of: segments, "standing.kept"), summed: summed)
  }

  func message(
    in arena: Arena
  ) -> UnsafeMutablePointer<Comd__TrainingStanding__Following> {
    let c = unsafe arena.make(comd__training_standing__following__init)
    unsafe c.pointee.lineage = lineage
    unsafe c.pointee.elements = UInt64(elements)
    unsafe c.pointee.step = UInt64(step)
    unsafe c.pointee.whole = isWhole ? 1 : 0
    unsafe c.pointee.segments = UInt32(kept.pieceCount)
    unsafe c.pointee.kept = arena.data(kept.bytes)
    if let summed {
      let message = unsafe arena.make(comd__training_standing__summed__init)
      unsafe message.pointee.segments = arena.data(summed.bytes)
      unsafe c.pointee.summed = message
    }
    return unsafe c
  }
}

extension PieceSet {
  fileprivate init(
    _ data: ProtobufCBinaryData, of count: Int, _ field: String
  ) throws(ProtocolError) {
    let bytes = unsafe Array(UnsafeBufferPointer(start: data.data, count: data.len))
    guard let set = PieceSet(bytes, of: count) else {
      throw .outOfRange(
        field: field, found: "\(bytes.count) bytes", allowed: "a bit for each of \(count)")
    }
    self = set
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

extension SegmentKeepers {
  init(_ message: Comd__SegmentKeepers, members: Int) throws(ProtocolError) {
    let member = { (index: UInt32, field: String) throws(ProtocolError) -> Int in
      try Checked.integer(index, field, in: 0...max(0, members - 1))
    }
    let keepers = try unsafe Checked.list(
      message.keepers, message.n_keepers, "segment.keepers", max: WireLimits.membersMax, member)
    guard !keepers.isEmpty else { throw .missing(field: "segment.keepers") }
    var newcomer: Int?
    if let given = unsafe message.newcomer {
      newcomer = try member(unsafe given.pointee.member, "segment.newcomer")
    }
    self.init(keepers, newcomer: newcomer)
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__SegmentKeepers> {
    let c = unsafe arena.make(comd__segment_keepers__init)
    unsafe c.pointee.n_keepers = keepers.count
    unsafe c.pointee.keepers = arena.array(keepers.map { UInt32($0) })
    if let newcomer {
      let given = unsafe arena.make(comd__segment_keepers__newcomer__init)
      unsafe given.pointee.member = UInt32(newcomer)
      unsafe c.pointee.newcomer = given
    }
    return unsafe c
  }
}

extension StepTotals {
  init(_ message: Comd__StepTotals) throws(ProtocolError) {
    self.init(
      loss: unsafe message.loss,
      tokens: Int64(try unsafe Checked.integer(message.tokens, "totals.tokens")),
      sumOfSquares: unsafe message.sum_of_squares)
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__StepTotals> {
    let c = unsafe arena.make(comd__step_totals__init)
    unsafe c.pointee.loss = loss
    unsafe c.pointee.tokens = UInt64(tokens)
    unsafe c.pointee.sum_of_squares = sumOfSquares
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
      segments: try unsafe Checked.messages(
        message.segments, message.n_segments, "step.segments", max: WireLimits.segmentsMax
      ) { keepers throws(ProtocolError) in
        try unsafe SegmentKeepers(keepers, members: members.count)
      })
    if let totals = unsafe message.before { before = try unsafe StepTotals(totals.pointee) }
    if let given = unsafe message.from {
      base = .beginning
      if let state = unsafe given.pointee.checkpoint {
        base = .checkpoint(try unsafe TrainingCheckpoint(state.pointee))
      }
    }
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
    unsafe c.pointee.n_segments = segments.count
    unsafe c.pointee.segments = arena.pointers(segments.map { unsafe $0.message(in: arena) })
    unsafe c.pointee.before = before.map { unsafe $0.message(in: arena) }
    if let base {
      let message = unsafe arena.make(comd__training_base__init)
      if case .checkpoint(let checkpoint) = base {
        unsafe message.pointee.checkpoint = checkpoint.message(in: arena)
      }
      unsafe c.pointee.from = message
    }
    return unsafe c
  }
}

extension SegmentSum {
  init(_ message: Comd__SegmentSum) throws(ProtocolError) {
    self.init(
      segment: try unsafe Checked.integer(
        message.segment, "sum.segment", in: 0...WireLimits.segmentsMax),
      sumOfSquares: unsafe message.sum_of_squares, check: unsafe message.check)
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__SegmentSum> {
    let c = unsafe arena.make(comd__segment_sum__init)
    unsafe c.pointee.segment = UInt32(segment)
    unsafe c.pointee.sum_of_squares = sumOfSquares
    unsafe c.pointee.check = check
    return unsafe c
  }
}

extension StepVote {
  init(_ message: Comd__StepVote) throws(ProtocolError) {
    self.init(
      training: try unsafe Checked.training(message.training, "vote.training"),
      epoch: unsafe message.epoch, step: try unsafe Checked.integer(message.step, "vote.step"),
      loss: unsafe message.loss,
      tokens: Int64(try unsafe Checked.integer(message.tokens, "vote.tokens")),
      sums: try unsafe Checked.messages(
        message.sums, message.n_sums, "vote.sums", max: WireLimits.segmentsMax
      ) { sum throws(ProtocolError) in try unsafe SegmentSum(sum) },
      computing: .nanoseconds(
        try unsafe Checked.integer(message.computing_nanoseconds, "vote.computing")))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__StepVote> {
    let c = unsafe arena.make(comd__step_vote__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.epoch = epoch
    unsafe c.pointee.step = UInt64(step)
    unsafe c.pointee.loss = loss
    unsafe c.pointee.tokens = UInt64(tokens)
    unsafe c.pointee.n_sums = sums.count
    unsafe c.pointee.sums = arena.pointers(sums.map { unsafe $0.message(in: arena) })
    let (seconds, attoseconds) = computing.components
    unsafe c.pointee.computing_nanoseconds = UInt64(
      max(0, seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
    return unsafe c
  }
}
