import Foundation

/// A run's report as one HTML file that needs nothing else: tables, curves, histograms.
func reportPage(_ report: ReportFile) -> String {
  """
  <!doctype html>
  <html lang="en"><head><meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>\(escaped(report.run)): report</title>
  <style>\(styleSheet)</style></head>
  <body><main><h1>\(escaped(report.run))</h1>
  \(facts(report))
  <section class="charts">\(charts(report).joined(separator: "\n"))</section>
  \(iterationTable(report))
  \(categoryTable(report))
  \(workerTable(report.workers ?? []))
  </main></body></html>

  """
}

private func facts(_ report: ReportFile) -> String {
  var facts: [(String, String)] = []
  if let version = report.version { facts.append(("version", version)) }
  if let kernelSet = report.kernelSet { facts.append(("kernels", kernelSet)) }
  if let digest = report.configSha256 { facts.append(("settings", digest)) }
  if let stage = report.pretraining, stage.steps > 0 {
    let loss = [stage.lossFirst, stage.lossLast].compactMap { $0.map(short) }
    facts.append(
      (
        "stage 1",
        "\(stage.pairs) pairs, \(stage.steps) steps, loss \(loss.joined(separator: " → "))"
      ))
  }
  if let jobs = report.jobs {
    facts.append(
      (
        "jobs",
        "\(jobs.accepted) accepted in \(jobs.attempts) attempts, \(jobs.reassigned) reassigned, "
          + "\(jobs.duplicatesCompared) late twins compared, "
          + "\(jobs.duplicatesDiffering) differing, "
          + "\(jobs.quarantined) set aside, \(jobs.lost) lost"
      ))
  }
  if let student = report.student {
    facts.append(("student", student.path))
    if let weights = student.weightsSha256 { facts.append(("weights", weights)) }
  }
  let rows = facts.map { "<dt>\(escaped($0.0))</dt><dd>\(escaped($0.1))</dd>" }
  return "<dl>\(rows.joined())</dl>"
}

private func charts(_ report: ReportFile) -> [String] {
  let iterations = report.iterations
  func curve(_ name: String, _ value: (ReportFile.Iteration) -> Double?) -> ChartLine {
    ChartLine(
      name: name,
      points: iterations.compactMap { iteration in
        value(iteration).map { (x: Double(iteration.index), y: $0) }
      })
  }
  let labels = iterations.map { "\($0.index)" }
  let percentTick = { (value: Double) in String(format: "%.0f %%", value * 100) }
  let countTick = { (value: Double) in short(value) }
  func accuracy(
    _ name: String, _ share: (ReportFile.Evaluation) -> Double?
  ) -> ChartLine {
    ChartLine(
      name: name,
      points: report.examinations.compactMap { iteration, evaluation in
        share(evaluation).map { (x: Double(iteration), y: $0) }
      })
  }
  let accuracies =
    [accuracy("all") { $0.accuracy }]
    + report.categories.map { category in accuracy(category) { $0.byCategory?[category] } }
  return [
    lineChart("Accuracy after each iteration", accuracies, top: 1, tick: percentTick),
    lineChart(
      "Loss of tuning",
      [
        curve("first step") { $0.tuning?.lossFirst }, curve("last step") { $0.tuning?.lossLast },
      ], tick: countTick),
    barChart(
      "Assessment: instructions", labels: labels, names: ["difficult", "easy", "unparsed"],
      values: iterations.map { iteration in
        let found = iteration.assessment
        return [found?.difficult, found?.easy, found?.unparsed].map { Double($0 ?? 0) }
      }, tick: countTick),
    barChart(
      "Augmentation: proposals", labels: labels,
      names: ["accepted", "too similar", "empty", "wrong form"],
      values: iterations.map { iteration in
        let found = iteration.augmentation
        return [
          found?.accepted, found?.rejectedRougeL, found?.rejectedEmpty, found?.rejectedForm,
        ].map { Double($0 ?? 0) }
      }, tick: countTick),
    barChart(
      "Pools", labels: labels, names: ["tuning", "cache"],
      values: iterations.map { [$0.pools?.tuning, $0.pools?.cache].map { Double($0 ?? 0) } },
      tick: countTick),
  ].filter { !$0.isEmpty }
}

private func iterationTable(_ report: ReportFile) -> String {
  htmlTable(
    "Iterations",
    header: [
      "iteration", "instructions", "steps", "accuracy", "judged", "unparsed", "order-consistent",
      "difficult", "easy", "asked", "accepted", "cache pool", "weights",
    ],
    rows: report.iterations.map { iteration in
      let (tuning, found) = (iteration.tuning, iteration.assessment)
      return [
        "\(iteration.index)", number(tuning?.instructions), number(tuning?.steps),
        percent(iteration.evaluation?.accuracy), number(found?.judged), number(found?.unparsed),
        percent(found?.orderConsistent), number(found?.difficult), number(found?.easy),
        number(iteration.augmentation?.asked), number(iteration.augmentation?.accepted),
        number(iteration.pools?.cache), tuning?.weightsSha256.map { String($0.prefix(12)) } ?? "–",
      ]
    })
}

private func categoryTable(_ report: ReportFile) -> String {
  let table = accuracyColumns(report)
  if table.isEmpty { return "" }
  let rows = report.categories.map { category in
    [category] + table.map { percent($0.evaluation.byCategory?[category]) }
  }
  return htmlTable(
    "Accuracy", header: ["category"] + table.map(\.name),
    rows: rows + [["all"] + table.map { percent($0.evaluation.accuracy) }])
}

private func workerTable(_ workers: [ReportFile.Worker]) -> String {
  htmlTable(
    "Workers", header: ["worker", "jobs", "busy", "joined", "left"],
    rows: workers.map {
      [$0.name, "\($0.jobs)", percent($0.busy), $0.joined ?? "–", $0.left ?? "–"]
    })
}

private func htmlTable(_ title: String, header: [String], rows: [[String]]) -> String {
  if rows.isEmpty { return "" }
  let head = header.map { "<th>\(escaped($0))</th>" }.joined()
  let body = rows.map { row in
    "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
  }
  return """
    <h2>\(escaped(title))</h2><div class="wide"><table><thead><tr>\(head)</tr></thead>
    <tbody>\(body.joined(separator: "\n"))</tbody></table></div>
    """
}

/// Colours of lines and bars after Okabe & Ito 2008, who chose them so that the colour-blind can
/// tell them apart.
private let styleSheet = """
  :root { --back: #fff; --text: #1b1f24; --faint: #6b7280; --rule: #d8dde3; }
  @media (prefers-color-scheme: dark) {
    :root { --back: #14171a; --text: #e6e8ea; --faint: #9aa3ad; --rule: #333a41; }
  }
  body { background: var(--back); color: var(--text); margin: 0; }
  body { font: 15px/1.5 system-ui, sans-serif; }
  main { max-width: 1100px; margin: 0 auto; padding: 24px; }
  h1 { font-size: 24px; } h2 { font-size: 17px; margin-top: 32px; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; }
  dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
  .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 24px; }
  figure { margin: 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
  svg text { fill: var(--faint); font-size: 12px; } .grid { stroke: var(--rule); }
  .line { fill: none; stroke-width: 2; stroke: var(--c); } .dot, .bar { fill: var(--c); }
  .legend { font-size: 13px; } .key { margin-right: 14px; white-space: nowrap; }
  .key i { display: inline-block; width: 10px; height: 10px; margin-right: 5px; }
  .key i { background: var(--c); }
  .s0 { --c: #0072b2; } .s1 { --c: #e69f00; } .s2 { --c: #009e73; } .s3 { --c: #cc79a7; }
  .s4 { --c: #56b4e9; } .s5 { --c: #d55e00; } .s6 { --c: #b8a900; } .s7 { --c: #8c8c8c; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { padding: 4px 12px 4px 0; text-align: right; border-bottom: 1px solid var(--rule); }
  th:first-child, td:first-child { text-align: left; } th { font-weight: 600; white-space: nowrap; }
  """
