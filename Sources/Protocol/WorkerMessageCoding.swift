import CProtocol
public import Domain

public func encode(_ message: WorkerMessage) -> [UInt8] {
  unsafe packed { arena in unsafe message.message(in: arena) }
}

/// A message from a worker, every field of it checked.
public func decodeWorkerMessage(_ bytes: [UInt8]) throws(ProtocolError) -> WorkerMessage {
  try unsafe unpacked(bytes, as: "worker message", comd__worker_message__unpack) {
    message throws(ProtocolError) in try unsafe WorkerMessage(message)
  }
}

/// The reports as messages that keep to the limits, in order; none for none.
public func reportMessages(_ reports: [JobReport]) -> [WorkerMessage] {
  batches(reports) { report in
    unsafe packedSize { arena in unsafe report.message(in: arena) }
  }.map { .reports($0) }
}

/// Consecutive runs of `items`, each within `batchMax` items and, one item aside, `batchBytes`.
func batches<Item>(_ items: [Item], size: (Item) -> Int) -> [[Item]] {
  var batches: [[Item]] = []
  var batch: [Item] = []
  var bytes = 0
  for item in items {
    let more = size(item)
    if !batch.isEmpty,
      batch.count == WireLimits.batchMax || bytes + more > WireLimits.batchBytes
    {
      batches.append(batch)
      batch = []
      bytes = 0
    }
    batch.append(item)
    bytes += more
  }
  if !batch.isEmpty { batches.append(batch) }
  return batches
}

extension WorkerHello {
  init(_ message: Comd__WorkerHello) throws(ProtocolError) {
    self.init(
      protocolVersion: try unsafe Checked.integer(
        message.protocol_version, "hello.protocol_version", in: 1...Int(UInt32.max)),
      worker: try unsafe WorkerID(Checked.present(message.worker, "hello.worker"), "hello.worker"),
      threads: try unsafe Checked.integer(message.threads, "hello.threads", in: 1...65_536),
      memoryBytes: Int64(try unsafe Checked.integer(message.memory_bytes, "hello.memory_bytes")),
      kernelSet: try unsafe Checked.name(message.kernel_set, "hello.kernel_set"),
      peerEndpoint: try unsafe Checked.name(message.peer_endpoint, "hello.peer_endpoint"),
      peerPublicKey: try unsafe Checked.curveKey(message.peer_public_key, "hello.peer_public_key"),
      models: try unsafe Checked.list(
        message.models, message.n_models, "hello.models", max: WireLimits.modelsMax,
        Checked.digest))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__WorkerHello> {
    let c = unsafe arena.make(comd__worker_hello__init)
    unsafe c.pointee.protocol_version = UInt32(protocolVersion)
    unsafe c.pointee.worker = worker.message(in: arena)
    unsafe c.pointee.threads = UInt32(threads)
    unsafe c.pointee.memory_bytes = UInt64(memoryBytes)
    unsafe c.pointee.kernel_set = arena.data(kernelSet)
    unsafe c.pointee.peer_endpoint = arena.data(peerEndpoint)
    unsafe c.pointee.peer_public_key = arena.data(peerPublicKey)
    unsafe c.pointee.n_models = models.count
    unsafe c.pointee.models = arena.array(models.map { unsafe arena.data($0.bytes) })
    return unsafe c
  }
}

extension Heartbeat {
  init(_ message: Comd__Heartbeat) throws(ProtocolError) {
    var training: TrainingID?
    if let named = unsafe message.training {
      training = try unsafe Checked.training(named.pointee.training, "heartbeat.training")
    }
    var standing: TrainingStanding?
    if let given = unsafe message.standing { standing = try unsafe TrainingStanding(given.pointee) }
    self.init(
      sequence: unsafe message.sequence,
      holding: try unsafe Checked.list(
        message.holding, message.n_holding, "heartbeat.holding", max: WireLimits.jobsMax,
        Checked.job),
      credit: try unsafe Checked.integer(message.credit, "heartbeat.credit"),
      busyMilliseconds: Int64(
        try unsafe Checked.integer(message.busy_milliseconds, "heartbeat.busy_milliseconds")),
      training: training, standing: standing)
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__Heartbeat> {
    let c = unsafe arena.make(comd__heartbeat__init)
    unsafe c.pointee.sequence = sequence
    unsafe c.pointee.n_holding = holding.count
    unsafe c.pointee.holding = arena.array(holding.map { UInt64($0.number) })
    unsafe c.pointee.credit = UInt32(credit)
    unsafe c.pointee.busy_milliseconds = UInt64(busyMilliseconds)
    if let training {
      let named = unsafe arena.make(comd__heartbeat__training__init)
      unsafe named.pointee.training = UInt32(training.iteration)
      unsafe c.pointee.training = named
    }
    unsafe c.pointee.standing = standing.map { unsafe $0.message(in: arena) }
    return unsafe c
  }
}

extension WorkerMessage {
  init(_ message: Comd__WorkerMessage) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__WORKER_MESSAGE__KIND_HELLO:
      self = .hello(try unsafe WorkerHello(Checked.present(message.hello, "hello")))
    case COMD__WORKER_MESSAGE__KIND_HEARTBEAT:
      self = .heartbeat(try unsafe Heartbeat(Checked.present(message.heartbeat, "heartbeat")))
    case COMD__WORKER_MESSAGE__KIND_REPORTS:
      let batch = try unsafe Checked.present(message.reports, "reports")
      self = .reports(
        try unsafe Checked.messages(
          batch.reports, batch.n_reports, "reports", max: WireLimits.batchMax
        ) { report throws(ProtocolError) in try unsafe JobReport(report) })
    case COMD__WORKER_MESSAGE__KIND_STANDING:
      let report = try unsafe Checked.present(message.standing, "standing")
      self = .standing(
        try unsafe Checked.training(report.training, "standing.training"),
        try unsafe TrainingStanding(Checked.present(report.standing, "standing")))
    case COMD__WORKER_MESSAGE__KIND_VOTE:
      self = .vote(try unsafe StepVote(Checked.present(message.vote, "vote")))
    case COMD__WORKER_MESSAGE__KIND_SEGMENT_SAVED:
      let report = try unsafe Checked.present(message.segment_saved, "saved")
      self = .segmentSaved(
        try unsafe Checked.training(report.training, "saved.training"),
        step: try unsafe Checked.integer(report.step, "saved.step"),
        SavedSegment(
          segment: try unsafe Checked.integer(
            report.segment, "saved.segment", in: 0...WireLimits.segmentsMax),
          weights: try unsafe Checked.digest(report.weights, "saved.weights"),
          moments: try unsafe Checked.digest(report.moments, "saved.moments")))
    case COMD__WORKER_MESSAGE__KIND_EXPORTED:
      self = .exported(try unsafe TrainingExport(Checked.present(message.exported, "exported")))
    case COMD__WORKER_MESSAGE__KIND_GOODBYE: self = .goodbye
    default: throw .missing(field: "worker message's kind")
    }
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__WorkerMessage> {
    let c = unsafe arena.make(comd__worker_message__init)
    switch self {
    case .hello(let hello):
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_HELLO
      unsafe c.pointee.hello = hello.message(in: arena)
    case .heartbeat(let heartbeat):
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_HEARTBEAT
      unsafe c.pointee.heartbeat = heartbeat.message(in: arena)
    case .reports(let reports):
      let batch = unsafe arena.make(comd__job_reports__init)
      unsafe batch.pointee.n_reports = reports.count
      unsafe batch.pointee.reports = arena.pointers(reports.map { unsafe $0.message(in: arena) })
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_REPORTS
      unsafe c.pointee.reports = batch
    case .standing(let training, let standing):
      let report = unsafe arena.make(comd__standing_report__init)
      unsafe report.pointee.training = UInt32(training.iteration)
      unsafe report.pointee.standing = standing.message(in: arena)
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_STANDING
      unsafe c.pointee.standing = report
    case .vote(let vote):
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_VOTE
      unsafe c.pointee.vote = vote.message(in: arena)
    case .segmentSaved(let training, let step, let saved):
      let report = unsafe arena.make(comd__segment_saved__init)
      unsafe report.pointee.training = UInt32(training.iteration)
      unsafe report.pointee.step = UInt64(step)
      unsafe report.pointee.segment = UInt32(saved.segment)
      unsafe report.pointee.weights = arena.data(saved.weights.bytes)
      unsafe report.pointee.moments = arena.data(saved.moments.bytes)
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_SEGMENT_SAVED
      unsafe c.pointee.segment_saved = report
    case .exported(let export):
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_EXPORTED
      unsafe c.pointee.exported = export.message(in: arena)
    case .goodbye:
      unsafe c.pointee.kind_case = COMD__WORKER_MESSAGE__KIND_GOODBYE
      unsafe c.pointee.goodbye = arena.make(comd__goodbye__init)
    }
    return unsafe c
  }
}
