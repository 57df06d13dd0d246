import Formats
public import Kernels

/// Answers many requests at once: they join and leave at every token, and prompts are read in
/// chunks beside the answers of others (continuous batching).
///
/// An answer depends on the model and on its request alone: not on the other requests, the order,
/// chunks, threads, nor on what was computed before. Features of a picture and the beginning of a
/// prompt that another request had too are computed once; by the invariance of the kernels that
/// changes no bit. A parameter that changes during the generator's life is not seen: make a new
/// one. One generator belongs to one thread.
///
/// Keys and values lie in pages, taken as tokens come. A request begins only when the pages of its
/// longest possible answer are still free or kept for nobody but the prefix cache: so whatever has
/// begun ends without being computed twice, at the price of some room that short answers leave.
public final class Generator {
  public let model: Model
  public let limits: GenerationLimits
  /// Positions of a sequence, prompt and answer.
  public let contextMax: Int
  let compute: Compute
  let arena = Arena()
  let decoder: Decoder
  let tower: VisionTower?
  let projector: Projector?
  var features: FeatureCache
  var pictures = PictureNumbers()
  var pool: PagePool
  var prefixes: PrefixCache
  /// In the order in which they came.
  var requests: [RunningRequest] = []
  /// The rows of a pass, kept so that it allocates nothing for them.
  let batch: PagedBatch
  var positions: [Int32] = []
  var weights: [Double] = []
  private var scheduler: StepScheduler
  public internal(set) var counts = GenerationCounts()

  /// What became of a request.
  public typealias Ended = (id: Int, result: Result<GeneratedAnswer, DeadlinePassed>)

  /// A shorter common beginning is computed again rather than copied.
  private static let sharedRowsMin = 8

  public init(model: Model, compute: Compute, limits: GenerationLimits = GenerationLimits()) {
    let compute = compute.multiplying(model.products)
    self.model = model
    self.compute = compute
    self.limits = limits
    contextMax = min(limits.contextMax ?? model.contextLength, model.contextLength)
    decoder = Decoder(
      model, positions: contextMax, isFixed: true, compute: compute, arena: arena)
    tower = VisionTower(model, isFixed: true, compute: compute, arena: arena)
    projector = Projector(model, isFixed: true, compute: compute, arena: arena)
    features = FeatureCache(bytesMax: limits.featureBytesMax)
    let layout = PageLayout(
      layers: model.text.layerCount, rows: limits.pageRows,
      keyValueHeads: model.text.keyValueHeadCount, headSize: model.text.headSize,
      precision: model.keyValues)
    pool = PagePool(layout, bytesMax: limits.keyValueBytesMax)
    prefixes = PrefixCache(
      pagesMax: min(
        limits.prefixBytesMax / PagePool.pageBytes(layout),
        limits.batchMax * layout.pages(contextMax)),
      pageRows: limits.pageRows)
    batch = PagedBatch(layout)
    scheduler = StepScheduler(
      batchMax: limits.batchMax, rowsMax: max(limits.stepRowsMax, limits.batchMax + 1))
  }

  /// Requests admitted whose end `step` has not handed out yet.
  public var activeCount: Int { requests.count }
  /// Whether a request that is admitted now can begin with the next step, memory permitting.
  public var hasRoom: Bool { requests.count < limits.batchMax }

  /// Takes a request in; it waits until it has a place and memory.
  ///
  /// - Parameters:
  ///   - id: of no other request that is active.
  ///   - priority: a higher one begins before a lower one, whenever they came.
  ///   - deadline: when it is given up.
  /// - Throws: `InputError`, and what loading a picture throws; nothing has changed then.
  public func admit(
    _ request: GenerationInput, id: Int, priority: Int = 0,
    deadline: ContinuousClock.Instant? = nil
  ) throws {
    precondition(!requests.contains { $0.id == id }, "a second request \(id)")
    let prompt = try prompt(of: request.input)
    guard prompt.rows > 0 else { throw InputError.empty }
    guard prompt.rows <= contextMax else {
      throw InputError.tooLong(positions: prompt.rows, limit: contextMax)
    }
    let new = RunningRequest(
      id: id, request, prompt, contextMax: contextMax, deadline: deadline)
    let bytes = pool.layout.pages(new.rowsMax) * PagePool.pageBytes(pool.layout)
    guard bytes <= limits.keyValueBytesMax else {
      throw InputError.overMemory(bytes: bytes, limit: limits.keyValueBytesMax)
    }
    requests.append(new)
    scheduler.add(id, priority: priority, promptRows: prompt.rows)
  }

  /// Gives a request up, if it is active: no step hands it out any more.
  public func cancel(_ id: Int) {
    guard let place = place(of: id) else { return }
    for page in requests[place].pages { pool.release(page) }
    requests.remove(at: place)
    scheduler.remove(id)
  }

  public func cancelAll() {
    for id in requests.map(\.id) { cancel(id) }
  }

  /// One pass: the next token of every answer under way, and the next rows of prompts.
  ///
  /// - Parameter now: what deadlines are compared with.
  /// - Returns: the requests that ended, in no promised order.
  public func step(at now: ContinuousClock.Instant = .now) -> [Ended] {
    var ended: [Ended] = []
    for late in requests where late.deadline.map({ $0 <= now }) ?? false {
      ended.append((late.id, .failure(DeadlinePassed(tokens: late.tokens.count))))
      cancel(late.id)
    }
    let parts = scheduler.next { begin($0) }
    for (id, answer) in run(parts) {
      ended.append((id, .success(answer)))
      cancel(id)
    }
    return ended
  }

  /// Answers a list of requests, as many at one time as there is room for.
  /// - Returns: the answers in the order of the requests.
  /// - Throws: as `admit`, for the first request that is refused; the others are given up.
  public func run(_ inputs: [GenerationInput]) throws -> [GeneratedAnswer] {
    precondition(activeCount == 0, "other requests are under way")
    defer { cancelAll() }
    var answers: [GeneratedAnswer?] = Array(repeating: nil, count: inputs.count)
    var next = 0
    while next < inputs.count || activeCount > 0 {
      while next < inputs.count, hasRoom {
        try admit(inputs[next], id: next)
        next += 1
      }
      for (id, result) in step() { answers[id] = try result.get() }
    }
    return answers.compactMap { $0 }
  }
}

// MARK: - Beginning

extension Generator {
  func place(of id: Int) -> Int? { requests.firstIndex { $0.id == id } }

  /// Pages that requests under way may still take.
  private var promisedPages: Int {
    requests.reduce(0) {
      $1.hasBegun ? $0 + pool.layout.pages($1.rowsMax) - $1.pages.count : $0
    }
  }

  /// Gives a request its pages of a known beginning, and the promise of the others.
  private func begin(_ id: Int) -> StepScheduler.Start {
    guard let place = place(of: id) else { preconditionFailure("no request \(id)") }
    let keys = requests[place].prompt.keys
    // The last row of a prompt is always computed: it foresees the answer.
    let match = prefixes.find(keys, rowsMax: keys.count - 1)
    if isComputedByOthers(keys, beyond: match.rows) { return .held }
    let own = pool.layout.pages(requests[place].rowsMax) - match.pages.count
    let unused = match.pages.count { !pool.isUsed($0) }
    guard pool.usedCount + promisedPages + unused + own <= pool.capacity else { return .noMemory }
    requests[place].hasBegun = true
    for page in match.pages {
      pool.use(page)
      requests[place].append(page, pool.memory(page))
    }
    requests[place].length = match.pages.count * pool.layout.rows
    if let partial = match.partial, partial.rows >= Self.sharedRowsMin,
      let page = takePage(sparing: partial.page)
    {
      pool.memory(page).copy(from: pool.memory(partial.page))
      requests[place].append(page, pool.memory(page))
      requests[place].length += partial.rows
    }
    counts.promptRows += keys.count
    counts.computedRows += keys.count - requests[place].length
    return .now(cachedRows: requests[place].length)
  }

  /// Whether a prompt that is being read will leave more of this one in the prefix cache.
  private func isComputedByOthers(_ keys: [Int], beyond rows: Int) -> Bool {
    requests.contains { other in
      guard other.hasBegun, other.isReading else { return false }
      let common = min(commonCount(keys[...], other.prompt.keys[...]), keys.count - 1)
      let pages = pool.layout.pages(common)
      let kept = min(pages * pool.layout.rows, other.prompt.rows)
      return common >= rows + Self.sharedRowsMin && other.length < kept
        && pages <= prefixes.pagesMax
    }
  }

  private func takePage(sparing spared: PagePool.Page? = nil) -> PagePool.Page? {
    if pool.isEmpty && !prefixes.makeRoom(in: &pool, sparing: spared) { return nil }
    return pool.take()
  }

  /// Makes room for more rows; the next pass fills them.
  func extend(_ place: Int, by rows: Int) {
    requests[place].length += rows
    while requests[place].pages.count < pool.layout.pages(requests[place].length) {
      guard let page = takePage() else { preconditionFailure("a promised page is not there") }
      requests[place].append(page, pool.memory(page))
    }
  }

  /// Lets others share the rows of a prompt that are computed by now: whole pages, at its end all.
  func share(_ place: Int) {
    let (keys, length) = (requests[place].prompt.keys, requests[place].length)
    let rows = length < keys.count ? length / pool.layout.rows * pool.layout.rows : keys.count
    prefixes.keep(keys, rows: rows, pages: requests[place].pages, in: &pool)
  }
}
