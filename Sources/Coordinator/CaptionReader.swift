import Datasets
import Distillation
import Domain
import Foundation
import Logging
import Settings

/// Stage 1's material: the captions that the noun-phrase filter of section 3.2 takes.
struct CaptionReader {
  let settings: ClusterSettings
  let inventory: Inventory
  let log: Logger

  /// The pairs taken, in the order of the file.
  func pairs() throws -> [CaptionPair] {
    guard let file = settings.data.captions else { return [] }
    var filter = CaptionFilter()
    try forEachRecord(of: file, phrases: true) { _, phrases in filter.add(phrases: phrases) }
    let selection = filter.select(
      seed: Seeds(run: settings.method.seed).captionSubset, limit: settings.data.captionsLimit)
    log.info(
      """
      noun phrases by \(tool): \(selection.phrases), of which \(selection.phrasesKept) are in 3 \
      captions or more; \(selection.taken.count) of \(selection.captions) captions taken
      """)
    let taken = Set(selection.taken)
    let folder = ImageFolder(settings.data.images)
    var pairs: [CaptionPair] = []
    try forEachRecord(of: file, phrases: false) { record, _ in
      guard taken.contains(record.place) else { return }
      do {
        let image = try inventory.digest(ofPicture: record.image, in: folder)
        pairs.append(CaptionPair(image: image, caption: record.caption))
      } catch {
        log.warning("skipped: \(file), record \(record.number): \(error)")
      }
    }
    try inventory.save()
    return pairs
  }

  private var tool: String {
    switch settings.nounPhrases {
    case .builtin: "the built-in chunker"
    case .spacy(let command): "`\(command)`"
    }
  }

  private struct Placed {
    /// Among the readable records, from 0.
    var place: Int
    var number: Int
    var image: String
    var caption: String
  }

  private func forEachRecord(
    of file: String, phrases wanted: Bool, _ body: (Placed, [String]) throws -> Void
  ) throws {
    var place = 0
    var batch: [Placed] = []
    let extractor = try wanted ? PhraseExtractor(settings.nounPhrases) : nil
    func flush() throws {
      let phrases = try extractor?.phrases(of: batch.map(\.caption))
      for (index, record) in batch.enumerated() { try body(record, phrases?[index] ?? []) }
      batch = []
    }
    for result in CaptionFile(file) {
      switch result {
      case .success(let record):
        batch.append(
          Placed(
            place: place, number: record.number, image: record.image, caption: record.caption))
        place += 1
        if batch.count == 256 { try flush() }
      case .failure(let problem):
        if problem.isFatal { throw PreparationError.data(problem) }
      }
    }
    try flush()
    try extractor?.finish()
  }
}
