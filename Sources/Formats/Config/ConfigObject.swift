/// An object of a configuration file, read key by key with defaults and limits.
struct ConfigObject {
  let file: String
  /// Names of the enclosing objects, each followed by a dot; empty at the top.
  let prefix: String
  let json: JSONValue

  init(file: String, prefix: String = "", json: JSONValue) throws(FormatError) {
    self.file = file
    self.prefix = prefix
    self.json = json
    guard case .object = json else {
      throw FormatError(
        file: file, subject: prefix.isEmpty ? "document" : "key \(prefix.dropLast())",
        problem: .malformed(found: json.kind), expected: "an object",
        remedy: "use the file as Hugging Face writes it")
    }
  }

  init(path: String) throws(FormatError) {
    let bytes = try readFile(path, bytesMax: 16 << 20)
    try self.init(file: path, json: parseJSON(bytes, file: path))
  }

  func failure(_ key: String, _ problem: FormatError.Problem, expected: String) -> FormatError {
    FormatError(
      file: file, subject: "key \(prefix)\(key)", problem: problem, expected: expected,
      remedy: "correct the key, or use a model that this version supports")
  }

  /// The value; nil when it is absent or null.
  func value(_ key: String) -> JSONValue? {
    guard let value = json[key], value != .null else { return nil }
    return value
  }

  func object(_ key: String) throws(FormatError) -> ConfigObject? {
    guard let value = value(key) else { return nil }
    return try ConfigObject(file: file, prefix: prefix + key + ".", json: value)
  }

  /// The object of that name; an empty one, so that every key has its default, when there is none.
  func objectOrEmpty(_ key: String) throws(FormatError) -> ConfigObject {
    try ConfigObject(
      file: file, prefix: prefix + key + ".", json: value(key) ?? .object([]))
  }

  /// A whole number within `allowed`, by default a size: 1…2³⁰.
  func integer(
    _ key: String, default fallback: Int?, in allowed: ClosedRange<Int> = 1...1 << 30
  ) throws(FormatError) -> Int {
    let expected = "a whole number from \(allowed.lowerBound) to \(allowed.upperBound)"
    guard let value = value(key) else {
      guard let fallback, allowed.contains(fallback) else {
        throw failure(key, .missing, expected: expected)
      }
      return fallback
    }
    guard let number = value.wholeNumber, allowed.contains(number) else {
      throw failure(key, .malformed(found: value.kind), expected: expected)
    }
    return number
  }

  func number(
    _ key: String, default fallback: Double, in allowed: ClosedRange<Double>
  ) throws(FormatError) -> Double {
    guard let value = value(key) else { return fallback }
    guard let number = value.real, allowed.contains(number) else {
      throw failure(
        key, .malformed(found: value.kind),
        expected: "a number from \(allowed.lowerBound) to \(allowed.upperBound)")
    }
    return number
  }

  func bool(_ key: String, default fallback: Bool) throws(FormatError) -> Bool {
    guard let value = value(key) else { return fallback }
    guard case .bool(let bool) = value else {
      throw failure(key, .malformed(found: value.kind), expected: "true or false")
    }
    return bool
  }

  func string(_ key: String) throws(FormatError) -> String? {
    guard let value = value(key) else { return nil }
    guard case .string(let string) = value else {
      throw failure(key, .malformed(found: value.kind), expected: "a string")
    }
    return string
  }

  /// One of a set of words; `fallback` when absent.
  func word<Word: RawRepresentable<String>>(
    _ key: String, default fallback: Word, _ expected: String
  ) throws(FormatError) -> Word {
    guard let string = try string(key) else { return fallback }
    guard let word = Word(rawValue: string) else {
      throw failure(key, .unsupported(found: "\"\(string)\""), expected: expected)
    }
    return word
  }

  /// A token id, nil when absent or null.
  func token(_ key: String) throws(FormatError) -> Int32? {
    guard value(key) != nil else { return nil }
    return Int32(try integer(key, default: nil, in: 0...Int(Int32.max)))
  }

  /// One token id or a list of them.
  func tokens(_ key: String) throws(FormatError) -> [Int32]? {
    guard case .array(let values) = value(key) else { return try token(key).map { [$0] } }
    var tokens: [Int32] = []
    for value in values {
      guard let number = value.wholeNumber, let token = Int32(exactly: number), token >= 0 else {
        throw failure(key, .malformed(found: value.kind), expected: "token ids")
      }
      tokens.append(token)
    }
    return tokens
  }
}

extension JSONValue {
  /// A whole number, also when written like `4.0`.
  var wholeNumber: Int? {
    switch self {
    case .integer(let value): Int(value)
    case .number(let value): Int(exactly: value)
    case .null, .bool, .string, .array, .object: nil
    }
  }

  var real: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    case .null, .bool, .string, .array, .object: nil
    }
  }
}
