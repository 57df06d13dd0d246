import CProtocol
public import Domain

public func encode(_ message: CoordinatorMessage) -> [UInt8] {
  unsafe packed { arena in unsafe message.message(in: arena) }
}

/// A message from the coordinator, every field of it checked.
public func decodeCoordinatorMessage(_ bytes: [UInt8]) throws(ProtocolError) -> CoordinatorMessage {
  try unsafe unpacked(bytes, as: "coordinator message", comd__coordinator_message__unpack) {
    message throws(ProtocolError) in try unsafe CoordinatorMessage(message)
  }
}

/// The assignments as messages that keep to the limits, in order; none for none.
public func assignMessages(_ assignments: [Assignment]) -> [CoordinatorMessage] {
  batches(assignments) { assignment in
    unsafe packedSize { arena in unsafe assignment.message(in: arena) }
  }.map { .assign($0) }
}

/// The acknowledgements as messages that keep to the limits, in order; none for none.
public func acknowledgeMessages(_ attempts: [JobAttempt]) -> [CoordinatorMessage] {
  stride(from: 0, to: attempts.count, by: WireLimits.jobsMax).map {
    .acknowledge(Array(attempts[$0..<min(attempts.count, $0 + WireLimits.jobsMax)]))
  }
}

/// The longest time between two heartbeats that a coordinator may ask for: a day.
private let heartbeatNanosecondsMax = 86_400 * 1_000_000_000

extension Welcome {
  init(_ message: Comd__Welcome) throws(ProtocolError) {
    self.init(
      run: try unsafe Checked.name(message.run, "welcome.run"),
      heartbeatEvery: .nanoseconds(
        try unsafe Checked.integer(
          message.heartbeat_nanoseconds, "welcome.heartbeat_nanoseconds",
          in: 1...heartbeatNanosecondsMax)),
      creditMax: try unsafe Checked.integer(message.credit_max, "welcome.credit_max"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__Welcome> {
    let c = unsafe arena.make(comd__welcome__init)
    let (seconds, attoseconds) = heartbeatEvery.components
    unsafe c.pointee.run = arena.data(run)
    unsafe c.pointee.heartbeat_nanoseconds = UInt64(
      seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    unsafe c.pointee.credit_max = UInt32(creditMax)
    return unsafe c
  }
}

extension Refusal {
  init(_ message: Comd__Refusal) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__REFUSAL__KIND_PROTOCOL_VERSION:
      let versions = try unsafe Checked.present(message.protocol_version, "refusal.versions")
      self = .protocolVersion(
        ours: try unsafe Checked.integer(versions.ours, "refusal.ours"),
        yours: try unsafe Checked.integer(versions.yours, "refusal.yours"))
    case COMD__REFUSAL__KIND_KERNEL_SET:
      let sets = try unsafe Checked.present(message.kernel_set, "refusal.kernel_sets")
      self = .kernelSet(
        ours: try unsafe Checked.name(sets.ours, "refusal.ours"),
        yours: try unsafe Checked.name(sets.yours, "refusal.yours"))
    case COMD__REFUSAL__KIND_REVOKED: self = .revoked
    case COMD__REFUSAL__KIND_NAME_IN_USE: self = .nameInUse
    default: throw .missing(field: "refusal")
    }
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__Refusal> {
    let c = unsafe arena.make(comd__refusal__init)
    switch self {
    case .protocolVersion(let ours, let yours):
      let versions = unsafe arena.make(comd__refusal__protocol_version__init)
      unsafe versions.pointee.ours = UInt32(ours)
      unsafe versions.pointee.yours = UInt32(yours)
      unsafe c.pointee.kind_case = COMD__REFUSAL__KIND_PROTOCOL_VERSION
      unsafe c.pointee.protocol_version = versions
    case .kernelSet(let ours, let yours):
      let sets = unsafe arena.make(comd__refusal__kernel_set__init)
      unsafe sets.pointee.ours = arena.data(ours)
      unsafe sets.pointee.yours = arena.data(yours)
      unsafe c.pointee.kind_case = COMD__REFUSAL__KIND_KERNEL_SET
      unsafe c.pointee.kernel_set = sets
    case .revoked:
      unsafe c.pointee.kind_case = COMD__REFUSAL__KIND_REVOKED
      unsafe c.pointee.revoked = arena.make(comd__refusal__revoked__init)
    case .nameInUse:
      unsafe c.pointee.kind_case = COMD__REFUSAL__KIND_NAME_IN_USE
      unsafe c.pointee.name_in_use = arena.make(comd__refusal__name_in_use__init)
    }
    return unsafe c
  }
}

private func jobs(
  _ message: UnsafeMutablePointer<Comd__JobIds>?, _ field: String
) throws(ProtocolError) -> [JobID] {
  let ids = try unsafe Checked.present(message, field)
  return try unsafe Checked.list(
    ids.jobs, ids.n_jobs, field, max: WireLimits.jobsMax, Checked.job)
}

private func jobList(
  _ jobs: [JobID], in arena: Arena
) -> UnsafeMutablePointer<Comd__JobIds> {
  let c = unsafe arena.make(comd__job_ids__init)
  unsafe c.pointee.n_jobs = jobs.count
  unsafe c.pointee.jobs = arena.array(jobs.map { UInt64($0.number) })
  return unsafe c
}

extension JobAttempt {
  init(_ message: Comd__JobAttempt) throws(ProtocolError) {
    self.init(
      try unsafe Checked.job(message.job, "acknowledge.job"),
      attempt: try unsafe Checked.integer(
        message.attempt, "acknowledge.attempt", in: 1...Int.max))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__JobAttempt> {
    let c = unsafe arena.make(comd__job_attempt__init)
    unsafe c.pointee.job = UInt64(job.number)
    unsafe c.pointee.attempt = UInt32(attempt)
    return unsafe c
  }
}

private func training(
  _ message: UnsafeMutablePointer<Comd__TrainingReference>?, _ field: String
) throws(ProtocolError) -> TrainingID {
  try unsafe Checked.training(Checked.present(message, field).training, field)
}

private func reference(
  _ training: TrainingID, in arena: Arena
) -> UnsafeMutablePointer<Comd__TrainingReference> {
  let c = unsafe arena.make(comd__training_reference__init)
  unsafe c.pointee.training = UInt32(training.iteration)
  return unsafe c
}

extension CoordinatorMessage {
  init(_ message: Comd__CoordinatorMessage) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__COORDINATOR_MESSAGE__KIND_WELCOME:
      self = .welcome(try unsafe Welcome(Checked.present(message.welcome, "welcome")))
    case COMD__COORDINATOR_MESSAGE__KIND_REFUSED:
      self = .refused(try unsafe Refusal(Checked.present(message.refused, "refusal")))
    case COMD__COORDINATOR_MESSAGE__KIND_HELLO_WANTED: self = .helloWanted
    case COMD__COORDINATOR_MESSAGE__KIND_ASSIGN:
      let batch = try unsafe Checked.present(message.assign, "assignments")
      self = .assign(
        try unsafe Checked.messages(
          batch.assignments, batch.n_assignments, "assignments", max: WireLimits.batchMax
        ) { assignment throws(ProtocolError) in try unsafe Assignment(assignment) })
    case COMD__COORDINATOR_MESSAGE__KIND_ACKNOWLEDGE:
      let batch = try unsafe Checked.present(message.acknowledge, "acknowledge")
      self = .acknowledge(
        try unsafe Checked.messages(
          batch.attempts, batch.n_attempts, "acknowledge.attempts", max: WireLimits.jobsMax
        ) { attempt throws(ProtocolError) in try unsafe JobAttempt(attempt) })
    case COMD__COORDINATOR_MESSAGE__KIND_CANCEL:
      self = .cancel(try unsafe jobs(message.cancel, "cancel.jobs"))
    case COMD__COORDINATOR_MESSAGE__KIND_PREPARE_TRAINING:
      self = .prepareTraining(
        try unsafe TrainingPlan(Checked.present(message.prepare_training, "plan")))
    case COMD__COORDINATOR_MESSAGE__KIND_OPEN_STEP:
      self = .openStep(try unsafe StepPlan(Checked.present(message.open_step, "step")))
    case COMD__COORDINATOR_MESSAGE__KIND_COMMIT_STEP:
      let step = try unsafe Checked.present(message.commit_step, "commit")
      self = .commitStep(
        try unsafe Checked.training(step.training, "commit.training"), epoch: unsafe step.epoch,
        step: try unsafe Checked.integer(step.step, "commit.step"),
        try unsafe StepTotals(Checked.present(step.totals, "commit.totals")),
        isSaved: unsafe step.saved != 0)
    case COMD__COORDINATOR_MESSAGE__KIND_EXPORT_STUDENT:
      self = .export(try unsafe training(message.export_student, "export.training"))
    case COMD__COORDINATOR_MESSAGE__KIND_END_TRAINING:
      self = .endTraining(try unsafe training(message.end_training, "end.training"))
    case COMD__COORDINATOR_MESSAGE__KIND_DRAIN: self = .drain
    default: throw .missing(field: "coordinator message's kind")
    }
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__CoordinatorMessage> {
    let c = unsafe arena.make(comd__coordinator_message__init)
    switch self {
    case .welcome(let welcome):
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_WELCOME
      unsafe c.pointee.welcome = welcome.message(in: arena)
    case .refused(let refusal):
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_REFUSED
      unsafe c.pointee.refused = refusal.message(in: arena)
    case .helloWanted:
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_HELLO_WANTED
      unsafe c.pointee.hello_wanted = arena.make(comd__hello_wanted__init)
    case .assign(let assignments):
      let batch = unsafe arena.make(comd__assignments__init)
      unsafe batch.pointee.n_assignments = assignments.count
      unsafe batch.pointee.assignments = arena.pointers(
        assignments.map { unsafe $0.message(in: arena) })
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_ASSIGN
      unsafe c.pointee.assign = batch
    case .acknowledge(let attempts):
      let batch = unsafe arena.make(comd__job_attempts__init)
      unsafe batch.pointee.n_attempts = attempts.count
      unsafe batch.pointee.attempts = arena.pointers(
        attempts.map { unsafe $0.message(in: arena) })
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_ACKNOWLEDGE
      unsafe c.pointee.acknowledge = batch
    case .cancel(let jobs):
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_CANCEL
      unsafe c.pointee.cancel = jobList(jobs, in: arena)
    case .prepareTraining(let plan):
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_PREPARE_TRAINING
      unsafe c.pointee.prepare_training = plan.message(in: arena)
    case .openStep(let plan):
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_OPEN_STEP
      unsafe c.pointee.open_step = plan.message(in: arena)
    case .commitStep(let training, let epoch, let step, let totals, let isSaved):
      let commit = unsafe arena.make(comd__commit_step__init)
      unsafe commit.pointee.training = UInt32(training.iteration)
      unsafe commit.pointee.epoch = epoch
      unsafe commit.pointee.step = UInt64(step)
      unsafe commit.pointee.totals = totals.message(in: arena)
      unsafe commit.pointee.saved = isSaved ? 1 : 0
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_COMMIT_STEP
      unsafe c.pointee.commit_step = commit
    case .export(let training):
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_EXPORT_STUDENT
      unsafe c.pointee.export_student = reference(training, in: arena)
    case .endTraining(let training):
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_END_TRAINING
      unsafe c.pointee.end_training = reference(training, in: arena)
    case .drain:
      unsafe c.pointee.kind_case = COMD__COORDINATOR_MESSAGE__KIND_DRAIN
      unsafe c.pointee.drain = arena.make(comd__drain__init)
    }
    return unsafe c
  }
}
