import Domain

/// The filter of stage 1: keeps pairs so that many noun phrases are covered and none dominates.
///
/// Every caption's phrases are added in the order of the captions; then `select` draws. Memory is
/// four bytes a phrase in a caption and one copy of every distinct phrase, so that millions of
/// captions fit.
///
/// - Source: Li et al. 2024, section 3.2; Liu et al. 2023, appendix on CC3M.
public struct CaptionFilter: Sendable {
  private var numbers: [String: Int32] = [:]
  private var names: [String] = []
  /// Phrase numbers of all captions in a row; caption `i` has those in `starts[i]..<starts[i + 1]`.
  private var phrases: [Int32] = []
  private var starts = [0]

  public init() {}

  /// Captions added so far.
  public var count: Int { starts.count - 1 }

  /// The noun phrases of the next caption, as its extractor gives them; repeats count once.
  public mutating func add(phrases found: [String]) {
    let start = phrases.count
    for phrase in found where !phrase.isEmpty {
      let number: Int32
      if let known = numbers[phrase] {
        number = known
      } else {
        number = Int32(names.count)
        numbers[phrase] = number
        names.append(phrase)
      }
      if !phrases[start...].contains(number) { phrases.append(number) }
    }
    starts.append(phrases.count)
  }

  /// Draws the pairs.
  ///
  /// A phrase's frequency is the number of captions that hold it. Phrases under `frequencyMin` are
  /// dropped. The others are gone through from the rarest up, equally frequent ones in the order
  /// of their text: all captions with the phrase become candidates, or `subsetMax` of them, drawn
  /// with a generator of the phrase's own, when there are more. Each caption is taken once.
  ///
  /// - Parameters:
  ///   - seed: `Seeds.captionSubset`.
  ///   - limit: stop at this many pairs; nil takes all candidates.
  public func select(
    seed: UInt64, frequencyMin: Int = 3, subsetMax: Int = 100, limit: Int? = nil
  ) -> CaptionSelection {
    let holders = holdersByPhrase()
    let kept = names.indices.filter { holders.of($0).count >= frequencyMin }
    let ordered = kept.sorted { a, b in
      let (m, n) = (holders.of(a).count, holders.of(b).count)
      return m == n ? names[a] < names[b] : m < n
    }
    var isTaken = [Bool](repeating: false, count: count)
    var taken: [Int] = []
    var subsets = 0
    for (rank, phrase) in ordered.enumerated() {
      if let limit, taken.count >= limit { break }
      var candidates = Array(holders.of(phrase))
      if candidates.count > subsetMax {
        var random = SeededRandom(seed: seed, "phrase", UInt64(rank))
        for place in 0..<subsetMax {
          candidates.swapAt(place, place + random.below(candidates.count - place))
        }
        candidates = candidates.prefix(subsetMax).sorted()
        subsets += 1
      }
      for caption in candidates.map(Int.init) where !isTaken[caption] {
        isTaken[caption] = true
        taken.append(caption)
      }
    }
    return CaptionSelection(
      taken: limit.map { Array(taken.prefix($0)) } ?? taken, captions: count,
      phrases: names.count, phrasesKept: kept.count, phrasesDrawn: subsets)
  }

  /// Captions of each phrase in one array: phrase `p` has those in `starts[p]..<starts[p + 1]`.
  private struct Holders {
    var starts: [Int]
    var captions: [Int32]
    func of(_ phrase: Int) -> ArraySlice<Int32> {
      captions[starts[phrase]..<starts[phrase + 1]]
    }
  }

  /// A counting sort of (phrase, caption) by phrase, captions in order.
  private func holdersByPhrase() -> Holders {
    var ends = [Int](repeating: 0, count: names.count + 1)
    for phrase in phrases { ends[Int(phrase) + 1] += 1 }
    for phrase in names.indices { ends[phrase + 1] += ends[phrase] }
    var next = ends
    var captions = [Int32](repeating: 0, count: phrases.count)
    for caption in 0..<count {
      for phrase in phrases[starts[caption]..<starts[caption + 1]] {
        captions[next[Int(phrase)]] = Int32(caption)
        next[Int(phrase)] += 1
      }
    }
    return Holders(starts: ends, captions: captions)
  }
}

/// What the caption filter kept.
public struct CaptionSelection: Hashable, Sendable {
  /// Places of the pairs kept, from 0, in the order in which they were taken: rarest phrase first.
  public var taken: [Int]
  /// Captions read.
  public var captions: Int
  /// Distinct phrases.
  public var phrases: Int
  /// Of these, phrases frequent enough to count.
  public var phrasesKept: Int
  /// Of these, phrases so frequent that a subset of their captions was drawn.
  public var phrasesDrawn: Int

  public init(
    taken: [Int], captions: Int, phrases: Int, phrasesKept: Int, phrasesDrawn: Int
  ) {
    self.taken = taken
    self.captions = captions
    self.phrases = phrases
    self.phrasesKept = phrasesKept
    self.phrasesDrawn = phrasesDrawn
  }
}
