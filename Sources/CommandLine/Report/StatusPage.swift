import Coordinator
import Foundation

/// Where a run stands, as lines: the phase and what it waits for, pools and jobs, the workers, and
/// what happened last.
///
/// - Parameter rows: of the page; workers beyond them are counted only.
func statusPage(_ status: StatusReport, rows: Int) -> [String] {
  var lines = ["run \(status.run): \(status.line)"]
  if let bar = bar(of: status) { lines.append(bar) }
  lines.append("waits for   \(status.waitingFor)")
  lines.append(
    "pools       tuning \(status.tuningPool), cache \(status.cachePool); "
      + "judged \(status.judged), difficult \(status.difficult)")
  let jobs = status.jobs
  lines.append(
    "jobs        \(jobs.waiting) waiting, \(jobs.leased) at work, \(jobs.done) done, "
      + "\(jobs.quarantined) set aside; \(jobs.reassigned) taken back, "
      + "\(jobs.speculated) tried twice")
  if let training = status.training {
    lines.append("training    \(training.name): \(training.doing)")
  }
  if let end = status.journalEnd { lines.append("journal     ended: \(end)") }
  let happened = status.recent.map { "\(timeOfDay($0.at))  \($0.what)" }
  // The page ends with a line that the cursor stands on.
  let room = rows == .max ? Int.max : max(3, rows - lines.count - min(happened.count, 4) - 4)
  lines += workerTable(status.workers, rows: room)
  let left = rows == .max ? Int.max : rows - lines.count - 3
  if happened.isEmpty || left < 1 { return lines }
  return lines + ["", "lately"] + happened.suffix(left).map { "  \($0)" }
}

/// How much of the phase is done.
private func bar(of status: StatusReport) -> String? {
  let (done, total): (Int, Int)
  if let training = status.training {
    (done, total) = (training.steps, training.stepsTotal)
  } else {
    done = status.jobs.done
    total = done + status.jobs.waiting + status.jobs.leased
  }
  guard total > 0 else { return nil }
  let filled = done * 40 / total
  return String(repeating: "█", count: filled) + String(repeating: "░", count: 40 - filled)
    + "  \(done * 100 / total) %"
}

private func workerTable(_ workers: [StatusReport.Worker], rows: Int) -> [String] {
  if workers.isEmpty { return [] }
  let shown = workers.count <= rows ? workers.count : rows - 1
  let isTrusty = workers.allSatisfy { $0.dropped == 0 }
  let table = textTable(
    ["worker", "health", "threads", "holding", "accepted", "busy", "last heard"]
      + (isTrusty ? [] : ["dropped"]),
    workers.prefix(shown).map { worker in
      [
        worker.name, worker.health, "\(worker.threads)", "\(worker.holding)",
        "\(worker.accepted)", clock(worker.busySeconds), clock(worker.silentSeconds),
      ] + (isTrusty ? [] : ["\(worker.dropped)"])
    })
  var lines = [""] + table.split(separator: "\n").map(String.init)
  if shown < workers.count { lines.append("and \(workers.count - shown) more workers") }
  return lines
}

private func timeOfDay(_ seconds: Double) -> String {
  let formatter = DateFormatter()
  formatter.dateFormat = "HH:mm:ss"
  return formatter.string(from: Date(timeIntervalSince1970: seconds))
}
