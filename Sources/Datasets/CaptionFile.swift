import Foundation

/// A picture's name and a sentence about it.
public struct CaptionRecord: Hashable, Sendable {
  /// From 1, in the order of the file.
  public var number: Int
  public var line: Int
  /// Below the folder of pictures.
  public var image: String
  public var caption: String
}

/// Reads image-caption pairs, one at a time.
///
/// - JSON, an array or JSON Lines: `{"image", "caption"}` (or `blip_caption`), or LLaVA's
///   conversation form, where the first answer is the caption.
/// - A file that ends in `.csv` or `.txt`: comma-separated values (RFC 4180) with a header that
///   names `image` and `caption`, as Flickr8k's `captions.txt`.
public struct CaptionFile: Sequence, IteratorProtocol {
  private enum Source {
    case json(JSONRecords<JSONCaption>)
    case csv(CSVRecords)
  }

  private struct JSONCaption: Decodable {
    var image: String
    var caption: String?
    var blipCaption: String?
    var conversations: [LLaVARecord.Message]?

    enum CodingKeys: String, CodingKey {
      case image, caption, conversations
      case blipCaption = "blip_caption"
    }

    var text: String? {
      caption ?? blipCaption
        ?? conversations?.first { ["gpt", "assistant"].contains($0.from) }?.value
    }
  }

  private let file: String
  private var source: Source

  public init(_ file: String) {
    self.file = file
    let ending = URL(filePath: file).pathExtension.lowercased()
    source =
      ["csv", "txt"].contains(ending)
      ? .csv(CSVRecords(file, columns: ["image", "caption"]))
      : .json(JSONRecords(file, of: JSONCaption.self))
  }

  public mutating func next() -> Result<CaptionRecord, DataProblem>? {
    switch source {
    case .json(var records):
      let next = records.next()
      source = .json(records)
      return next?.flatMap { numbered in
        checked(
          number: numbered.number, line: numbered.line, image: numbered.record.image,
          caption: numbered.record.text)
      }
    case .csv(var records):
      let next = records.next()
      source = .csv(records)
      return next?.flatMap { row in
        checked(
          number: row.number, line: row.line, image: row.fields[0], caption: row.fields[1])
      }
    }
  }

  private func checked(
    number: Int, line: Int, image: String, caption: String?
  ) -> Result<CaptionRecord, DataProblem> {
    func problem(_ kind: DataProblem.Kind) -> Result<CaptionRecord, DataProblem> {
      .failure(DataProblem(file: file, record: number, line: line, kind))
    }
    guard !image.isEmpty else { return problem(.missing("image")) }
    guard let caption else { return problem(.missing("caption")) }
    let text = trimmed(caption)
    guard !text.isEmpty else { return problem(.emptyCaption) }
    return .success(CaptionRecord(number: number, line: line, image: image, caption: text))
  }
}
