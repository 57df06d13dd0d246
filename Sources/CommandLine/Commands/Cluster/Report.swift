import ArgumentParser
import Foundation

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tables, curves and histograms of a run, from its report.json.",
    discussion: """
      Example:
        comd report --dir runs/demo --html report.html
      """)

  @OptionGroup var place: RunOptions
  @Option(help: "Write one HTML file that needs nothing else.")
  var html: String?
  @OptionGroup var facts: FactOptions

  func run() throws {
    let report = try ReportFile(runFolder: place.folder)
    if let html {
      try write(Data(reportPage(report).utf8), toFile: html)
      log("written: \(html)")
    }
    if facts.json {
      try printJSON(report)
    } else {
      printFact(reportText(report))
    }
  }
}
