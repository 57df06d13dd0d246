import Domain
import Scheduling

/// What of a finished run must be the same for every history.
struct RunReport: Hashable, Sendable {
  var instructions: [Instruction]
  /// Sorted; the last words of an unjudged instruction are left out, because which order's words
  /// came last is a matter of time.
  var assessments: [RestoredRun.AssessedInstruction]
  var proposals: [RestoredRun.Proposal]
  var losses: [TrainingID: [Double]]
  var weights: [TrainingID: Digest]
  var evaluations: Set<EvaluationScore>
  /// Purposes of the jobs that were set aside.
  var quarantined: Set<Purpose>
  var completion: Completion?

  init(_ store: StoreModel, completion: Completion?) {
    instructions = store.instructions
    assessments = store.assessments.map { assessed in
      var assessed = assessed
      if case .unjudged = assessed.assessment { assessed.assessment = .unjudged(lastText: "") }
      return assessed
    }.sorted { ($0.iteration, $0.instruction) < ($1.iteration, $1.instruction) }
    proposals = store.proposals.sorted { ($0.iteration, $0.from) < ($1.iteration, $1.from) }
    losses = store.losses
    weights = store.trainings.compactMapValues { $0.export?.weights }
    evaluations = Set(store.evaluations)
    quarantined = Set(
      store.jobs.filter { $0.state == .quarantined }.map(\.job.purpose).filter { purpose in
        // A judge that had one chance in one order more or less says nothing about the result.
        if case .judgement = purpose { false } else { true }
      })
    self.completion = completion
  }

  /// The parts in which two reports differ; weights are told apart by training.
  func differences(from other: RunReport) -> [Violation] {
    var parts: [ReportPart] = []
    if instructions != other.instructions { parts.append(.pools) }
    if assessments != other.assessments { parts.append(.assessments) }
    if proposals != other.proposals { parts.append(.proposals) }
    if losses != other.losses { parts.append(.losses) }
    if evaluations != other.evaluations { parts.append(.evaluations) }
    if quarantined != other.quarantined { parts.append(.quarantine) }
    if completion != other.completion { parts.append(.completion) }
    let trainings = Set(weights.keys).union(other.weights.keys).sorted()
    return trainings.filter { weights[$0] != other.weights[$0] }.map { .weightsDiffer($0) }
      + parts.map { .reportDiffers($0) }
  }
}
