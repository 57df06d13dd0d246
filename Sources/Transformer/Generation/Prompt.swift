import Formats
import Kernels

/// A prompt whose pictures are at hand.
struct Prompt {
  /// A token, or a picture's rows.
  enum Part {
    case token(Int32)
    case picture(Picture)
  }

  struct Picture {
    var key: String?
    var rows: Int
    var source: Source
  }

  enum Source {
    case pixels(PixelValues, PictureGrid)
    /// (rows, columns), as the language model reads them.
    case projected(Floats)
  }

  var parts: [Part] = []
  var rows = 0

  mutating func append(_ part: Part) {
    parts.append(part)
    rows += part.rows
  }

  /// Rows at the beginning that are the same in both: equal tokens, pictures of equal keys.
  func commonRows(with other: Prompt) -> Int {
    var common = 0
    for (mine, theirs) in zip(parts, other.parts) {
      switch (mine, theirs) {
      case (.token(let a), .token(let b)):
        guard a == b else { return common }
      case (.picture(let a), .picture(let b)):
        guard let key = a.key, key == b.key, a.rows == b.rows else { return common }
      case (.token, .picture), (.picture, .token): return common
      }
      common += mine.rows
    }
    return common
  }
}

extension Prompt.Part {
  var rows: Int {
    switch self {
    case .token: 1
    case .picture(let picture): picture.rows
    }
  }
}
