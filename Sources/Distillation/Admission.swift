public import Domain

/// What the augmentor replied when asked for a new instruction.
public struct Proposal: Hashable, Sendable {
  /// The instruction from which it was asked for.
  public var from: InstructionID
  /// The reply as it came; nil when the job failed for good.
  public var reply: String?
  public init(from: InstructionID, reply: String?) {
    self.from = from
    self.reply = reply
  }
}

/// What became of a proposal.
public struct Decision: Hashable, Sendable {
  public var from: InstructionID
  public var outcome: ProposalOutcome
  public init(from: InstructionID, outcome: ProposalOutcome) {
    self.from = from
    self.outcome = outcome
  }
}

/// Ends a round: decides on all proposals, and refreshes the pools with those admitted.
///
/// Proposals are taken in the order of the instructions they come from, so the outcome does not
/// depend on the order in which they arrived. Each is cleaned, then compared with every
/// instruction of its picture, those admitted before it in the same round included; it is admitted
/// only if every ROUGE-L F-measure is below the limit. It inherits picture and task type.
///
/// - Returns: one decision per proposal, in the order taken.
/// - Precondition: every `from` is in the cache pool, at most once.
/// - Source: Li et al. 2024, section 3.3.3.
public func admit(
  _ proposals: [Proposal], to pools: inout Pools, iteration: Int, method: Method
) -> [Decision] {
  let ordered = proposals.sorted { $0.from < $1.from }
  let sources = ordered.map { proposal in
    guard let source = pools[proposal.from] else {
      preconditionFailure("\(proposal.from) is not in the cache pool")
    }
    return source
  }
  var index = SimilarityIndex(
    of: pools.cache, pictures: Set(sources.map(\.image)), limit: method.rougeLMax)
  var drafts: [InstructionDraft] = []
  var decisions: [Decision] = []
  for (proposal, source) in zip(ordered, sources) {
    let outcome: ProposalOutcome
    do throws(ProposalRejection) {
      guard let reply = proposal.reply else { throw .failed }
      let text = try cleanProposal(reply, charactersMax: method.instructionCharactersMax)
      let id = InstructionID(pools.nextID.number + Int64(drafts.count))
      try index.insert(text, of: source.image, as: id)
      drafts.append(
        InstructionDraft(
          image: source.image, text: text, task: source.task,
          lineage: .augmented(from: source.id, iteration: iteration)))
      outcome = .admitted(id)
    } catch {
      outcome = .rejected(error)
    }
    decisions.append(Decision(from: proposal.from, outcome: outcome))
  }
  pools.refresh(with: drafts)
  return decisions
}

/// The words of the instructions of some pictures, to find out whether a new one repeats one.
///
/// Words are numbered, lengths are compared before words are: `2 min(m, n) / (m + n)` bounds the
/// F-measure. A hundred instructions on a picture cost some microseconds a proposal.
struct SimilarityIndex {
  private struct Entry {
    var id: InstructionID
    var tokens: [UInt32]
    /// Kept only for a text without tokens.
    var text: String?
  }

  private let limit: Double
  private var entries: [Digest?: [Entry]] = [:]
  private var numbers: [String: UInt32] = [:]

  /// - Parameter pictures: instructions of other pictures are left out; nil stands for those
  ///   without a picture, which are compared with one another.
  init(of instructions: [Instruction], pictures: Set<Digest?>, limit: Double) {
    self.limit = limit
    for instruction in instructions where pictures.contains(instruction.image) {
      entries[instruction.image, default: []].append(entry(instruction.text, instruction.id))
    }
  }

  /// Takes the text in unless it is too similar to one that is there; says to which one it is most
  /// similar, the oldest of equally similar ones.
  ///
  /// ROUGE sees no words in a script other than Latin. Such a text is refused only when it repeats
  /// another one letter for letter, with a similarity of 1.
  mutating func insert(
    _ text: String, of image: Digest?, as id: InstructionID
  ) throws(ProposalRejection) {
    let new = entry(text, id)
    var nearest: (id: InstructionID, rougeL: Double)?
    for old in entries[image, default: []] {
      let value = similarity(new, old)
      if value >= limit, value > nearest?.rougeL ?? -1 { nearest = (old.id, value) }
    }
    if let nearest { throw .tooSimilar(to: nearest.id, rougeL: nearest.rougeL) }
    entries[image, default: []].append(new)
  }

  private func similarity(_ a: Entry, _ b: Entry) -> Double {
    let (m, n) = (a.tokens.count, b.tokens.count)
    if m == 0, n == 0 { return a.text == b.text ? 1 : 0 }
    let bound = fMeasure(common: min(m, n), m, n)
    return bound < limit ? bound : fMeasure(common: commonSubsequence(a.tokens, b.tokens), m, n)
  }

  private mutating func entry(_ text: String, _ id: InstructionID) -> Entry {
    let tokens = rougeTokens(text).map { word in
      let number = numbers[word] ?? UInt32(numbers.count)
      numbers[word] = number
      return number
    }
    return Entry(id: id, tokens: tokens, text: tokens.isEmpty ? text : nil)
  }
}
