import Domain
import Foundation

// How values of the vocabulary stand in columns. The numbers are part of the schema: they are
// added to, never changed.

enum JobStateCode: Int {
  case open = 0
  case leased, done, quarantined
}

enum AttemptCode: Int {
  case accepted = 1
  case failed = 2
}

/// A purpose in columns; those that do not apply are null.
struct PurposeColumns {
  var purpose: Int
  var iteration: Int?
  var instruction: Int64?
  var presentation: Int?
  var judgeAttempt: Int?
  var subject: String?
  var set: Int?
  var item: Int?
}

extension PurposeColumns {
  static let teacherAnswer = 0
  /// New instructions of an iteration: what `asked` counts.
  static let newInstruction = 3

  init(_ purpose: Purpose) {
    switch purpose {
    case .teacherAnswer(let instruction):
      self.init(purpose: PurposeColumns.teacherAnswer, instruction: instruction.number)
    case .studentAnswer(let instruction, let iteration):
      self.init(purpose: 1, iteration: iteration, instruction: instruction.number)
    case .judgement(let instruction, let iteration, let order, let attempt):
      self.init(
        purpose: 2, iteration: iteration, instruction: instruction.number,
        presentation: order.rawValue, judgeAttempt: attempt)
    case .newInstruction(let source, let iteration):
      self.init(
        purpose: PurposeColumns.newInstruction, iteration: iteration, instruction: source.number)
    case .evaluation(let subject, let set, let item, let iteration):
      self.init(
        purpose: 4, iteration: iteration, subject: subject.rawValue, set: set, item: item)
    }
  }

  var value: Purpose? {
    switch purpose {
    case 0: return instruction.map { .teacherAnswer(InstructionID($0)) }
    case 1:
      guard let instruction, let iteration else { return nil }
      return .studentAnswer(InstructionID(instruction), iteration: iteration)
    case 2:
      guard let instruction, let iteration, let judgeAttempt,
        let order = presentation.flatMap({ PresentationOrder(rawValue: $0) })
      else { return nil }
      return .judgement(
        InstructionID(instruction), iteration: iteration, order: order, attempt: judgeAttempt)
    case PurposeColumns.newInstruction:
      guard let instruction, let iteration else { return nil }
      return .newInstruction(from: InstructionID(instruction), iteration: iteration)
    case 4:
      guard let subject = subject.flatMap({ EvaluationSubject(rawValue: $0) }), let set, let item,
        let iteration
      else { return nil }
      return .evaluation(subject, set: set, item: item, iteration: iteration)
    default: return nil
    }
  }
}

extension StopReason {
  var code: Int {
    switch self {
    case .stopToken: 0
    case .tokensMax: 1
    case .contextFull: 2
    }
  }

  init?(code: Int) {
    switch code {
    case 0: self = .stopToken
    case 1: self = .tokensMax
    case 2: self = .contextFull
    default: return nil
    }
  }
}

extension LowRankAdapters {
  /// The targets' names with commas between.
  var targetsText: String { orderedTargets.map(\.rawValue).joined(separator: ",") }

  init?(rank: Int, alpha: Double, targetsText: String) {
    let names = targetsText.split(separator: ",")
    let targets = names.compactMap { AdaptedLayer(rawValue: String($0)) }
    guard rank > 0, targets.count == names.count, !targets.isEmpty else { return nil }
    self.init(rank: rank, alpha: alpha, targets: Set(targets))
  }
}

/// A failure in columns.
struct FailureColumns {
  var kind: Int
  var digest: Data?
  var tokens: Int?
  var limit: Int?
  var reason: String?

  init(_ failure: JobFailure) {
    switch failure {
    case .blobUnavailable(let digest, let reason):
      (kind, self.digest, self.reason) = (0, digest.data, reason)
    case .imageUnreadable(let digest, let reason):
      (kind, self.digest, self.reason) = (1, digest.data, reason)
    case .modelUnusable(let digest, let reason):
      (kind, self.digest, self.reason) = (2, digest.data, reason)
    case .promptTooLong(let tokens, let limit):
      (kind, self.tokens, self.limit) = (3, tokens, limit)
    case .outOfMemory(let reason): (kind, self.reason) = (4, reason)
    }
  }
}

/// The outcome of a proposal in columns.
struct ProposalColumns {
  static let admitted = 0
  static let empty = 1
  static let form = 2
  static let tooSimilar = 3
  static let failed = 4

  var outcome: Int
  var instruction: Int64?
  var rougeL: Double?
  var form: String?

  init(outcome: Int, instruction: Int64?, rougeL: Double?, form: String?) {
    (self.outcome, self.instruction, self.rougeL, self.form) = (outcome, instruction, rougeL, form)
  }

  init(_ outcome: ProposalOutcome) {
    self.outcome = ProposalColumns.failed
    switch outcome {
    case .admitted(let id):
      (self.outcome, instruction) = (ProposalColumns.admitted, id.number)
    case .rejected(.empty): self.outcome = ProposalColumns.empty
    case .rejected(.form(let words)): (self.outcome, form) = (ProposalColumns.form, words)
    case .rejected(.tooSimilar(let id, let rougeL)):
      (self.outcome, instruction, self.rougeL) = (ProposalColumns.tooSimilar, id.number, rougeL)
    case .rejected(.failed): self.outcome = ProposalColumns.failed
    }
  }

  var value: ProposalOutcome? {
    switch outcome {
    case ProposalColumns.admitted: instruction.map { .admitted(InstructionID($0)) }
    case ProposalColumns.empty: .rejected(.empty)
    case ProposalColumns.form: form.map { .rejected(.form($0)) }
    case ProposalColumns.tooSimilar:
      if let instruction, let rougeL {
        .rejected(.tooSimilar(to: InstructionID(instruction), rougeL: rougeL))
      } else {
        nil
      }
    case ProposalColumns.failed: .rejected(.failed)
    default: nil
    }
  }
}

extension Digest {
  var data: Data { Data(bytes) }
}

extension [Int32] {
  /// Little-endian, 4 bytes each.
  var data: Data {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4 * count)
    for token in self {
      let word = UInt32(bitPattern: token)
      bytes.append(UInt8(truncatingIfNeeded: word))
      bytes.append(UInt8(truncatingIfNeeded: word >> 8))
      bytes.append(UInt8(truncatingIfNeeded: word >> 16))
      bytes.append(UInt8(truncatingIfNeeded: word >> 24))
    }
    return Data(bytes)
  }

  init(littleEndian data: Data) {
    // An array is read faster than `Data`, byte by byte.
    let bytes = [UInt8](data)
    self = stride(from: 0, to: bytes.count - 3, by: 4).map { start in
      let low = UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8
      let high = UInt32(bytes[start + 2]) | UInt32(bytes[start + 3]) << 8
      return Int32(bitPattern: low | high << 16)
    }
  }
}

extension Date {
  /// Milliseconds since 1970.
  var milliseconds: Int64 { Int64((timeIntervalSince1970 * 1000).rounded()) }

  init(milliseconds: Int64) {
    self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
  }
}
