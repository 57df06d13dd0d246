/// The beginnings of prompts whose keys and values lie in pages, as a tree: a node is a page, the
/// way to it what stands before.
///
/// A prompt is known by its row keys (`Prompt.keys`), compared in full. At most `pagesMax` pages
/// are kept; the one not used for longest goes first, with what stands behind it.
struct PrefixCache {
  /// What is known of a prompt's beginning.
  struct Match {
    /// Whole pages, to be read where they are.
    var pages: [PagePool.Page] = []
    /// A page of whose rows only the first are the prompt's, to be copied.
    var partial: (page: PagePool.Page, rows: Int)?
    var rows = 0
  }

  private struct Node {
    /// Of a page's rows; fewer than a page has when the prompt ended here.
    var keys: ArraySlice<Int>
    var page: PagePool.Page
    var depth: Int
    var children: [Int] = []
    var parent: Int?
    var usedAt: UInt64
  }

  let pagesMax: Int
  private let pageRows: Int
  private var nodes: [Int: Node] = [:]
  private var roots: [Int] = []
  private var nextNode = 0
  private var uses: UInt64 = 0

  init(pagesMax: Int, pageRows: Int) { (self.pagesMax, self.pageRows) = (pagesMax, pageRows) }

  var count: Int { nodes.count }

  /// The longest known beginning of at most `rowsMax` rows; its pages count as used.
  mutating func find(_ keys: [Int], rowsMax: Int) -> Match {
    var match = Match()
    var children = roots
    uses += 1
    while match.rows < rowsMax {
      let rest = keys[match.rows..<rowsMax]
      guard let (node, common) = best(children, rest) else { break }
      nodes[node]?.usedAt = uses
      guard let found = nodes[node] else { break }
      match.rows += common
      if common < pageRows {
        match.partial = (found.page, common)
        break
      }
      match.pages.append(found.page)
      children = found.children
    }
    return match
  }

  /// Of nodes the one that has most rows in common with a prompt; of equals the oldest. Nil: none
  /// has any.
  private func best(_ children: [Int], _ keys: ArraySlice<Int>) -> (node: Int, common: Int)? {
    var best: (node: Int, common: Int)?
    for child in children {
      guard let node = nodes[child] else { continue }
      let common = commonCount(node.keys, keys)
      if common > best?.common ?? 0 { best = (child, common) }
    }
    return best
  }

  /// Keeps the pages of a prompt's first `rows` rows. A page whose rows are known already is not
  /// kept twice.
  mutating func keep(
    _ keys: [Int], rows: Int, pages: [PagePool.Page], in pool: inout PagePool
  ) {
    guard pagesMax > 0 else { return }
    var parent: Int?
    uses += 1
    for (depth, start) in stride(from: 0, to: rows, by: pageRows).enumerated() {
      let block = keys[start..<min(start + pageRows, rows)]
      let children = parent.map { nodes[$0]?.children ?? [] } ?? roots
      if let (node, common) = best(children, block), common == block.count {
        nodes[node]?.usedAt = uses
        parent = node
        continue
      }
      // Nothing that this prompt goes on from may make room for it.
      guard nodes.count < pagesMax || evict(from: &pool, before: uses) else { return }
      let node = nextNode
      nextNode += 1
      nodes[node] = Node(
        keys: block, page: pages[depth], depth: depth, parent: parent, usedAt: uses)
      if let parent { nodes[parent]?.children.append(node) } else { roots.append(node) }
      pool.keep(pages[depth])
      parent = node
    }
  }

  /// Gives a page up that no sequence reads, so that the pool has one.
  /// - Parameter spared: stays, and what stands before it.
  /// - Returns: false when there is none.
  mutating func makeRoom(in pool: inout PagePool, sparing spared: PagePool.Page? = nil) -> Bool {
    let found = oldest { id, node in !pool.isUsed(node.page) && !reaches(spared, from: id) }
    guard let oldest = found else { return false }
    remove(oldest, from: &pool)
    return true
  }

  private mutating func evict(from pool: inout PagePool, before use: UInt64) -> Bool {
    guard let oldest = oldest(where: { _, node in node.usedAt < use }) else { return false }
    remove(oldest, from: &pool)
    return true
  }

  /// The one used longest ago; of those used at once the one with the longest way, then the oldest.
  private func oldest(where isCandidate: (Int, Node) -> Bool) -> Int? {
    var oldest: (usedAt: UInt64, height: Int, id: Int)?
    for (id, node) in nodes where isCandidate(id, node) {
      let candidate = (node.usedAt, -node.depth, id)
      if oldest.map({ candidate < ($0.usedAt, $0.height, $0.id) }) ?? true { oldest = candidate }
    }
    return oldest?.id
  }

  /// Whether a page belongs to a node or to one behind it.
  private func reaches(_ page: PagePool.Page?, from node: Int) -> Bool {
    guard let page, let found = nodes[node] else { return false }
    return found.page == page || found.children.contains { reaches(page, from: $0) }
  }

  /// Removes a node with all behind it.
  private mutating func remove(_ node: Int, from pool: inout PagePool) {
    guard let removed = nodes.removeValue(forKey: node) else { return }
    pool.forget(removed.page)
    for child in removed.children { remove(child, from: &pool) }
    if let parent = removed.parent {
      nodes[parent]?.children.removeAll { $0 == node }
    } else {
      roots.removeAll { $0 == node }
    }
  }
}

/// How many elements two lists begin with in common.
func commonCount(_ a: ArraySlice<Int>, _ b: ArraySlice<Int>) -> Int {
  let most = min(a.count, b.count)
  var count = 0
  while count < most, a[a.startIndex + count] == b[b.startIndex + count] { count += 1 }
  return count
}
