import Kernels

/// Pages of memory for keys and values, up to a fixed number; made when they are first needed.
///
/// A page is held by sequences that read it, by the prefix cache, or by nobody. Several sequences
/// may hold one page; only a page that one sequence alone took is written, behind the rows that
/// others read.
struct PagePool {
  typealias Page = Int

  let layout: PageLayout
  let capacity: Int
  /// Pages that sequences hold, each counted once.
  private(set) var usedCount = 0

  private struct Entry {
    var memory: Floats
    var users = 0
    var isKept = false
  }
  private var entries: [Entry] = []
  private var free: [Page] = []
  private static let slabBytes = 2 << 20

  /// - Parameter bytesMax: room for `bytesMax / bytes of a page` pages.
  init(_ layout: PageLayout, bytesMax: Int) {
    self.layout = layout
    capacity = bytesMax / Self.pageBytes(layout)
  }

  static func pageBytes(_ layout: PageLayout) -> Int { 4 * layout.words }

  /// Whether `take` needs somebody to give a page up first.
  var isEmpty: Bool { free.isEmpty && entries.count == capacity }

  func memory(_ page: Page) -> Floats { entries[page].memory }
  func isUsed(_ page: Page) -> Bool { entries[page].users > 0 }

  /// A page for one sequence, holding anything.
  /// - Precondition: not `isEmpty`.
  mutating func take() -> Page {
    precondition(!isEmpty, "all \(capacity) pages are held")
    if free.isEmpty { makeSlab() }
    let page = free.removeLast()
    use(page)
    return page
  }

  /// Some more pages in one piece of memory, large enough for a huge page: the operating system
  /// takes longer to find and clear it in small ones than many a page takes to be filled.
  private mutating func makeSlab() {
    let stride = (layout.words + 15) / 16 * 16
    let count = min(capacity - entries.count, (Self.slabBytes / 4 + stride - 1) / stride)
    let memory = Floats(zeros: count * stride)
    for place in (0..<count).reversed() {
      free.append(entries.count + place)
    }
    for place in 0..<count {
      entries.append(Entry(memory: memory[place * stride..<place * stride + layout.words]))
    }
  }

  /// One more sequence reads the page.
  mutating func use(_ page: Page) {
    if entries[page].users == 0 { usedCount += 1 }
    entries[page].users += 1
  }

  /// A sequence gives the page up.
  mutating func release(_ page: Page) {
    entries[page].users -= 1
    if entries[page].users > 0 { return }
    usedCount -= 1
    if !entries[page].isKept { free.append(page) }
  }

  /// The prefix cache holds the page.
  mutating func keep(_ page: Page) { entries[page].isKept = true }

  /// The prefix cache gives the page up.
  mutating func forget(_ page: Page) {
    entries[page].isKept = false
    if entries[page].users == 0 { free.append(page) }
  }
}
