import Kernels

/// A request on its way through a generator.
struct RunningRequest {
  let id: Int
  let request: GenerationInput
  let deadline: ContinuousClock.Instant?
  /// Positions that it takes at most: its prompt, and its answer but the last token, which is never
  /// fed back.
  let rowsMax: Int
  var prompt: Prompt
  var sampler: Sampler
  /// Whether it has its place and the promise of its pages.
  var hasBegun = false
  /// In the order of positions, with the memory of each.
  private(set) var pages: [PagePool.Page] = []
  private(set) var memory: [Floats] = []
  /// Positions whose keys and values are in the pages.
  var length = 0
  var tokens: [Int32] = []

  init(
    id: Int, _ request: GenerationInput, _ prompt: Prompt, contextMax: Int,
    deadline: ContinuousClock.Instant?
  ) {
    self.id = id
    self.request = request
    self.prompt = prompt
    self.deadline = deadline
    rowsMax = max(prompt.rows, min(contextMax, prompt.rows + request.tokensMax - 1))
    sampler = Sampler(request.sampling)
  }

  /// Whether rows of the prompt are still to be computed.
  var isReading: Bool { length < prompt.rows }

  mutating func append(_ page: PagePool.Page, _ memory: Floats) {
    pages.append(page)
    self.memory.append(memory)
  }

  /// Takes the next token in.
  /// - Returns: why the answer is complete; nil when it goes on.
  mutating func accept(_ token: Int32, contextMax: Int) -> GenerationStop? {
    if request.stops.contains(token) { return .stopToken }
    tokens.append(token)
    if tokens.count == request.tokensMax { return .tokensMax }
    return length == contextMax ? .contextFull : nil
  }
}
