/// Text to tokens and back, as the `tokenizers` package does it for the same tokenizer.json.
public struct Tokenizer: Sendable {
  enum Model: Sendable {
    case bytePair(BytePairModel)
    /// Whole pieces are looked up; others become `unknown`.
    case wordLevel(unknown: String, id: Int32)
  }

  /// The tokens with a role, by name.
  struct Roles: Hashable, Sendable {
    var begin: String?
    var end: String?
    var unknown: String?
    var pad: String?
  }

  let vocabulary: Vocabulary
  let added: AddedTokens
  let normalizers: [Normalizer]
  let splitters: [Splitter]
  /// Pieces are spelled in GPT-2's alphabet of bytes.
  let isByteLevel: Bool
  let model: Model
  /// Nil joins the tokens with spaces.
  let decoders: [TokenDecoder]?
  let roles: Roles
  /// What the model expects around one text, the beginning-of-text token of Llama for example.
  public let prefixTokens: [Int32]
  public let suffixTokens: [Int32]
  /// The Jinja template that came with the tokenizer; kept, not interpreted.
  public let chatTemplate: String?

  /// The highest id and one.
  public var vocabularyCount: Int { vocabulary.texts.count }

  public var beginToken: Int32? { roles.begin.flatMap { vocabulary[$0] } }
  public var endToken: Int32? { roles.end.flatMap { vocabulary[$0] } }
  public var padToken: Int32? { roles.pad.flatMap { vocabulary[$0] } }

  /// The id of a control or other added token by its text, like `<|im_end|>`; nil for any other.
  public func controlToken(_ name: String) -> Int32? {
    added.tokens.last { $0.content.utf8.elementsEqual(name.utf8) }?.id
  }

  /// The tokens of plain text. No control token comes out, whatever the text says; nothing is put
  /// around it.
  ///
  /// - Parameter continuesText: the text follows other tokens of the same prompt. It matters only
  ///   for tokenizers that mark the beginning of a text and not that of each part of it.
  public func encode(_ text: String, continuesText: Bool = false) -> [Int32] {
    tokens(of: text, parsesControl: false, startsText: !continuesText)
  }

  /// The tokens of a text in which control tokens are recognised, with prefix and suffix: what
  /// `tokenizers` gives by default.
  public func encodeWithControl(_ text: String) -> [Int32] {
    prefixTokens + tokens(of: text, parsesControl: true, startsText: true) + suffixTokens
  }

  /// The text of tokens; ids that are not in the vocabulary are passed over.
  public func decode(_ tokens: [Int32], keepingControl: Bool = false) -> String {
    let texts = tokens.compactMap { token in
      keepingControl || !added.special.contains(token)
        ? added.normalizedTexts[token] ?? vocabulary.text(token) : nil
    }
    guard let decoders else { return texts.joined(separator: " ") }
    return decoders.reduce(texts) { $1.apply($0) }.joined()
  }

  private func tokens(of text: String, parsesControl: Bool, startsText: Bool) -> [Int32] {
    var tokens: [Int32] = []
    var isFirst = startsText
    let scalars = Array(text.unicodeScalars)
    for segment in added.segments(scalars, normalized: false, parsesControl: parsesControl) {
      switch segment {
      case .token(let id): tokens.append(id)
      case .text(let part):
        let normal = normalizers.reduce(part) { $1.apply($0) }
        for inner in added.segments(normal, normalized: true, parsesControl: parsesControl) {
          switch inner {
          case .token(let id): tokens.append(id)
          case .text(let piece): encode(piece, startsText: isFirst, into: &tokens)
          }
          isFirst = false
        }
      }
      isFirst = false
    }
    return tokens
  }

  private func encode(_ text: [Unicode.Scalar], startsText: Bool, into tokens: inout [Int32]) {
    var pieces = [text]
    for splitter in splitters {
      pieces = pieces.enumerated().flatMap { index, piece in
        splitter.apply(piece, startsText: startsText && index == 0)
      }
    }
    for piece in pieces where !piece.isEmpty {
      let spelled = isByteLevel ? ByteAlphabet.encode(piece) : piece
      switch model {
      case .bytePair(let model): tokens += model.encode(spelled)
      case .wordLevel(_, let unknown):
        let id = vocabulary[string(spelled)]
        tokens.append(id.flatMap { added.special.contains($0) ? nil : $0 } ?? unknown)
      }
    }
  }
}
