import CProtocol
import Domain

extension JobFailure {
  init(_ message: Comd__JobFailure) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__JOB_FAILURE__KIND_BLOB_UNAVAILABLE:
      let (digest, reason) = try unsafe JobFailure.blob(message.blob_unavailable)
      self = .blobUnavailable(digest, reason)
    case COMD__JOB_FAILURE__KIND_IMAGE_UNREADABLE:
      let (digest, reason) = try unsafe JobFailure.blob(message.image_unreadable)
      self = .imageUnreadable(digest, reason)
    case COMD__JOB_FAILURE__KIND_MODEL_UNUSABLE:
      let (digest, reason) = try unsafe JobFailure.blob(message.model_unusable)
      self = .modelUnusable(digest, reason)
    case COMD__JOB_FAILURE__KIND_PROMPT_TOO_LONG:
      let sizes = try unsafe Checked.present(message.prompt_too_long, "failure.prompt_too_long")
      self = .promptTooLong(
        tokens: try unsafe Checked.integer(sizes.tokens, "failure.tokens"),
        limit: try unsafe Checked.integer(sizes.limit, "failure.limit"))
    case COMD__JOB_FAILURE__KIND_OUT_OF_MEMORY:
      self = .outOfMemory(try unsafe Checked.reason(message.out_of_memory, "failure.reason"))
    default: throw .missing(field: "failure")
    }
  }

  private static func blob(
    _ message: UnsafeMutablePointer<Comd__JobFailure__Blob>?
  ) throws(ProtocolError) -> (Digest, String) {
    let blob = try unsafe Checked.present(message, "failure.blob")
    return (
      try unsafe Checked.digest(blob.digest, "failure.digest"),
      try unsafe Checked.reason(blob.reason, "failure.reason")
    )
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__JobFailure> {
    let c = unsafe arena.make(comd__job_failure__init)
    func blob(_ digest: Digest, _ reason: String) -> UnsafeMutablePointer<Comd__JobFailure__Blob> {
      let blob = unsafe arena.make(comd__job_failure__blob__init)
      unsafe blob.pointee.digest = arena.data(digest.bytes)
      unsafe blob.pointee.reason = arena.reason(reason)
      return unsafe blob
    }
    switch self {
    case .blobUnavailable(let digest, let reason):
      unsafe c.pointee.kind_case = COMD__JOB_FAILURE__KIND_BLOB_UNAVAILABLE
      unsafe c.pointee.blob_unavailable = blob(digest, reason)
    case .imageUnreadable(let digest, let reason):
      unsafe c.pointee.kind_case = COMD__JOB_FAILURE__KIND_IMAGE_UNREADABLE
      unsafe c.pointee.image_unreadable = blob(digest, reason)
    case .modelUnusable(let digest, let reason):
      unsafe c.pointee.kind_case = COMD__JOB_FAILURE__KIND_MODEL_UNUSABLE
      unsafe c.pointee.model_unusable = blob(digest, reason)
    case .promptTooLong(let tokens, let limit):
      let sizes = unsafe arena.make(comd__job_failure__prompt_too_long__init)
      unsafe sizes.pointee.tokens = UInt64(tokens)
      unsafe sizes.pointee.limit = UInt64(limit)
      unsafe c.pointee.kind_case = COMD__JOB_FAILURE__KIND_PROMPT_TOO_LONG
      unsafe c.pointee.prompt_too_long = sizes
    case .outOfMemory(let reason):
      unsafe c.pointee.kind_case = COMD__JOB_FAILURE__KIND_OUT_OF_MEMORY
      unsafe c.pointee.out_of_memory = arena.reason(reason)
    }
    return unsafe c
  }
}

extension JobReport {
  init(_ message: Comd__JobReport) throws(ProtocolError) {
    let outcome: JobOutcome
    switch unsafe message.outcome_case {
    case COMD__JOB_REPORT__OUTCOME_SUCCESS:
      outcome = .success(
        try unsafe GenerationResult(Checked.present(message.success, "report.success")))
    case COMD__JOB_REPORT__OUTCOME_FAILURE:
      outcome = .failure(
        try unsafe JobFailure(Checked.present(message.failure, "report.failure")))
    default: throw .missing(field: "report.outcome")
    }
    self.init(
      job: try unsafe Checked.job(message.job, "report.job"),
      attempt: try unsafe Checked.integer(
        message.attempt, "report.attempt", in: 1...Int(UInt32.max)),
      address: try unsafe Checked.digest(message.address, "report.address"), outcome: outcome)
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__JobReport> {
    let c = unsafe arena.make(comd__job_report__init)
    unsafe c.pointee.job = UInt64(job.number)
    unsafe c.pointee.attempt = UInt32(attempt)
    unsafe c.pointee.address = arena.data(address.bytes)
    switch outcome {
    case .success(let result):
      unsafe c.pointee.outcome_case = COMD__JOB_REPORT__OUTCOME_SUCCESS
      unsafe c.pointee.success = result.message(in: arena)
    case .failure(let failure):
      unsafe c.pointee.outcome_case = COMD__JOB_REPORT__OUTCOME_FAILURE
      unsafe c.pointee.failure = failure.message(in: arena)
    }
    return unsafe c
  }
}
