extension GGUFFile {
  /// The tokenizer that the metadata holds: `gpt2` (byte-level BPE) with one of the splitting rules
  /// that are known, or `llama` (SentencePiece BPE).
  public func tokenizer() throws(FormatError) -> Tokenizer {
    guard case .strings(let texts) = metadata["tokenizer.ggml.tokens"],
      texts.count <= Vocabulary.idMax
    else {
      throw failure(
        "tokenizer.ggml.tokens",
        metadata["tokenizer.ggml.tokens"].map { .malformed(found: $0.kind) } ?? .missing,
        expected: "at most \(Vocabulary.idMax) strings")
    }
    var vocabulary = Vocabulary()
    for (id, text) in texts.enumerated() {
      guard vocabulary.insert(text, Int32(id)) else {
        throw failure(
          "tokenizer.ggml.tokens", .malformed(found: "\"\(text)\" twice"),
          expected: "every token once")
      }
    }
    let added = try addedTokens(texts)
    let stages: Stages
    switch try string("tokenizer.ggml.model") {
    case "gpt2": stages = try byteLevelStages(vocabulary, added)
    case "llama": stages = try sentencePieceStages(vocabulary, added)
    case let other:
      throw failure(
        "tokenizer.ggml.model", .unsupported(found: "\"\(other)\""), expected: "gpt2 or llama")
    }
    func name(_ role: String) throws(FormatError) -> String? {
      let key = "tokenizer.ggml.\(role)_token_id"
      guard let id = try token(key) else { return nil }
      guard let text = vocabulary.text(id) else {
        throw failure(key, .malformed(found: "\(id)"), expected: "an id of the vocabulary")
      }
      return text
    }
    let roles = Tokenizer.Roles(
      begin: try name("bos"), end: try name("eos"), unknown: try name("unknown"),
      pad: try name("padding"))
    let isLlama = stages.decoders != [.byteLevel]
    var prefix: [Int32] = []
    if try bool("tokenizer.ggml.add_bos_token", default: isLlama) {
      prefix = roles.begin.flatMap { vocabulary[$0] }.map { [$0] } ?? []
    }
    var suffix: [Int32] = []
    if try bool("tokenizer.ggml.add_eos_token", default: false) {
      suffix = roles.end.flatMap { vocabulary[$0] }.map { [$0] } ?? []
    }
    var template: String?
    if metadata["tokenizer.chat_template"] != nil {
      template = try string("tokenizer.chat_template")
    }
    return Tokenizer(
      vocabulary: vocabulary, added: added, normalizers: stages.normalizers,
      splitters: stages.splitters, isByteLevel: stages.isByteLevel,
      model: .bytePair(stages.model), decoders: stages.decoders, roles: roles,
      prefixTokens: prefix, suffixTokens: suffix, chatTemplate: template)
  }

  private struct Stages {
    var normalizers: [Normalizer]
    var splitters: [Splitter]
    var isByteLevel: Bool
    var model: BytePairModel
    var decoders: [TokenDecoder]
  }

  /// Control tokens (type 3) and tokens that users added (type 4).
  private func addedTokens(_ texts: [String]) throws(FormatError) -> AddedTokens {
    guard let value = metadata["tokenizer.ggml.token_type"] else {
      return AddedTokens([]) { $0 }
    }
    guard case .integers(let types) = value, types.count == texts.count else {
      throw failure(
        "tokenizer.ggml.token_type", .malformed(found: value.kind), expected: "one type a token")
    }
    let added = texts.indices.compactMap { id in
      types[id] == 3 || types[id] == 4
        ? AddedToken(id: Int32(id), content: texts[id], isSpecial: types[id] == 3) : nil
    }
    return AddedTokens(added) { $0 }
  }

  private func byteLevelStages(
    _ vocabulary: Vocabulary, _ added: AddedTokens
  ) throws(FormatError) -> Stages {
    let key = "tokenizer.ggml.pre"
    var normalizers: [Normalizer] = []
    var options = BytePairModel.Options()
    let splitters: [Splitter]
    switch try string(key) {
    case "gpt-2": splitters = [.pattern(.gpt2)]
    case "smollm": splitters = [.digits(individual: true), .pattern(.gpt2)]
    case "qwen2":
      normalizers = [.nfc]
      splitters = [.pattern(.qwen2(digitsMax: 1))]
    case "llama-bpe":
      options.ignoresMerges = true
      splitters = [.pattern(.qwen2(digitsMax: 3))]
    case let other:
      throw failure(
        key, .unsupported(found: "\"\(other)\""), expected: "gpt-2, smollm, qwen2 or llama-bpe")
    }
    guard case .strings(let written) = metadata["tokenizer.ggml.merges"] else {
      throw failure("tokenizer.ggml.merges", .missing, expected: "strings")
    }
    var merges = MergeList()
    for (rank, text) in written.enumerated() {
      guard let (left, right) = spacedSides(text), merges.append(left, right, vocabulary) else {
        throw failure(
          "tokenizer.ggml.merges[\(rank)]", .malformed(found: "\"\(text)\""),
          expected: "two tokens that make a third, all of the vocabulary")
      }
    }
    return Stages(
      normalizers: normalizers, splitters: splitters, isByteLevel: true,
      model: BytePairModel(
        vocabulary, pairs: merges.pairs, results: merges.results, options: options,
        forbidden: added.special),
      decoders: [.byteLevel])
  }

  /// SentencePiece's BPE joins the neighbours whose token has the highest score. As merges: every
  /// way to cut a token in two tokens, ranked by score.
  /// - Source: transformers, `convert_slow_tokenizer.generate_merges`.
  private func sentencePieceStages(
    _ vocabulary: Vocabulary, _ added: AddedTokens
  ) throws(FormatError) -> Stages {
    let key = "tokenizer.ggml.scores"
    guard case .floats(let scores) = metadata[key], scores.count == vocabulary.texts.count,
      scores.allSatisfy(\.isFinite)
    else {
      throw failure(
        key, metadata[key].map { .malformed(found: $0.kind) } ?? .missing,
        expected: "one finite score a token")
    }
    let addsSpace = try bool("tokenizer.ggml.add_space_prefix", default: true)
    let unknown = try token("tokenizer.ggml.unknown_token_id").flatMap { vocabulary.text($0) }
    let merges = scoredMerges(vocabulary, scores, added.special)
    return Stages(
      normalizers: (addsSpace ? [.prepend("▁")] : []) + [.replace(" ", with: "▁")],
      splitters: [], isByteLevel: false,
      model: BytePairModel(
        vocabulary, pairs: merges.pairs, results: merges.results,
        options: BytePairModel.Options(
          unknown: unknown, fusesUnknown: true, fallsBackToBytes: true),
        forbidden: added.special),
      decoders: [.replace("▁", with: " "), .byteFallback, .fuse]
        + (addsSpace ? [.strip(" ", start: 1, stop: 0)] : []))
  }
}

private func scoredMerges(
  _ vocabulary: Vocabulary, _ scores: [Double], _ special: Set<Int32>
) -> MergeList {
  struct Scored {
    var pair: BytePairModel.Pair
    var result: Int32
    var score: Double
    var leftCount: Int
    var rightCount: Int
  }
  // A token of n characters has n − 1 cuts; longer ones than this are no words of a language.
  let scalarsMax = 256
  var scored: [Scored] = []
  for (id, text) in vocabulary.texts.enumerated() {
    guard let text, !special.contains(Int32(id)) else { continue }
    let scalars = text.unicodeScalars
    guard scalars.count <= scalarsMax else { continue }
    var cuts: [Scored] = []
    for (leftCount, cut) in scalars.indices.enumerated().dropFirst() {
      guard let left = vocabulary[String(scalars[..<cut])], !special.contains(left),
        let right = vocabulary[String(scalars[cut...])], !special.contains(right)
      else { continue }
      cuts.append(
        Scored(
          pair: BytePairModel.Pair(left: left, right: right), result: Int32(id),
          score: scores[id], leftCount: leftCount, rightCount: scalars.count - leftCount))
    }
    scored += cuts.sorted { ($0.pair.left, $0.pair.right) < ($1.pair.left, $1.pair.right) }
  }
  // Stable: equal keys stay in the order of the vocabulary.
  let ranked = scored.enumerated().sorted { a, b in
    let (x, y) = (a.element, b.element)
    return (x.score, x.leftCount, x.rightCount, b.offset)
      > (y.score, y.leftCount, y.rightCount, a.offset)
  }
  var merges = MergeList()
  for (_, merge) in ranked {
    merges.pairs.append(merge.pair)
    merges.results.append(merge.result)
  }
  return merges
}
