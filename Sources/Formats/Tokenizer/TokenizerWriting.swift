extension Tokenizer {
  /// Writes `tokenizer.json` and `tokenizer_config.json` so that `transformers` opens the folder.
  public func save(folder: String) throws(FormatError) {
    try writeFile(folder + "/tokenizer.json", encoded())
    try writeFile(folder + "/tokenizer_config.json", encodedConfig())
  }

  /// The bytes of tokenizer.json; equal tokenizers give equal bytes.
  public func encoded() -> [UInt8] {
    JSONValue.members([
      ("version", .string("1.0")), ("truncation", .null), ("padding", .null),
      ("added_tokens", .array(added.tokens.sorted { $0.id < $1.id }.map(json))),
      ("normalizer", sequence(normalizers.map(json), "normalizers")),
      ("pre_tokenizer", sequence(preTokenizers(), "pretokenizers")),
      ("post_processor", postProcessor()),
      ("decoder", decoders.map { sequence($0.map(json), "decoders") } ?? .null),
      ("model", modelJSON()),
    ]).encoded(indented: true)
  }

  private func encodedConfig() -> [UInt8] {
    var members: [(String, JSONValue)] = [
      ("tokenizer_class", .string("PreTrainedTokenizerFast")),
      ("clean_up_tokenization_spaces", .bool(false)),
    ]
    let named = [
      ("bos_token", roles.begin), ("eos_token", roles.end), ("unk_token", roles.unknown),
      ("pad_token", roles.pad), ("chat_template", chatTemplate),
    ]
    for (key, value) in named {
      if let value { members.append((key, .string(value))) }
    }
    return JSONValue.members(members).encoded(indented: true)
  }

  private func preTokenizers() -> [JSONValue] {
    guard isByteLevel else { return splitters.map { json($0) } }
    // ByteLevel holds its own prefix space and pattern, both of which stand last.
    var before = splitters
    let usesRegex = before.last == .pattern(.gpt2)
    if usesRegex { before.removeLast() }
    let addsSpace = before.last == .prefixSpace
    if addsSpace { before.removeLast() }
    return before.map { json($0) } + [
      .members([
        ("type", .string("ByteLevel")), ("add_prefix_space", .bool(addsSpace)),
        ("trim_offsets", .bool(true)), ("use_regex", .bool(usesRegex)),
      ])
    ]
  }

  private func postProcessor() -> JSONValue {
    if prefixTokens.isEmpty && suffixTokens.isEmpty { return .null }
    func special(_ id: Int32, _ type: Int64) -> JSONValue {
      .members([
        (
          "SpecialToken",
          .members([("id", .string(vocabulary.text(id) ?? "")), ("type_id", .integer(type))])
        )
      ])
    }
    func part(_ name: String, _ type: Int64) -> [JSONValue] {
      let text = JSONValue.members([
        ("Sequence", .members([("id", .string(name)), ("type_id", .integer(type))]))
      ])
      return prefixTokens.map { special($0, type) } + [text]
        + suffixTokens.map { special($0, type) }
    }
    let used = Set(prefixTokens + suffixTokens).sorted().map { id -> (String, JSONValue) in
      let text = JSONValue.string(vocabulary.text(id) ?? "")
      return (
        vocabulary.text(id) ?? "",
        .members([
          ("id", text), ("ids", .array([.integer(Int64(id))])), ("tokens", .array([text])),
        ])
      )
    }
    return .members([
      ("type", .string("TemplateProcessing")), ("single", .array(part("A", 0))),
      ("pair", .array(part("A", 0) + part("B", 1))), ("special_tokens", .members(used)),
    ])
  }

  private func modelJSON() -> JSONValue {
    let entries = vocabulary.texts.enumerated().compactMap { id, text -> JSONMember? in
      text.map { JSONMember(name: $0, value: .integer(Int64(id))) }
    }
    switch model {
    case .wordLevel(let unknown, _):
      return .members([
        ("type", .string("WordLevel")), ("vocab", .object(entries)),
        ("unk_token", .string(unknown)),
      ])
    case .bytePair(let model):
      let merges = model.pairs.map { pair in
        JSONValue.array(
          [pair.left, pair.right].map { .string(vocabulary.text($0) ?? "") })
      }
      return .members([
        ("type", .string("BPE")), ("dropout", .null),
        ("unk_token", model.options.unknown.map { .string($0) } ?? .null),
        ("continuing_subword_prefix", .null), ("end_of_word_suffix", .null),
        ("fuse_unk", .bool(model.options.fusesUnknown)),
        ("byte_fallback", .bool(model.options.fallsBackToBytes)),
        ("ignore_merges", .bool(model.options.ignoresMerges)),
        ("vocab", .object(entries)), ("merges", .array(merges)),
      ])
    }
  }
}

/// One stage as itself, several as a `Sequence`, none as null.
private func sequence(_ stages: [JSONValue], _ listKey: String) -> JSONValue {
  switch stages.count {
  case 0: .null
  case 1: stages[0]
  default: .members([("type", .string("Sequence")), (listKey, .array(stages))])
  }
}

private func json(_ token: AddedToken) -> JSONValue {
  .members([
    ("id", .integer(Int64(token.id))), ("content", .string(token.content)),
    ("single_word", .bool(token.isSingleWord)), ("lstrip", .bool(token.stripsLeft)),
    ("rstrip", .bool(token.stripsRight)), ("normalized", .bool(token.isNormalized)),
    ("special", .bool(token.isSpecial)),
  ])
}

private func replacement(_ pattern: String, _ content: String) -> JSONValue {
  .members([
    ("type", .string("Replace")), ("pattern", .members([("String", .string(pattern))])),
    ("content", .string(content)),
  ])
}

private func json(_ normalizer: Normalizer) -> JSONValue {
  switch normalizer {
  case .nfc: .members([("type", .string("NFC"))])
  case .prepend(let text): .members([("type", .string("Prepend")), ("prepend", .string(text))])
  case .replace(let pattern, let content): replacement(pattern, content)
  }
}

private func metaspace(_ mark: Unicode.Scalar, _ scheme: PrependScheme, _ splits: Bool) -> JSONValue
{
  .members([
    ("type", .string("Metaspace")), ("replacement", .string(String(mark))),
    ("prepend_scheme", .string(scheme.rawValue)), ("split", .bool(splits)),
  ])
}

private func json(_ splitter: Splitter) -> JSONValue {
  switch splitter {
  case .pattern(let pattern):
    .members([
      ("type", .string("Split")), ("pattern", .members([("Regex", .string(pattern.regex))])),
      ("behavior", .string("Isolated")), ("invert", .bool(false)),
    ])
  case .digits(let individual):
    .members([("type", .string("Digits")), ("individual_digits", .bool(individual))])
  case .behind(let text):
    .members([
      ("type", .string("Split")), ("pattern", .members([("String", .string(text))])),
      ("behavior", .string("MergedWithPrevious")), ("invert", .bool(false)),
    ])
  case .whitespaceSplit: .members([("type", .string("WhitespaceSplit"))])
  case .whitespace: .members([("type", .string("Whitespace"))])
  case .metaspace(let mark, let scheme, let splits): metaspace(mark, scheme, splits)
  case .prefixSpace:
    preconditionFailure("a prefix space is part of ByteLevel and written with it")
  }
}

private func json(_ decoder: TokenDecoder) -> JSONValue {
  switch decoder {
  case .byteLevel:
    .members([
      ("type", .string("ByteLevel")), ("add_prefix_space", .bool(true)),
      ("trim_offsets", .bool(true)), ("use_regex", .bool(true)),
    ])
  case .replace(let pattern, let content): replacement(pattern, content)
  case .byteFallback: .members([("type", .string("ByteFallback"))])
  case .fuse: .members([("type", .string("Fuse"))])
  case .strip(let scalar, let start, let stop):
    .members([
      ("type", .string("Strip")), ("content", .string(String(scalar))),
      ("start", .integer(Int64(start))), ("stop", .integer(Int64(stop))),
    ])
  case .metaspace(let mark, let scheme): metaspace(mark, scheme, true)
  }
}
