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
