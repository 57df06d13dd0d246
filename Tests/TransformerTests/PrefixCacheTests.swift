import Kernels
import Testing

@testable import Transformer

@Suite("A prefix cache")
struct PrefixCacheTests {
  static let layout = PageLayout(layers: 1, rows: 16, keyValueHeads: 1, headSize: 2)

  /// A sequence's pages, kept in the cache and then given up.
  func keep(_ keys: [Int], in cache: inout PrefixCache, _ pool: inout PagePool) -> [Int] {
    let pages = (0..<Self.layout.pages(keys.count)).map { _ in
      if pool.isEmpty { _ = cache.makeRoom(in: &pool) }
      return pool.take()
    }
    cache.keep(keys, rows: keys.count, pages: pages, in: &pool)
    for page in pages { pool.release(page) }
    return pages
  }

  @Test("knows the longest beginning: whole pages to share, and a part of one to copy")
  func match() {
    var pool = PagePool(Self.layout, bytesMax: 10 * PagePool.pageBytes(Self.layout))
    var cache = PrefixCache(pagesMax: 10, pageRows: 16)
    let long = keep(Array(0..<40), in: &cache, &pool)
    let same = cache.find(Array(0..<40), rowsMax: 39)
    #expect(same.pages == Array(long[..<2]) && same.rows == 39)
    #expect(same.partial?.page == long[2] && same.partial?.rows == 7)
    let other = cache.find(Array(0..<20) + [99, 98], rowsMax: 21)
    #expect(other.pages == [long[0]] && other.rows == 20 && other.partial?.rows == 4)
    let none = cache.find([5, 6, 7], rowsMax: 2)
    #expect(none.rows == 0)
    // The same beginning is kept once, by the pages that came first.
    _ = keep(Array(0..<32) + [50], in: &cache, &pool)
    #expect(cache.count == 4)
    let third = cache.find(Array(0..<32) + [50, 51], rowsMax: 33)
    #expect(third.pages == Array(long[..<2]) && third.rows == 33)
    #expect(pool.usedCount == 0)
  }

  @Test("keeps what was used last, within its limit and that of the pool", arguments: [3, 8])
  func limits(pagesMax: Int) {
    var pool = PagePool(Self.layout, bytesMax: 6 * PagePool.pageBytes(Self.layout))
    var cache = PrefixCache(pagesMax: pagesMax, pageRows: 16)
    func prompt(_ seed: Int) -> [Int] { (0..<20).map { 100 * seed + $0 } }
    for seed in 1...5 {
      _ = keep(prompt(seed), in: &cache, &pool)
      // Asked for again and again, the first stays as far as there is room.
      let known = cache.find(prompt(1), rowsMax: 19).rows
      #expect(known == (pagesMax == 3 && seed > 1 ? 16 : 19))
      #expect(cache.count <= min(pagesMax, 6))
    }
    let (last, second) = (cache.find(prompt(5), rowsMax: 19), cache.find(prompt(2), rowsMax: 19))
    #expect(last.rows == 19 && second.rows == 0)
  }

  @Test("gives up no page that a sequence reads, nor one that is spared")
  func room() {
    var pool = PagePool(Self.layout, bytesMax: 2 * PagePool.pageBytes(Self.layout))
    var cache = PrefixCache(pagesMax: 9, pageRows: 16)
    let pages = keep(Array(0..<30), in: &cache, &pool)
    pool.use(pages[0])
    let spared = cache.makeRoom(in: &pool, sparing: pages[1])
    #expect(!spared && pool.isEmpty)
    let given = cache.makeRoom(in: &pool)
    #expect(given && !pool.isEmpty)
    let left = cache.find(Array(0..<30), rowsMax: 29)
    #expect(left.pages == [pages[0]] && left.rows == 16)
    let more = cache.makeRoom(in: &pool)
    #expect(!more)
  }

  @Test("has pages that lie apart, as many as it may have", arguments: [1, 4_096, 40_000])
  func pages(headSize: Int) {
    let layout = PageLayout(layers: 1, rows: 16, keyValueHeads: 1, headSize: headSize)
    var pool = PagePool(layout, bytesMax: 9 * PagePool.pageBytes(layout) + 8)
    for page in 0..<9 {
      #expect(!pool.isEmpty)
      let taken = pool.take()
      #expect(taken == page && pool.memory(page).count == layout.words)
      pool.memory(page).fill(Float(page))
    }
    #expect(pool.isEmpty)
    for page in 0..<9 {
      #expect(pool.memory(page)[0] == Float(page))
      #expect(pool.memory(page)[layout.words - 1] == Float(page))
    }
  }

  @Test("says of random prompts what a plain list of all kept beginnings says")
  func twin() {
    var random = SeededStream(seed: 7)
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    let rows = Self.layout.rows
    for pagesMax in [1, 5, 40] {
      var pool = PagePool(Self.layout, bytesMax: 60 * PagePool.pageBytes(Self.layout))
      var cache = PrefixCache(pagesMax: pagesMax, pageRows: rows)
      var twin = ListedBeginnings(pagesMax: pagesMax, pageRows: rows)
      var found = 0
      for _ in 0..<600 {
        // Two tokens only, and long runs of the first: beginnings are shared at every length.
        let keys = (0..<1 + below(70)).map { _ in below(12) == 0 ? 1 : 0 }
        if below(2) == 0 {
          _ = keep(keys, in: &cache, &pool)
          twin.keep(keys)
        } else {
          let match = cache.find(keys, rowsMax: keys.count)
          #expect(match.rows == twin.find(keys))
          #expect(match.pages.count == match.rows / rows)
          #expect((match.partial?.rows ?? 0) == match.rows % rows)
          found += match.rows
        }
        #expect(cache.count == twin.count && pool.usedCount == 0)
      }
      #expect(found > 1_000)
    }
  }
}

/// What a prefix cache keeps, as a list that is looked through from end to end.
private struct ListedBeginnings {
  let pagesMax: Int
  let pageRows: Int
  /// Each whole, up to the end of its last page; the one used for longest not first.
  private var beginnings: [[Int]] = []
  var count: Int { beginnings.count }

  init(pagesMax: Int, pageRows: Int) { (self.pagesMax, self.pageRows) = (pagesMax, pageRows) }

  mutating func find(_ keys: [Int]) -> Int {
    var way: [[Int]] = []
    var rows = 0
    while rows < keys.count {
      guard let (beginning, common) = longest(keys, behind: rows) else { break }
      way.append(beginning)
      rows = common
      if common % pageRows > 0 { break }
    }
    use(way)
    return rows
  }

  mutating func keep(_ keys: [Int]) {
    var way: [[Int]] = []
    for end in Swift.stride(from: pageRows, to: keys.count + pageRows, by: pageRows) {
      let wanted = Array(keys.prefix(end))
      let found = longest(wanted, behind: end - pageRows)
      let known = found?.common == wanted.count ? found?.beginning : nil
      if known == nil {
        if count == pagesMax {
          guard let oldest = beginnings.firstIndex(where: { !way.contains($0) }) else { break }
          beginnings.remove(at: oldest)
        }
        beginnings.append(wanted)
      }
      way.append(known ?? wanted)
    }
    use(way)
  }

  /// Of those with most in common the last that stands before the prompt, else the first behind it.
  private func longest(_ keys: [Int], behind rows: Int) -> (beginning: [Int], common: Int)? {
    let next = beginnings.filter {
      $0.starts(with: keys[..<rows]) && $0.count > rows && $0.count <= rows + pageRows
    }
    let common = next.map { commonCount($0[...], keys[...]) }.max() ?? 0
    let equal = next.filter { commonCount($0[...], keys[...]) == common }
      .sorted { $0.lexicographicallyPrecedes($1) }
    let best = equal.last { $0.lexicographicallyPrecedes(keys) } ?? equal.first
    return common > rows ? best.map { ($0, common) } : nil
  }

  private mutating func use(_ way: [[Int]]) {
    beginnings.removeAll { way.contains($0) }
    beginnings += way.reversed()
  }
}

@Suite("A prompt's row keys")
struct PromptKeyTests {
  @Test("are equal for equal tokens and for pictures of one key, and for no others")
  func keys() {
    var numbers = PictureNumbers()
    func prompt(_ key: String?) -> Prompt {
      var prompt = Prompt()
      prompt.append(7)
      let picture = Prompt.Picture(
        key: key, rows: 3, source: .projected(Floats(zeros: 3)))
      prompt.append(picture, number: numbers.number(of: key))
      return prompt
    }
    let a = prompt("a")
    #expect(a.keys.count == 4 && Set(a.keys).count == 4 && a.rows == 4)
    #expect(prompt("a").keys == a.keys)
    #expect(prompt("b").keys != a.keys)
    #expect(prompt(nil).keys != prompt(nil).keys)
    for other in 0..<5_000 { _ = numbers.number(of: "\(other)") }
    #expect(!prompt("a").keys.dropFirst().contains { a.keys.contains($0) })
  }
}
