import Domain

/// What happens next, in the order of simulated time; of equal times what was scheduled first.
struct EventQueue<Element> {
  private struct Scheduled {
    var at: Moment
    var sequence: Int
    var element: Element

    func precedes(_ other: Scheduled) -> Bool {
      at == other.at ? sequence < other.sequence : at < other.at
    }
  }

  /// A binary heap: the children of `i` are `2i + 1` and `2i + 2`.
  private var heap: [Scheduled] = []
  private var scheduled = 0

  var isEmpty: Bool { heap.isEmpty }

  mutating func schedule(_ element: Element, at moment: Moment) {
    heap.append(Scheduled(at: moment, sequence: scheduled, element: element))
    scheduled += 1
    var child = heap.count - 1
    while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func next() -> (at: Moment, element: Element)? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink()
    }
    return (first.at, first.element)
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && heap[child].precedes(heap[least]) {
        least = child
      }
      if least == parent { return }
      heap.swapAt(least, parent)
      parent = least
    }
  }
}
