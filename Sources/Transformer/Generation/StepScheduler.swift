/// Decides which rows of which requests run in the next pass of a generator.
///
/// Every request that has its prompt behind it runs one row. The rest of a pass is for prompts, in
/// order of priority and arrival; one takes no more than half of what is left while others wait
/// behind it, so that a long prompt stalls neither answers nor short prompts. A request that waits
/// begins as soon as it has a place and memory; none with less priority or a later arrival begins
/// before one that waits for memory.
///
/// It decides only. Its owner runs every pass that it was given.
struct StepScheduler {
  /// A request's part of a pass: so many rows behind those that it has.
  struct Part: Equatable {
    var id: Int
    var rows: Int
  }

  /// Whether a request that waits can begin.
  enum Start: Equatable {
    /// It begins, behind rows that need not be computed.
    case now(cachedRows: Int)
    /// Another computes its beginning at the moment; those behind it go first.
    case held
    case noMemory
  }

  private struct Entry: Equatable {
    var id: Int
    var priority: Int
    var arrival: Int
    var promptRows: Int
    var rows = 0
  }

  /// Requests that run at one time.
  let batchMax: Int
  /// Rows of a pass.
  let rowsMax: Int
  /// By priority, then arrival.
  private var waiting: [Entry] = []
  private var running: [Entry] = []
  private var arrivals = 0

  /// - Precondition: `rowsMax > batchMax`, so that prompts get on beside a full batch of answers.
  init(batchMax: Int, rowsMax: Int) {
    precondition(batchMax > 0 && rowsMax > batchMax, "\(rowsMax) rows for \(batchMax) requests")
    (self.batchMax, self.rowsMax) = (batchMax, rowsMax)
  }

  var waitingIDs: [Int] { waiting.map(\.id) }
  var runningIDs: [Int] { running.map(\.id) }

  /// - Parameter priority: higher goes first.
  mutating func add(_ id: Int, priority: Int, promptRows: Int) {
    let entry = Entry(id: id, priority: priority, arrival: arrivals, promptRows: promptRows)
    arrivals += 1
    waiting.insert(entry, at: waiting.firstIndex { comes(entry, before: $0) } ?? waiting.count)
  }

  mutating func remove(_ id: Int) {
    waiting.removeAll { $0.id == id }
    running.removeAll { $0.id == id }
  }

  /// The parts of the next pass: answers first, then prompts.
  ///
  /// - Parameter start: asked for requests in the order in which they are to begin; one that gets
  ///   `.now` has begun.
  mutating func next(_ start: (_ id: Int) -> Start) -> [Part] {
    begin(start)
    var parts = running.filter { $0.rows >= $0.promptRows }.map { Part(id: $0.id, rows: 1) }
    let prompts = running.filter { $0.rows < $0.promptRows }
    for (entry, rows) in zip(prompts, shares(prompts, of: rowsMax - parts.count)) where rows > 0 {
      parts.append(Part(id: entry.id, rows: rows))
    }
    for part in parts {
      for index in running.indices where running[index].id == part.id {
        running[index].rows += part.rows
      }
    }
    return parts
  }

  private mutating func begin(_ start: (_ id: Int) -> Start) {
    for entry in waiting {
      guard running.count < batchMax else { return }
      switch start(entry.id) {
      case .now(let cachedRows):
        var entry = entry
        entry.rows = cachedRows
        waiting.removeAll { $0.id == entry.id }
        running.insert(
          entry, at: running.firstIndex { comes(entry, before: $0) } ?? running.count)
      case .held: continue
      case .noMemory: return
      }
    }
  }

  /// How a pass's rows are shared: in order, each half of what is left or all that it wants, the
  /// last one all; then what remains, in order.
  private func shares(_ prompts: [Entry], of rows: Int) -> [Int] {
    var left = rows
    var shares = prompts.enumerated().map { place, entry in
      let most = place == prompts.count - 1 ? left : (left + 1) / 2
      let share = min(entry.promptRows - entry.rows, most)
      left -= share
      return share
    }
    for (place, entry) in prompts.enumerated() {
      let more = min(entry.promptRows - entry.rows - shares[place], left)
      shares[place] += more
      left -= more
    }
    return shares
  }

  private func comes(_ a: Entry, before b: Entry) -> Bool {
    (-a.priority, a.arrival) < (-b.priority, b.arrival)
  }
}
