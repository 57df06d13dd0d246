import Formats
public import Kernels

/// Answers many requests at once, each token of all in one pass (continuous batching).
///
/// An answer depends on the model and on its request alone: not on the other requests, the order,
/// threads, nor on what was computed before. Features of a picture and the beginning of a prompt
/// that another request had too are computed once; by the invariance of the kernels that changes
/// no bit. Weights are packed once, which takes their memory a second time. A parameter that
/// changes during the generator's life is not seen: make a new one. One generator belongs to one
/// thread.
public final class Generator {
  public let model: Model
  /// Positions of a sequence, prompt and answer.
  public let contextMax: Int
  public let batchMax: Int
  public let keyValueBytesMax: Int
  private let compute: Compute
  private let arena = Arena()
  private let decoder: Decoder
  private let tower: VisionTower?
  private let projector: Projector?
  private var features: FeatureCache
  private var pending: [Slot] = []
  private var active: [Slot] = []
  private var ended: [(id: Int, answer: GeneratedAnswer)] = []
  /// Sequences that ended, whose prompts may begin further prompts; the newest last.
  private var recent: [Slot] = []

  private static let recentMax = 8
  /// A shorter common beginning is computed again rather than copied.
  private static let sharedRowsMin = 8
  /// Rows of prompts that are computed together.
  private static let prefillRowsMax = 1024

  /// A request on its way.
  fileprivate struct Slot {
    var id: Int
    var request: GenerationInput
    var prompt: Prompt
    var cache: KeyValueCache
    var sampler: Sampler
    var tokens: [Int32] = []
    /// Set when the answer is complete.
    var stop: GenerationStop?
  }

  /// - Parameters:
  ///   - batchMax: requests under way at one time.
  ///   - keyValueBytesMax: memory for keys and values of all of them.
  ///   - featureBytesMax: memory for features of pictures, kept by key.
  ///   - contextMax: at most the model's own limit, which is the default.
  public init(
    model: Model, compute: Compute, batchMax: Int = 32, keyValueBytesMax: Int = 1 << 30,
    featureBytesMax: Int = 1 << 28, contextMax: Int? = nil
  ) {
    precondition(batchMax > 0, "a batch has at least one request, not \(batchMax)")
    self.model = model
    self.compute = compute
    self.batchMax = batchMax
    self.keyValueBytesMax = keyValueBytesMax
    self.contextMax = min(contextMax ?? model.contextLength, model.contextLength)
    decoder = Decoder(
      model, positions: self.contextMax, isFixed: true, compute: compute, arena: arena)
    tower = VisionTower(model, isFixed: true, compute: compute, arena: arena)
    projector = Projector(model, isFixed: true, compute: compute, arena: arena)
    features = FeatureCache(bytesMax: featureBytesMax)
  }

  /// Requests admitted whose answers `step` has not handed out yet.
  public var activeCount: Int { pending.count + active.count + ended.count }

  /// Whether one more such request fits beside those under way.
  public func hasRoom(for request: GenerationInput) -> Bool {
    guard pending.count + active.count < batchMax else { return false }
    let imageTokens = model.llava?.imageTokensMax ?? 0
    let rows = request.input.pieces.reduce(0) { rows, piece in
      if case .token = piece { rows + 1 } else { rows + imageTokens }
    }
    let busy = (pending + active).reduce(0) { $0 + $1.cache.bytes }
    return busy + cacheBytes(capacity(promptRows: rows, request)) <= keyValueBytesMax
  }

  /// Takes a request in; its first token comes with the next `step`.
  ///
  /// Ask `hasRoom` first: this one goes over the limits of the batch if it must, and refuses only
  /// what could never be answered.
  /// - Throws: `InputError`, and what loading a picture throws; nothing has changed then.
  public func admit(_ request: GenerationInput, id: Int) throws {
    let prompt = try prompt(of: request.input)
    guard prompt.rows > 0 else { throw InputError.empty }
    guard prompt.rows <= contextMax else {
      throw InputError.tooLong(positions: prompt.rows, limit: contextMax)
    }
    let capacity = capacity(promptRows: prompt.rows, request)
    guard cacheBytes(capacity) <= keyValueBytesMax else {
      throw InputError.overMemory(bytes: cacheBytes(capacity), limit: keyValueBytesMax)
    }
    dropRecent(toFit: cacheBytes(capacity))
    let cache = KeyValueCache(
      layers: model.text.layerCount, columns: decoder.shape.keyValueColumns, capacity: capacity)
    pending.append(
      Slot(
        id: id, request: request, prompt: prompt, cache: cache, sampler: Sampler(request.sampling))
    )
  }

  /// One more token for every request under way.
  /// - Returns: the answers that are complete, in no promised order.
  public func step() -> [(id: Int, answer: GeneratedAnswer)] {
    decode()
    prefillPending()
    defer { ended.removeAll() }
    return ended
  }

  /// Answers a list of requests, as many at one time as there is room for.
  /// - Returns: the answers in the order of the requests.
  /// - Throws: as `admit`, for the first request that is refused; the others are given up.
  public func run(_ requests: [GenerationInput]) throws -> [GeneratedAnswer] {
    precondition(activeCount == 0, "other requests are under way")
    var answers: [GeneratedAnswer?] = Array(repeating: nil, count: requests.count)
    var next = 0
    do {
      while next < requests.count || activeCount > 0 {
        while next < requests.count, activeCount == 0 || hasRoom(for: requests[next]) {
          try admit(requests[next], id: next)
          next += 1
        }
        for (id, answer) in step() { answers[id] = answer }
      }
    } catch {
      pending.removeAll()
      active.removeAll()
      throw error
    }
    return answers.compactMap { $0 }
  }
}

// MARK: - Memory

extension Generator {
  /// The last token of an answer is never fed back, so it takes no position.
  private func capacity(promptRows: Int, _ request: GenerationInput) -> Int {
    max(promptRows, min(contextMax, promptRows + request.tokensMax - 1))
  }

  private func cacheBytes(_ capacity: Int) -> Int {
    KeyValueCache.bytes(
      layers: model.text.layerCount, columns: decoder.shape.keyValueColumns, capacity: capacity)
  }

  private func dropRecent(toFit bytes: Int) {
    func used() -> Int { (pending + active + recent).reduce(0) { $0 + $1.cache.bytes } }
    while !recent.isEmpty && used() + bytes > keyValueBytesMax { recent.removeFirst() }
  }
}

// MARK: - Prompts

extension Generator {
  private func prompt(of input: ModelInput) throws -> Prompt {
    for piece in input.pieces {
      try piece.check(
        pictures: input.images.count, canSee: tower != nil, vocabulary: model.text.vocabularySize)
    }
    var prompt = Prompt()
    for piece in input.pieces {
      switch piece {
      case .token(let token): prompt.append(.token(token))
      case .image(let index): prompt.append(.picture(try picture(input.images[index])))
      }
    }
    return prompt
  }

  private func picture(_ image: ModelImage) throws -> Prompt.Picture {
    guard let tower else { throw InputError.cannotSee }
    if let key = image.key, let kept = features.features(of: key) {
      return Prompt.Picture(
        key: key, rows: kept.lines.rows, source: .projected(kept.features))
    }
    let pixels = try image.load()
    let grid = try tower.llava.grid(of: pixels)
    return Prompt.Picture(
      key: image.key, rows: tower.llava.lines(of: grid).rows, source: .pixels(pixels, grid))
  }

  /// (rows, columns): the embeddings of a picture, in `x`.
  private func project(_ picture: Prompt.Picture, into x: Floats) {
    guard let tower, let projector else { preconditionFailure("admitted without a tower") }
    switch picture.source {
    case .projected(let kept): x.copy(from: kept)
    case .pixels(let pixels, let grid):
      if let key = picture.key, let kept = features.features(of: key) {
        return x.copy(from: kept.features)
      }
      let lines = tower.llava.lines(of: grid)
      arena.scope {
        let state = tower.forward([pixels], grids: [grid])
        let selected = arena.floats(lines.features * tower.columns)
        tower.selectFeatures(into: selected, state.output, [grid])
        projector.embed(selected, lines, into: x)
      }
      if let key = picture.key { features.keep(x, lines, of: key) }
    }
  }
}

// MARK: - Passes

extension Generator {
  /// Computes prompts together, but one that begins like another only after that other.
  private func prefillPending() {
    var group: [Slot] = []
    var rows = 0
    for slot in pending {
      let begins = group.contains { sharedRows(slot.prompt, $0.prompt) >= Self.sharedRowsMin }
      if begins || rows + slot.prompt.rows > Self.prefillRowsMax {
        prefill(group)
        (group, rows) = ([], 0)
      }
      group.append(shared(slot))
      rows += slot.prompt.rows
    }
    prefill(group)
    pending.removeAll()
  }

  /// The last row of a prompt is always computed: it foresees the answer.
  private func sharedRows(_ prompt: Prompt, _ other: Prompt) -> Int {
    min(prompt.commonRows(with: other), prompt.rows - 1)
  }

  private func shared(_ slot: Slot) -> Slot {
    var slot = slot
    let best = (active + recent)
      .map { (rows: sharedRows(slot.prompt, $0.prompt), cache: $0.cache) }
      .max { $0.rows < $1.rows }
    if let best, best.rows >= Self.sharedRowsMin {
      slot.cache.copyPrefix(of: best.cache, rows: best.rows, layers: model.text.layerCount)
    }
    return slot
  }

  private func prefill(_ slots: [Slot]) {
    guard !slots.isEmpty else { return }
    var slots = slots
    arena.reset()
    let columns = decoder.columns
    let counts = slots.map { $0.prompt.rows - $0.cache.length }
    let x = arena.floats(counts.reduce(0, +) * columns)
    var positions: [Int32] = []
    var start = 0
    for (slot, count) in zip(slots, counts) {
      embed(slot.prompt, from: slot.cache.length, into: x[start..<start + count * columns])
      positions += Int32(slot.cache.length)..<Int32(slot.prompt.rows)
      start += count * columns
    }
    run(&slots, x, positions: positions, newRows: counts)
    settle(slots)
  }

  /// Rows of a prompt from row `first` on; a picture may be cut.
  private func embed(_ prompt: Prompt, from first: Int, into x: Floats) {
    let columns = decoder.columns
    var row = 0
    for part in prompt.parts {
      let kept = max(0, first - row)
      if kept < part.rows {
        let place = row + kept - first
        let target = x[place * columns..<(row + part.rows - first) * columns]
        switch part {
        case .token(let token):
          decoder.embed([token], into: target)
        case .picture(let picture):
          arena.scope {
            let whole = arena.floats(picture.rows * columns)
            project(picture, into: whole)
            target.copy(from: whole[kept * columns..<whole.count])
          }
        }
      }
      row += part.rows
    }
  }

  private func decode() {
    guard !active.isEmpty else { return }
    arena.reset()
    let x = arena.floats(active.count * decoder.columns)
    let last = active.compactMap(\.tokens.last)
    decoder.embed(last, into: x)
    let positions = active.map { Int32($0.cache.length) }
    var slots = active
    active.removeAll(keepingCapacity: true)
    run(&slots, x, positions: positions, newRows: slots.map { _ in 1 })
    settle(slots)
  }

  /// All layers over the new rows of each sequence, then a token for each from its last row.
  private func run(_ slots: inout [Slot], _ x: Floats, positions: [Int32], newRows: [Int]) {
    for index in slots.indices { slots[index].cache.extend(by: newRows[index]) }
    let caches = slots.map(\.cache)
    for index in decoder.weights.layers.indices {
      arena.scope {
        let y = arena.floats(x.count)
        _ = decoder.forward(index, x, into: y, positions: positions) { out, q, k, v in
          attend(caches, layer: index, out, q, k, v, newRows: newRows)
        }
        x.copy(from: y)
      }
    }
    var lastRows: [Int32] = []
    var rows: Int32 = 0
    for count in newRows {
      rows += Int32(count)
      lastRows.append(rows - 1)
    }
    let output = arena.floats(slots.count * decoder.columns)
    gatherRows(into: output, x, ids: lastRows, columns: decoder.columns)
    let vocabulary = model.text.vocabularySize
    let logits = arena.floats(slots.count * vocabulary)
    decoder.head(output, into: logits, rows: slots.count)
    for index in slots.indices {
      let row = logits[index * vocabulary..<(index + 1) * vocabulary].array
      slots[index].accept(slots[index].sampler.draw(row), contextMax: contextMax)
    }
  }

  private func attend(
    _ caches: [KeyValueCache], layer: Int, _ out: Floats, _ query: Floats, _ key: Floats,
    _ value: Floats, newRows: [Int]
  ) {
    let columns = decoder.shape.keyValueColumns
    var row = 0
    var sequences: [CachedSequence] = []
    sequences.reserveCapacity(caches.count)
    for (cache, count) in zip(caches, newRows) {
      let range = row * columns..<(row + count) * columns
      cache.write(key[range], value[range], layer: layer)
      row += count
      sequences.append(
        CachedSequence(
          keys: cache.keys(layer), values: cache.values(layer), length: cache.length,
          newRows: count))
    }
    attentionOverCache(
      into: out, q: query, sequences, decoder.attention(in: layer).shape, on: compute)
  }

  private func settle(_ slots: [Slot]) {
    for slot in slots {
      guard let stop = slot.stop else {
        active.append(slot)
        continue
      }
      ended.append(
        (
          slot.id,
          GeneratedAnswer(tokens: slot.tokens, stop: stop, promptTokens: slot.prompt.rows)
        ))
      recent.append(slot)
      if recent.count > Self.recentMax { recent.removeFirst() }
    }
  }
}

extension Generator.Slot {
  fileprivate mutating func accept(_ token: Int32, contextMax: Int) {
    if request.stops.contains(token) {
      stop = .stopToken
      return
    }
    tokens.append(token)
    if tokens.count == request.tokensMax {
      stop = .tokensMax
    } else if cache.length == contextMax {
      stop = .contextFull
    }
  }
}
