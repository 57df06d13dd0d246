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
    var parent: Int?
    /// In the order of their keys.
    var children: [Int] = []
    /// Neighbours in the order of use.
    var older: Int?
    var newer: Int?
    var usedAt: UInt64 = 0
  }

  let pagesMax: Int
  private let pageRows: Int
  /// Places of removed nodes are taken again.
  private var nodes: [Node] = []
  private var free: [Int] = []
  /// In the order of their keys.
  private var roots: [Int] = []
  /// The ends of the order of use. A node is used with what stands before it and counts as older,
  /// so that the oldest has nothing behind it.
  private var oldest: Int?
  private var newest: Int?
  private var uses: UInt64 = 0

  init(pagesMax: Int, pageRows: Int) { (self.pagesMax, self.pageRows) = (pagesMax, pageRows) }

  var count: Int { nodes.count - free.count }

  /// The longest known beginning of at most `rowsMax` rows; its pages count as used.
  mutating func find(_ keys: [Int], rowsMax: Int) -> Match {
    var match = Match()
    var way: [Int] = []
    while match.rows < rowsMax {
      let siblings = way.last.map { nodes[$0].children } ?? roots
      guard let (node, common) = best(siblings, keys[match.rows..<rowsMax]) else { break }
      way.append(node)
      match.rows += common
      if common < pageRows {
        match.partial = (nodes[node].page, common)
        break
      }
      match.pages.append(nodes[node].page)
    }
    uses += 1
    for node in way.reversed() { touch(node) }
    return match
  }

  /// Of siblings the one that has most rows in common with a prompt: one of the two between which
  /// its keys would stand. Nil: none has any.
  private func best(_ siblings: [Int], _ keys: ArraySlice<Int>) -> (node: Int, common: Int)? {
    let place = place(of: keys, among: siblings)
    var best: (node: Int, common: Int)?
    for sibling in siblings[max(0, place - 1)..<min(place + 1, siblings.count)] {
      let common = commonCount(nodes[sibling].keys, keys)
      if common > best?.common ?? 0 { best = (sibling, common) }
    }
    return best
  }

  /// The first sibling whose keys do not come before these.
  private func place(of keys: ArraySlice<Int>, among siblings: [Int]) -> Int {
    var (low, high) = (0, siblings.count)
    while low < high {
      let middle = (low + high) / 2
      if nodes[siblings[middle]].keys.lexicographicallyPrecedes(keys) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  /// Keeps the pages of a prompt's first `rows` rows. A page whose rows are known already is not
  /// kept twice.
  mutating func keep(
    _ keys: [Int], rows: Int, pages: [PagePool.Page], in pool: inout PagePool
  ) {
    guard pagesMax > 0 else { return }
    var way: [Int] = []
    uses += 1
    for (depth, start) in stride(from: 0, to: rows, by: pageRows).enumerated() {
      let block = keys[start..<min(start + pageRows, rows)]
      let siblings = way.last.map { nodes[$0].children } ?? roots
      if let (node, common) = best(siblings, block), common == block.count {
        way.append(node)
      } else if count < pagesMax || evict(from: &pool) {
        way.append(insert(Node(keys: block, page: pages[depth], parent: way.last), &pool))
      } else {
        break
      }
      // Nothing that this prompt goes on from makes room for it.
      if let node = way.last { touch(node) }
    }
    for node in way.reversed() { touch(node) }
  }

  private mutating func insert(_ new: Node, _ pool: inout PagePool) -> Int {
    let node = free.popLast() ?? nodes.count
    if node == nodes.count { nodes.append(new) } else { nodes[node] = new }
    if let parent = new.parent {
      let place = place(of: new.keys, among: nodes[parent].children)
      nodes[parent].children.insert(node, at: place)
    } else {
      roots.insert(node, at: place(of: new.keys, among: roots))
    }
    pool.keep(new.page)
    return node
  }

  /// Gives a page up that no sequence reads, so that the pool has one.
  /// - Parameter spared: stays, and what stands before it.
  /// - Returns: false when there is none.
  mutating func makeRoom(in pool: inout PagePool, sparing spared: PagePool.Page? = nil) -> Bool {
    var next = oldest
    while let node = next {
      if !pool.isUsed(nodes[node].page), !reaches(spared, from: node) {
        remove(node, from: &pool)
        return true
      }
      next = nodes[node].newer
    }
    return false
  }

  /// Gives the page up that was not used for longest, if it is none of the latest use.
  private mutating func evict(from pool: inout PagePool) -> Bool {
    guard let oldest, nodes[oldest].usedAt < uses else { return false }
    remove(oldest, from: &pool)
    return true
  }

  /// Whether a page belongs to a node or to one behind it.
  private func reaches(_ page: PagePool.Page?, from node: Int) -> Bool {
    guard let page else { return false }
    return nodes[node].page == page || nodes[node].children.contains { reaches(page, from: $0) }
  }

  /// Removes a node with all behind it.
  private mutating func remove(_ node: Int, from pool: inout PagePool) {
    pool.forget(nodes[node].page)
    for child in nodes[node].children { remove(child, from: &pool) }
    if let parent = nodes[node].parent {
      nodes[parent].children.removeAll { $0 == node }
    } else {
      roots.removeAll { $0 == node }
    }
    unlink(node)
    nodes[node].keys = []
    free.append(node)
  }

  // MARK: - Order of use

  private mutating func touch(_ node: Int) {
    nodes[node].usedAt = uses
    if newest == node { return }
    unlink(node)
    nodes[node].older = newest
    if let newest { nodes[newest].newer = node }
    newest = node
    if oldest == nil { oldest = node }
  }

  private mutating func unlink(_ node: Int) {
    let (older, newer) = (nodes[node].older, nodes[node].newer)
    if let older { nodes[older].newer = newer } else if oldest == node { oldest = newer }
    if let newer { nodes[newer].older = older } else if newest == node { newest = older }
    (nodes[node].older, nodes[node].newer) = (nil, nil)
  }
}

/// How many elements two lists begin with in common.
func commonCount(_ a: ArraySlice<Int>, _ b: ArraySlice<Int>) -> Int {
  let most = min(a.count, b.count)
  var count = 0
  while count < most, a[a.startIndex + count] == b[b.startIndex + count] { count += 1 }
  return count
}
