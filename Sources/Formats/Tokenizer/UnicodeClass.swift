/// What the splitting patterns of byte-level tokenizers tell apart.
///
/// By Unicode 16, which the `tokenizers` package knows: characters that came later count as not
/// assigned, so that tokens do not change with the version of Swift.
enum UnicodeClass: UInt8 {
  /// `\p{L}`
  case letter
  /// `\p{N}`
  case number
  /// `\r` and `\n`
  case newline
  /// The rest of `\s`
  case space
  /// Everything else: punctuation, marks, symbols, controls, what is not assigned.
  case other

  init(_ scalar: Unicode.Scalar) {
    if scalar.value < 0x10000 {
      self = Self.basicPlane[Int(scalar.value)]
    } else {
      self = Self.lookUp(scalar)
    }
  }

  private static let basicPlane: [UnicodeClass] = (0..<UInt32(0x10000)).map { value in
    Unicode.Scalar(value).map(lookUp) ?? .other
  }

  private static func lookUp(_ scalar: Unicode.Scalar) -> UnicodeClass {
    if scalar == "\r" || scalar == "\n" { return .newline }
    if scalar.properties.isWhitespace { return .space }
    guard scalar.isOfUnicode16 else { return .other }
    return switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      .letter
    case .decimalNumber, .letterNumber, .otherNumber: .number
    case .nonspacingMark, .spacingMark, .enclosingMark, .connectorPunctuation, .dashPunctuation,
      .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation,
      .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol,
      .spaceSeparator, .lineSeparator, .paragraphSeparator, .control, .format, .surrogate,
      .privateUse, .unassigned:
      .other
    @unknown default: .other
    }
  }
}

extension Unicode.Scalar {
  fileprivate var isOfUnicode16: Bool { (properties.age?.major ?? .max) <= 16 }

  /// `\w` of the `Whitespace` pre-tokenizer (Unicode TR 18, annex C).
  var isWordCharacter: Bool {
    guard isOfUnicode16 else { return false }
    if properties.isAlphabetic || properties.isJoinControl { return true }
    let category = properties.generalCategory
    return category == .decimalNumber || category == .connectorPunctuation
      || category == .nonspacingMark || category == .spacingMark || category == .enclosingMark
  }
}
