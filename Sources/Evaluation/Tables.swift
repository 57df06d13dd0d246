public import Datasets
public import Domain

/// Columns of the paper's Table 1.
public let scienceQAColumns = ["NAT", "SOC", "LAN", "TXT", "IMG", "NO", "G1-6", "G7-12"]

/// A table of accuracies in percent with two decimals: a row per score, then `Average` over all
/// items. A column without items shows a dash.
///
/// - Parameters:
///   - rows: a row's name and its score.
///   - columns: categories in the order of the columns; nil takes those of the scores, by name.
public func accuracyTable(
  _ rows: [(name: String, score: EvaluationScore)], columns: [String]? = nil
) -> String {
  let columns =
    columns ?? Set(rows.flatMap { $0.score.categories.map(\.name) }).sorted()
  let body = rows.map { name, score in
    let byName = Dictionary(
      score.categories.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let cells = columns.map { column in
      percent(items: byName[column]?.items ?? 0, correct: byName[column]?.correct ?? 0)
    }
    return [name] + cells + [percent(items: score.items, correct: score.correct)]
  }
  return renderTable([["Method"] + columns + ["Average"]] + body)
}

/// The columns in which the paper shows this examination; nil where it shows none.
public func paperColumns(of form: EvaluationForm) -> [String]? {
  switch form {
  case .scienceQA: scienceQAColumns
  case .seedBench: seedBenchColumns
  case .llavaTest: ["Con", "CR", "DD"]
  case .exactMatch: nil
  }
}

/// Rows of cells as lines of text: the first column to the left, the others to the right, two
/// spaces between them. The first row is the header and is underlined.
///
/// - Precondition: all rows have as many cells as the first.
public func renderTable(_ rows: [[String]]) -> String {
  guard let header = rows.first else { return "" }
  precondition(rows.allSatisfy { $0.count == header.count }, "\(header.count) cells a row expected")
  let widths = header.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  var lines = rows.map { row in
    row.indices.map { column in
      let space = String(repeating: " ", count: widths[column] - row[column].count)
      return column == 0 ? row[column] + space : space + row[column]
    }.joined(separator: "  ")
  }
  let width = widths.reduce(0, +) + 2 * (widths.count - 1)
  lines.insert(String(repeating: "-", count: width), at: 1)
  return lines.joined(separator: "\n") + "\n"
}

/// `87.50`, rounded half up in whole numbers, or a dash without items.
private func percent(items: Int, correct: Int) -> String {
  guard items > 0 else { return "-" }
  let hundredths = (20_000 * correct + items) / (2 * items)
  let fraction = String(hundredths % 100)
  return "\(hundredths / 100)." + (fraction.count == 1 ? "0" : "") + fraction
}
