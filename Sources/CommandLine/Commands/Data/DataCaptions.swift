import ArgumentParser
import Datasets
import Distillation
import Foundation

struct DataCaptions: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "captions",
    abstract: "Filter captions by their noun phrases, as stage 1 of a run does.",
    discussion: """
      Phrases in fewer than 3 captions are dropped; captions are taken from the rarest phrase up, \
      at most 100 a phrase (section 3.2 of the paper).

      Example:
        comd data captions --in captions.json --out filtered.json
      """)

  @Option(name: .customLong("in"), help: "Captions: JSON, JSON Lines, or .csv with a header.")
  var input: String
  @Option(help: "The JSON file to write.")
  var out: String
  @Option(help: "A process that finds noun phrases (not available here in this version).")
  var spacy: String?
  @Option(help: "The run's seed, from which subsets are drawn.")
  var seed: UInt64 = 1
  @Option(help: "At most so many captions.")
  var limit: Int?
  @OptionGroup var facts: FactOptions

  func validate() throws {
    try requireFile("--in", input)
    if let limit { try require("--limit", limit, in: 1...1_000_000_000) }
  }

  func run() throws {
    if spacy != nil { throw CommandError.notAvailable("data captions --spacy") }
    let progress = Progress("reading captions", unit: "captions", total: nil)
    var filter = CaptionFilter()
    var records: [CaptionRecord] = []
    for result in CaptionFile(input) {
      let record = try result.get()
      records.append(record)
      filter.add(phrases: nounPhrases(in: record.caption))
      progress.update(records.count)
    }
    let selection = filter.select(seed: Seeds(run: seed).captionSubset, limit: limit)
    try write(try captionsJSON(selection.taken.sorted().map { records[$0] }), toFile: out)
    try tell(selection, tool: "the built-in chunker")
  }

  private struct Found: Encodable {
    var nounPhrasesBy: String
    var captions: Int
    var phrases: Int
    var phrasesKept: Int
    var phrasesDrawn: Int
    var taken: Int
    var out: String
  }

  private func tell(_ selection: CaptionSelection, tool: String) throws {
    if facts.json {
      try printJSON(
        Found(
          nounPhrasesBy: tool, captions: selection.captions, phrases: selection.phrases,
          phrasesKept: selection.phrasesKept, phrasesDrawn: selection.phrasesDrawn,
          taken: selection.taken.count, out: out))
      return
    }
    printFact(
      "noun phrases by \(tool): \(selection.phrases), of which \(selection.phrasesKept) are in 3 "
        + "captions or more, \(selection.phrasesDrawn) so frequent that a subset was drawn\n"
        + "\(selection.taken.count) of \(selection.captions) captions: \(out)")
  }
}

/// A JSON array of pictures and captions, a record a line.
private func captionsJSON(_ records: [CaptionRecord]) throws -> Data {
  struct Pair: Encodable {
    var image: String
    var caption: String
  }
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  let lines = try records.map { record in
    String(
      decoding: try encoder.encode(Pair(image: record.image, caption: record.caption)),
      as: UTF8.self)
  }
  return Data(("[\n" + lines.joined(separator: ",\n") + "\n]\n").utf8)
}
