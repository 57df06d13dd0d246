import Foundation
import Testing

@testable import CommandLineTool

/// A report of two iterations, the second one under way.
let exampleReport = """
  { "run": "demo <1>", "config_sha256": "ab", "kernel_set": "native", "version": "0.1.0",
    "first_evaluations": [
      {"subject": "teacher", "set": "shapes", "items": 40, "accuracy": 0.95, "by_category": {}},
      {"subject": "student", "set": "shapes", "items": 40, "accuracy": 0.375}],
    "pretraining": {"pairs": 600, "steps": 38, "loss_first": 5.5, "loss_last": 1.25},
    "iterations": [{
      "index": 1,
      "tuning": {"instructions": 400, "steps": 25, "loss_first": 2.5, "loss_last": 0.75,
                 "weights_sha256": "0123456789abcdef"},
      "assessment": {"instructions": 400, "judged": 390, "unparsed": 10, "order_consistent": 0.875,
                     "difficult": 120, "easy": 270},
      "augmentation": {"asked": 240, "accepted": 200, "rejected_rouge_l": 30, "rejected_empty": 4,
                       "rejected_form": 6},
      "pools": {"tuning": 400, "cache": 600},
      "evaluation": {"set": "shapes", "accuracy": 0.5,
                     "by_category": {"counting_all": 0.25, "scene": 0.75}}
    }, { "index": 2, "evaluation": {"accuracy": 0.625, "by_category": {"scene": 1.0}} }],
    "jobs": {"accepted": 1500, "attempts": 1510, "reassigned": 10, "duplicates_compared": 1,
             "duplicates_differing": 0, "quarantined": 0, "lost": 0},
    "workers": [{"name": "w1", "joined": "2026-01-01T00:00:00Z", "jobs": 1500, "busy": 0.93}],
    "student": {"path": "runs/demo/student", "weights_sha256": "fedcba"} }
  """

@Suite("A report")
struct ReportTests {
  let report: ReportFile

  init() throws { report = try ReportFile(json: Data(exampleReport.utf8), path: "report.json") }

  @Test("is read with all its counts, and what is not reached yet is absent")
  func read() {
    #expect(report.iterations[0].augmentation?.rejectedRougeL == 30)
    #expect(report.iterations[0].tuning?.weightsSha256 == "0123456789abcdef")
    #expect(report.iterations[1].tuning == nil)
    #expect(report.categories == ["counting_all", "scene"])
  }

  @Test("is read as the coordinator writes it, with nothing that it says left out")
  func written() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/Coordinator/report.json")
    let report = try ReportFile(json: Data(contentsOf: file), path: file.path)
    #expect(report.pretraining?.pairs == 600)
    #expect(report.iterations.map(\.index) == [1, 2])
    #expect(report.iterations[0].evaluations?.map(\.subject) == ["student", "student-blind"])
    #expect(report.iterations[0].evaluation?.byCategory == ["colour": 0.75, "count": 0])
    #expect(report.iterations[1].evaluation == nil)
    #expect(report.baselines.map(\.accuracy) == [0.5])
    #expect(report.jobs?.attempts == 1_510)
    #expect(report.workers?.map(\.left) == ["2026-01-01T00:01:40Z", nil])
    #expect(report.student?.path == "runs/demo/student")
    let text = reportText(report)
    #expect(text.contains("1500 accepted in 1510 attempts"))
  }

  @Test("that is no report is refused with the path")
  func refused() {
    let error = #expect(throws: CommandError.self) {
      try ReportFile(json: Data("{}".utf8), path: "there/report.json")
    }
    #expect(error?.status == .failed)
    #expect(error?.description.contains("there/report.json") == true)
    #expect(throws: CommandError.self) { try ReportFile(runFolder: "/not/there") }
  }

  @Test("becomes tables whose rows are the iterations")
  func tables() {
    let lines = reportText(report).split(separator: "\n").map(String.init)
    let first = lines.first { $0.hasPrefix("1 ") }
    #expect(
      first?.split(separator: " ").map(String.init) == [
        "1", "400", "25", "2.500", "→", "0.750", "50.0", "%", "390", "10", "87.5", "%", "120",
        "270", "240", "200", "600",
      ])
    #expect(lines.contains { $0.hasPrefix("counting_all") && $0.contains("25.0 %") })
    let all = lines.first { $0.hasPrefix("all ") }?.split(separator: " ").map(String.init)
    #expect(all == ["all", "95.0", "%", "37.5", "%", "50.0", "%", "62.5", "%"])
    let header = lines.first { $0.hasPrefix("accuracy ") }
    #expect(header?.contains("teacher  stage 1  after 1  after 2") == true)
    #expect(lines.contains { $0.contains("1500 accepted in 1510 attempts") })
    // Columns stand under each other.
    let rule = lines.first { $0.hasPrefix("---") }
    #expect(rule?.count == first?.count)
  }

  @Test("becomes one HTML file that is escaped, balanced and needs nothing from elsewhere")
  func page() throws {
    let page = reportPage(report)
    #expect(page.contains("<h1>demo &lt;1&gt;</h1>"))
    for outside in ["http:", "https:", "src=", "url(", "<link", "<script"] {
      #expect(!page.contains(outside), "\(outside)")
    }
    #expect(page.contains("prefers-color-scheme: dark"))
    #expect(page.components(separatedBy: "<figure>").count - 1 == 5)
    let body = page.replacingOccurrences(of: "<!doctype html>", with: "")
    var open: [String] = []
    for tag in body.matches(of: /<(\/?)([a-z0-9]+)[^>]*?(\/?)>/) {
      let name = String(tag.2)
      if tag.3 == "/" || name == "meta" { continue }
      if tag.1 == "/" { #expect(open.popLast() == name) } else { open.append(name) }
    }
    #expect(open.isEmpty)
    #expect(!page.contains("nan") && !page.contains("inf"))
  }

  @Test("of a run that has only begun has neither tables nor curves, and is still told")
  func empty() throws {
    let report = try ReportFile(
      json: Data("{ \"run\": \"x\", \"iterations\": [] }".utf8), path: "report.json")
    #expect(reportText(report) == "run x")
    #expect(reportPage(report).contains("<h1>x</h1>"))
  }
}
