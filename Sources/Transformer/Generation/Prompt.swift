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

  private(set) var parts: [Part] = []
  /// What each row is: of two prompts the same rows begin with the same keys.
  private(set) var keys: [Int] = []

  var rows: Int { keys.count }

  mutating func append(_ token: Int32) {
    parts.append(.token(token))
    keys.append(Int(token))
  }

  /// - Parameter number: another for each other picture.
  mutating func append(_ picture: Picture, number: Int) {
    parts.append(.picture(picture))
    // Below the tokens, which are not negative; a picture has fewer than 2²⁴ rows.
    for row in 0..<picture.rows { keys.append(-1 - (number << 24 | row)) }
  }

  /// Has the embeddings of a picture at hand from now on.
  mutating func replace(part place: Int, with picture: Picture) { parts[place] = .picture(picture) }

  /// Lets the parts go; the keys stay.
  mutating func removeParts() { parts.removeAll() }
}

extension Prompt.Part {
  var rows: Int {
    switch self {
    case .token: 1
    case .picture(let picture): picture.rows
    }
  }
}

/// Numbers that stand for pictures: equal keys have equal ones.
struct PictureNumbers {
  /// More keys are not remembered; numbers are never used again, so forgetting is safe.
  private static let keysMax = 4_096

  private var numbers: [String: Int] = [:]
  private var next = 0

  /// - Parameter key: nil is a picture unlike all others.
  mutating func number(of key: String?) -> Int {
    if let key, let known = numbers[key] { return known }
    next += 1
    guard let key else { return next }
    if numbers.count == Self.keysMax { numbers.removeAll(keepingCapacity: true) }
    numbers[key] = next
    return next
  }
}
