import Synchronization

/// Byte-pair encoding: the pair of neighbours with the lowest rank is merged until none is left.
///
/// - Source: Sennrich et al. 2016; the rules for unknown characters are those of `tokenizers`.
struct BytePairModel: Sendable {
  struct Options: Hashable, Sendable {
    var unknown: String?
    /// Neighbouring unknown characters become one unknown token.
    var fusesUnknown = false
    /// Unknown characters become tokens `<0x00>`…`<0xFF>` of their bytes where all of them exist.
    var fallsBackToBytes = false
    /// A piece that is a token is that token, whatever the merges say.
    var ignoresMerges = false
  }

  /// A merge by the ids of its two sides; its rank is its place in the list.
  struct Pair: Hashable, Sendable {
    var left: Int32
    var right: Int32
  }

  private struct Merge {
    var rank: Int32
    var result: Int32
  }

  let options: Options
  let pairs: [Pair]
  private let merges: [Pair: Merge]
  private let unknown: Int32?
  private let bytes: [Int32?]
  private let scalars: [UInt32: Int32]
  private let words: [TokenText: Int32]
  private let cache = WordCache()

  /// - Parameters:
  ///   - results: the token that each pair becomes.
  ///   - forbidden: control tokens, which plain text must not become: their merges are left out.
  init(
    _ vocabulary: Vocabulary, pairs: [Pair], results: [Int32], options: Options,
    forbidden: Set<Int32>
  ) {
    precondition(pairs.count == results.count, "a result for every pair")
    self.options = options
    self.pairs = pairs
    var merges: [Pair: Merge] = [:]
    merges.reserveCapacity(pairs.count)
    for (rank, pair) in pairs.enumerated() where !forbidden.contains(results[rank]) {
      merges[pair] = Merge(rank: Int32(rank), result: results[rank])
    }
    self.merges = merges
    unknown = options.unknown.flatMap { vocabulary[$0] }
    bytes = (0..<256).map { byte in
      guard options.fallsBackToBytes else { return nil }
      return vocabulary[byteToken(UInt8(byte))]
    }
    var scalars: [UInt32: Int32] = [:]
    for (id, text) in vocabulary.texts.enumerated() {
      guard let text, !forbidden.contains(Int32(id)), text.unicodeScalars.count == 1,
        let scalar = text.unicodeScalars.first
      else { continue }
      scalars[scalar.value] = Int32(id)
    }
    self.scalars = scalars
    words = options.ignoresMerges ? vocabulary.ids.filter { !forbidden.contains($0.value) } : [:]
  }

  func encode(_ piece: [Unicode.Scalar]) -> [Int32] {
    if options.ignoresMerges, let id = words[TokenText(string(piece))] { return [id] }
    if let known = cache[piece] { return known }
    let tokens = merged(symbols(piece))
    cache.insert(piece, tokens)
    return tokens
  }

  private func symbols(_ piece: [Unicode.Scalar]) -> [Int32] {
    var symbols: [Int32] = []
    symbols.reserveCapacity(piece.count)
    var unknownIsPending = false
    for scalar in piece {
      if let id = scalars[scalar.value] {
        if unknownIsPending, let unknown { symbols.append(unknown) }
        unknownIsPending = false
        symbols.append(id)
        continue
      }
      let fallback = UTF8.encode(scalar)?.compactMap { bytes[Int($0)] } ?? []
      if fallback.count == UTF8.width(scalar) {
        symbols += fallback
        continue
      }
      if unknownIsPending && !options.fusesUnknown, let unknown { symbols.append(unknown) }
      unknownIsPending = true
    }
    if unknownIsPending, let unknown { symbols.append(unknown) }
    return symbols
  }

  /// A possible merge of the symbol at `position` with the one after it.
  private struct Candidate: Comparable {
    var rank: Int32
    var position: Int32
    var pair: Pair
    var result: Int32

    static func < (a: Candidate, b: Candidate) -> Bool {
      a.rank == b.rank ? a.position < b.position : a.rank < b.rank
    }
  }

  /// O(n log n): a heap of candidates over a doubly linked list of symbols.
  private func merged(_ symbols: [Int32]) -> [Int32] {
    if symbols.count < 2 { return symbols }
    var symbols = symbols
    // −1 marks the end of the list; a symbol that was merged into its neighbour has id −1.
    var next = symbols.indices.map { $0 + 1 < symbols.count ? $0 + 1 : -1 }
    var previous = symbols.indices.map { $0 - 1 }
    var candidates = BinaryHeap<Candidate>()

    func offer(_ position: Int) {
      guard position >= 0, next[position] >= 0 else { return }
      let pair = Pair(left: symbols[position], right: symbols[next[position]])
      guard let merge = merges[pair] else { return }
      candidates.insert(
        Candidate(
          rank: merge.rank, position: Int32(position), pair: pair, result: merge.result))
    }

    for position in symbols.indices { offer(position) }
    while let candidate = candidates.removeFirst() {
      let position = Int(candidate.position)
      let right = next[position]
      guard symbols[position] == candidate.pair.left, right >= 0,
        symbols[right] == candidate.pair.right
      else { continue }
      symbols[position] = candidate.result
      symbols[right] = -1
      next[position] = next[right]
      if next[position] >= 0 { previous[next[position]] = position }
      offer(previous[position])
      offer(position)
    }
    return symbols.filter { $0 >= 0 }
  }
}

/// The token of a byte in vocabularies with byte fallback.
func byteToken(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16, uppercase: true)
  return byte < 16 ? "<0x0\(digits)>" : "<0x\(digits)>"
}

/// Tokens of words seen before, up to a bound; then the cache starts again from nothing.
private final class WordCache: Sendable {
  private static let wordsMax = 16_384
  /// Longer pieces seldom come again.
  private static let wordScalarsMax = 64
  private let words = Mutex<[[Unicode.Scalar]: [Int32]]>([:])

  subscript(_ word: [Unicode.Scalar]) -> [Int32]? {
    word.count > Self.wordScalarsMax ? nil : words.withLock { $0[word] }
  }

  func insert(_ word: [Unicode.Scalar], _ tokens: [Int32]) {
    guard word.count <= Self.wordScalarsMax else { return }
    words.withLock { words in
      if words.count >= Self.wordsMax { words = [:] }
      words[word] = tokens
    }
  }
}

/// A heap with its least element first.
struct BinaryHeap<Element: Comparable> {
  private var elements: [Element] = []

  mutating func insert(_ element: Element) {
    elements.append(element)
    var child = elements.count - 1
    while child > 0, elements[child] < elements[(child - 1) / 2] {
      elements.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeFirst() -> Element? {
    guard let first = elements.first else { return nil }
    let last = elements.removeLast()
    if elements.isEmpty { return first }
    elements[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < elements.count && elements[child] < elements[least] { least = child }
      if least == parent { return first }
      elements.swapAt(parent, least)
      parent = least
    }
  }
}
