extension Tokenizer {
  static let fileBytesMax = 256 << 20

  /// Reads `tokenizer.json`, and `tokenizer_config.json` for the roles of tokens and the template.
  ///
  /// - Throws: `FormatError` naming the key when the file is damaged, or asks for a stage that is
  ///   not supported.
  public init(folder: String) throws(FormatError) {
    let path = folder + "/tokenizer.json"
    let json = try readFile(path, bytesMax: Self.fileBytesMax)
    let configPath = folder + "/tokenizer_config.json"
    let config =
      fileExists(configPath)
      ? try readFile(configPath, bytesMax: Self.fileBytesMax) : Array("{}".utf8)
    try self.init(json: json, config: config, name: path, configName: configPath)
  }

  /// Reads the bytes of both files; the names stand for them in errors.
  public init(
    json: [UInt8], config: [UInt8] = Array("{}".utf8), name: String,
    configName: String = "tokenizer_config.json"
  ) throws(FormatError) {
    let reader = TokenizerReader(file: name)
    let document = try ConfigObject(file: name, json: parseJSON(json, file: name))
    let settings = try ConfigObject(file: configName, json: parseJSON(config, file: configName))
    let modelObject = try reader.required(document.object("model"), "model")
    let normalizers = try reader.normalizers(document.object("normalizer"))
    let (splitters, isByteLevel) = try reader.splitters(document.object("pre_tokenizer"))
    let addedTokens = try reader.addedTokens(document)

    var vocabulary = try reader.vocabulary(modelObject)
    let forbidden = Set(addedTokens.filter(\.isSpecial).map(\.id))
    let model = try reader.model(modelObject, vocabulary, forbidden: forbidden)
    for (index, token) in addedTokens.enumerated() {
      guard vocabulary.insert(token.content, token.id) else {
        throw reader.contradiction("added_tokens[\(index)].id", token.id)
      }
    }
    let around = try reader.template(document.object("post_processor"), vocabulary)
    self.vocabulary = vocabulary
    added = AddedTokens(addedTokens) { text in normalizers.reduce(text) { $1.apply($0) } }
    self.normalizers = normalizers
    self.splitters = splitters
    self.isByteLevel = isByteLevel
    self.model = model
    decoders = try reader.decoders(document.object("decoder"))
    prefixTokens = around.prefix
    suffixTokens = around.suffix
    roles = Roles(
      begin: try roleToken(settings, "bos_token"), end: try roleToken(settings, "eos_token"),
      unknown: try roleToken(settings, "unk_token"), pad: try roleToken(settings, "pad_token"))
    chatTemplate = try template(settings)
  }
}

/// A role's token: its text, or an object with `content`.
private func roleToken(_ config: ConfigObject, _ key: String) throws(FormatError) -> String? {
  if case .object = config.value(key) { return try config.object(key)?.string("content") }
  return try config.string(key)
}

/// The chat template: a text, or a list of named ones of which `default` is meant.
private func template(_ config: ConfigObject) throws(FormatError) -> String? {
  guard case .array(let templates) = config.value("chat_template") else {
    return try config.string("chat_template")
  }
  let named = templates.first { $0["name"] == .string("default") } ?? templates.first
  guard case .string(let text) = named?["template"] else { return nil }
  return text
}

/// The parts of a tokenizer.json, each from its JSON.
private struct TokenizerReader {
  let file: String

  func failure(
    _ subject: String, _ problem: FormatError.Problem, _ expected: String
  ) -> FormatError {
    FormatError(
      file: file, subject: "key \(subject)", problem: problem, expected: expected,
      remedy: "use the tokenizer.json of a GPT-2, SmolLM, Qwen2 or Llama tokenizer or a WordLevel")
  }

  func required(_ object: ConfigObject?, _ key: String) throws(FormatError) -> ConfigObject {
    guard let object else { throw failure(key, .missing, "an object") }
    return object
  }

  func unsupported(_ object: ConfigObject, _ expected: String) -> FormatError {
    failure(
      "\(object.prefix)type", .unsupported(found: object.value("type")?.kind ?? "nothing"), expected
    )
  }

  func contradiction(_ subject: String, _ id: Int32) -> FormatError {
    failure(subject, .malformed(found: "\(id)"), "one id for each token and one token for each id")
  }

  /// The elements of a `Sequence` object's list, or the object itself.
  func stages(_ object: ConfigObject, _ listKey: String) throws(FormatError) -> [ConfigObject] {
    guard try object.string("type") == "Sequence" else { return [object] }
    var stages: [ConfigObject] = []
    for (index, element) in try array(object, listKey).enumerated() {
      let stage = try ConfigObject(
        file: file, prefix: "\(object.prefix)\(listKey)[\(index)].", json: element)
      stages += try self.stages(stage, listKey)
    }
    return stages
  }

  func array(_ object: ConfigObject, _ key: String) throws(FormatError) -> [JSONValue] {
    guard case .array(let elements) = object.value(key) else {
      throw failure(
        object.prefix + key, .malformed(found: object.value(key)?.kind ?? "nothing"), "an array")
    }
    return elements
  }

  func text(_ object: ConfigObject, _ key: String) throws(FormatError) -> String {
    guard let text = try object.string(key) else {
      throw failure(object.prefix + key, .missing, "a string")
    }
    return text
  }

  func scalar(
    _ object: ConfigObject, _ key: String, default fallback: Unicode.Scalar
  ) throws(FormatError) -> Unicode.Scalar {
    guard let text = try object.string(key) else { return fallback }
    guard text.unicodeScalars.count == 1, let scalar = text.unicodeScalars.first else {
      throw failure(object.prefix + key, .malformed(found: "\"\(text)\""), "one character")
    }
    return scalar
  }

  /// The text of a pattern `{"String": …}`.
  func plainPattern(_ object: ConfigObject) throws(FormatError) -> String {
    guard case .string(let text) = object.value("pattern")?["String"] else {
      throw failure(
        object.prefix + "pattern",
        .unsupported(found: object.value("pattern")?.kind ?? "nothing"), "{\"String\": …}")
    }
    return text
  }

  // MARK: Stages

  func normalizers(_ object: ConfigObject?) throws(FormatError) -> [Normalizer] {
    guard let object else { return [] }
    var normalizers: [Normalizer] = []
    for stage in try stages(object, "normalizers") {
      switch try stage.string("type") {
      case "NFC": normalizers.append(.nfc)
      case "Prepend": normalizers.append(.prepend(try text(stage, "prepend")))
      case "Replace":
        normalizers.append(.replace(try plainPattern(stage), with: try text(stage, "content")))
      case nil, .some: throw unsupported(stage, "NFC, Prepend, Replace or a Sequence of them")
      }
    }
    return normalizers
  }

  func splitters(
    _ object: ConfigObject?
  ) throws(FormatError) -> (splitters: [Splitter], isByteLevel: Bool) {
    guard let object else { return ([], false) }
    var splitters: [Splitter] = []
    var isByteLevel = false
    for stage in try stages(object, "pretokenizers") {
      guard !isByteLevel else {
        throw unsupported(stage, "nothing after ByteLevel")
      }
      switch try stage.string("type") {
      case "ByteLevel":
        isByteLevel = true
        if try stage.bool("add_prefix_space", default: true) { splitters.append(.prefixSpace) }
        if try stage.bool("use_regex", default: true) { splitters.append(.pattern(.gpt2)) }
      case "Digits":
        splitters.append(
          .digits(individual: try stage.bool("individual_digits", default: false)))
      case "Split": splitters.append(try split(stage))
      case "WhitespaceSplit": splitters.append(.whitespaceSplit)
      case "Whitespace": splitters.append(.whitespace)
      case "Metaspace":
        let legacy: PrependScheme =
          try stage.bool("add_prefix_space", default: true) ? .always : .never
        splitters.append(
          .metaspace(
            try scalar(stage, "replacement", default: "▁"),
            try stage.word("prepend_scheme", default: legacy, "always, first or never"),
            splits: try stage.bool("split", default: true)))
      case nil, .some:
        throw unsupported(
          stage, "ByteLevel, Digits, Split, WhitespaceSplit, Whitespace, Metaspace or a Sequence")
      }
    }
    return (splitters, isByteLevel)
  }

  /// A known regular expression whose matches are the words, or a text behind which words end.
  private func split(_ stage: ConfigObject) throws(FormatError) -> Splitter {
    guard case .string(let text) = stage.value("pattern")?["String"] else {
      return .pattern(try pattern(stage))
    }
    let behavior = try stage.string("behavior")
    guard behavior == "MergedWithPrevious", !text.isEmpty else {
      throw failure(
        stage.prefix + "behavior", .unsupported(found: behavior ?? "nothing"),
        "MergedWithPrevious and a pattern of at least one character")
    }
    return .behind(text)
  }

  private func pattern(_ stage: ConfigObject) throws(FormatError) -> SplitPattern {
    let regex = stage.value("pattern")?["Regex"]
    guard let known = SplitPattern.known.first(where: { .string($0.regex) == regex }) else {
      throw failure(
        stage.prefix + "pattern", .unsupported(found: (regex ?? .null).kind),
        "the pattern of GPT-2, Qwen2 or Llama 3")
    }
    let behavior = try stage.string("behavior")
    let inverted = try stage.bool("invert", default: false)
    guard inverted ? behavior == "Removed" : behavior == "Isolated" else {
      throw failure(
        stage.prefix + "behavior", .unsupported(found: behavior ?? "nothing"), "Isolated")
    }
    return known
  }

  func decoders(_ object: ConfigObject?) throws(FormatError) -> [TokenDecoder]? {
    guard let object else { return nil }
    var decoders: [TokenDecoder] = []
    for stage in try stages(object, "decoders") {
      switch try stage.string("type") {
      case "ByteLevel": decoders.append(.byteLevel)
      case "Replace":
        decoders.append(.replace(try plainPattern(stage), with: try text(stage, "content")))
      case "ByteFallback": decoders.append(.byteFallback)
      case "Fuse": decoders.append(.fuse)
      case "Strip":
        decoders.append(
          .strip(
            try scalar(stage, "content", default: " "),
            start: try stage.integer("start", default: 0, in: 0...1024),
            stop: try stage.integer("stop", default: 0, in: 0...1024)))
      case "Metaspace":
        let legacy: PrependScheme =
          try stage.bool("add_prefix_space", default: true) ? .always : .never
        decoders.append(
          .metaspace(
            try scalar(stage, "replacement", default: "▁"),
            try stage.word("prepend_scheme", default: legacy, "always, first or never")))
      case nil, .some:
        throw unsupported(
          stage, "ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or a Sequence")
      }
    }
    return decoders
  }

  /// The control tokens that the template puts before and after one text.
  func template(
    _ object: ConfigObject?, _ vocabulary: Vocabulary
  ) throws(FormatError) -> (prefix: [Int32], suffix: [Int32]) {
    var around: (prefix: [Int32], suffix: [Int32]) = ([], [])
    guard let object else { return around }
    for stage in try stages(object, "processors") {
      switch try stage.string("type") {
      case "ByteLevel": break
      case "TemplateProcessing":
        var isBehind = false
        for piece in try array(stage, "single") {
          if piece["Sequence"] != nil {
            isBehind = true
            continue
          }
          guard case .string(let name) = piece["SpecialToken"]?["id"], let id = vocabulary[name]
          else {
            throw failure(
              stage.prefix + "single", .malformed(found: piece.kind), "a token of the vocabulary")
          }
          if isBehind { around.suffix.append(id) } else { around.prefix.append(id) }
        }
      case nil, .some: throw unsupported(stage, "TemplateProcessing, ByteLevel or a Sequence")
      }
    }
    return around
  }

  // MARK: Tokens and model

  func id(_ value: JSONValue?, _ subject: String) throws(FormatError) -> Int32 {
    guard let number = value?.wholeNumber, (0...Vocabulary.idMax).contains(number) else {
      throw failure(
        subject, .malformed(found: value?.kind ?? "nothing"), "an id from 0 to \(Vocabulary.idMax)")
    }
    return Int32(number)
  }

  func addedTokens(_ document: ConfigObject) throws(FormatError) -> [AddedToken] {
    guard document.value("added_tokens") != nil else { return [] }
    var tokens: [AddedToken] = []
    for (index, element) in try array(document, "added_tokens").enumerated() {
      let object = try ConfigObject(
        file: file, prefix: "added_tokens[\(index)].", json: element)
      let content = try text(object, "content")
      let special = try object.bool("special", default: false)
      tokens.append(
        AddedToken(
          id: try id(object.value("id"), object.prefix + "id"), content: content,
          isSpecial: special, isNormalized: try object.bool("normalized", default: !special),
          isSingleWord: try object.bool("single_word", default: false),
          stripsLeft: try object.bool("lstrip", default: false),
          stripsRight: try object.bool("rstrip", default: false)))
    }
    return tokens
  }

  func vocabulary(_ model: ConfigObject) throws(FormatError) -> Vocabulary {
    guard case .object(let members) = model.value("vocab") else {
      throw failure(
        "model.vocab", .malformed(found: model.value("vocab")?.kind ?? "nothing"),
        "an object from token to id")
    }
    var vocabulary = Vocabulary()
    for member in members {
      let id = try id(member.value, "model.vocab.\(member.name)")
      guard vocabulary.insert(member.name, id) else {
        throw contradiction("model.vocab.\(member.name)", id)
      }
    }
    return vocabulary
  }

  func model(
    _ object: ConfigObject, _ vocabulary: Vocabulary, forbidden: Set<Int32>
  ) throws(FormatError) -> Tokenizer.Model {
    switch try object.string("type") {
    case "WordLevel":
      let unknown = try text(object, "unk_token")
      guard let id = vocabulary[unknown] else {
        throw failure("model.unk_token", .missing, "\(unknown) in model.vocab")
      }
      return .wordLevel(unknown: unknown, id: id)
    // Files from before types were written are told by their merges.
    case "BPE": return .bytePair(try bytePair(object, vocabulary, forbidden))
    case nil where object.value("merges") != nil:
      return .bytePair(try bytePair(object, vocabulary, forbidden))
    case nil, .some: throw unsupported(object, "BPE or WordLevel")
    }
  }

  private func bytePair(
    _ object: ConfigObject, _ vocabulary: Vocabulary, _ forbidden: Set<Int32>
  ) throws(FormatError) -> BytePairModel {
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = try object.string(key), !affix.isEmpty {
        throw failure("model.\(key)", .unsupported(found: "\"\(affix)\""), "none")
      }
    }
    if let dropout = object.value("dropout"), dropout.real != 0 {
      throw failure("model.dropout", .unsupported(found: dropout.kind), "none")
    }
    let unknown = try object.string("unk_token")
    if let unknown, vocabulary[unknown] == nil {
      throw failure("model.unk_token", .missing, "\(unknown) in model.vocab")
    }
    var merges = MergeList()
    for (rank, element) in try array(object, "merges").enumerated() {
      guard let (left, right) = sides(element), merges.append(left, right, vocabulary) else {
        throw failure(
          "model.merges[\(rank)]", .malformed(found: element.kind),
          "two tokens that make a third, all of the vocabulary")
      }
    }
    return BytePairModel(
      vocabulary, pairs: merges.pairs, results: merges.results,
      options: BytePairModel.Options(
        unknown: unknown, fusesUnknown: try object.bool("fuse_unk", default: false),
        fallsBackToBytes: try object.bool("byte_fallback", default: false),
        ignoresMerges: try object.bool("ignore_merges", default: false)),
      forbidden: forbidden)
  }

  /// A merge is `["a", "b"]`, or `"a b"` in older files.
  private func sides(_ element: JSONValue) -> (String, String)? {
    switch element {
    case .array(let sides):
      guard sides.count == 2, case .string(let left) = sides[0], case .string(let right) = sides[1]
      else { return nil }
      return (left, right)
    case .string(let text): return spacedSides(text)
    case .null, .bool, .integer, .number, .object: return nil
    }
  }
}
