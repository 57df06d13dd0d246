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
    let page = free.popLast() ?? entries.count
    if page == entries.count { entries.append(Entry(memory: Floats(zeros: layout.words))) }
    use(page)
    return page
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
