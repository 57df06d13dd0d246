import Evaluation
import Foundation

/// The tables of a run, as text.
func reportText(_ report: ReportFile) -> String {
  var parts = ["run \(report.run)" + (report.version.map { ", comd \($0)" } ?? "")]
  if let kernelSet = report.kernelSet { parts[0] += "\nkernels \(kernelSet)" }
  if let pretraining = report.pretraining, pretraining.steps > 0 {
    parts.append(
      "stage 1: \(pretraining.pairs) pairs, \(pretraining.steps) steps, loss "
        + arrow(pretraining.lossFirst, pretraining.lossLast))
  }
  if !report.iterations.isEmpty { parts.append(iterationTable(report)) }
  if !report.examinations.isEmpty { parts.append(categoryTable(report)) }
  if let workers = report.workers, !workers.isEmpty { parts.append(workerTable(workers)) }
  if let jobs = report.jobs { parts.append(jobsText(jobs)) }
  if let student = report.student {
    parts.append(
      "student: \(student.path)" + (student.weightsSha256.map { "\nweights \($0)" } ?? ""))
  }
  return parts.joined(separator: "\n\n")
}

private func iterationTable(_ report: ReportFile) -> String {
  let header = [
    "iteration", "learned", "steps", "loss", "accuracy", "judged", "unparsed", "consistent",
    "difficult", "easy", "asked", "new", "cache",
  ]
  let rows = report.iterations.map { iteration in
    let (tuning, assessment) = (iteration.tuning, iteration.assessment)
    return [
      "\(iteration.index)", number(tuning?.instructions), number(tuning?.steps),
      tuning.map { arrow($0.lossFirst, $0.lossLast) } ?? "–",
      percent(iteration.evaluation?.accuracy), number(assessment?.judged),
      number(assessment?.unparsed), percent(assessment?.orderConsistent),
      number(assessment?.difficult), number(assessment?.easy),
      number(iteration.augmentation?.asked), number(iteration.augmentation?.accepted),
      number(iteration.pools?.cache),
    ]
  }
  return textTable(header, rows)
}

private func categoryTable(_ report: ReportFile) -> String {
  let table = accuracyColumns(report)
  let rows = report.categories.map { category in
    [category] + table.map { percent($0.evaluation.byCategory?[category]) }
  }
  let all = ["all"] + table.map { percent($0.evaluation.accuracy) }
  return textTable(["accuracy"] + table.map(\.name), rows + [all])
}

/// The columns of the table of accuracies: who is compared with, then the student as it learns.
func accuracyColumns(
  _ report: ReportFile
) -> [(name: String, evaluation: ReportFile.Evaluation)] {
  report.baselines.map { (name: $0.subject ?? "–", evaluation: $0) }
    + report.examinations.map { examination in
      let name = examination.iteration == 0 ? "stage 1" : "after \(examination.iteration)"
      return (name: name, evaluation: examination.evaluation)
    }
}

private func workerTable(_ workers: [ReportFile.Worker]) -> String {
  textTable(
    ["worker", "jobs", "busy", "joined", "left"],
    workers.map { worker in
      [
        worker.name, "\(worker.jobs)", percent(worker.busy), worker.joined ?? "–",
        worker.left ?? "–",
      ]
    })
}

private func jobsText(_ jobs: ReportFile.Jobs) -> String {
  "jobs: \(jobs.accepted) accepted in \(jobs.attempts) attempts, \(jobs.reassigned) reassigned, "
    + "\(jobs.duplicatesCompared) late twins compared (\(jobs.duplicatesDiffering) differing), "
    + "\(jobs.quarantined) set aside, \(jobs.lost) lost"
}

/// Columns under a header, without the line break at the end.
func textTable(_ header: [String], _ rows: [[String]]) -> String {
  String(renderTable([header] + rows).dropLast())
}

func number(_ value: Int?) -> String { value.map { "\($0)" } ?? "–" }

/// A share 0…1 with one decimal.
func percent(_ share: Double?) -> String {
  share.map { String(format: "%.1f %%", $0 * 100) } ?? "–"
}

private func arrow(_ first: Double?, _ last: Double?) -> String {
  guard let first, let last else { return "–" }
  return String(format: "%.3f → %.3f", first, last)
}
