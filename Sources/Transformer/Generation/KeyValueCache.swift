import Kernels

/// Keys and values of one sequence in all layers, with room for `capacity` positions.
struct KeyValueCache {
  let capacity: Int
  /// Columns of a row of keys, and of values.
  let columns: Int
  private(set) var length = 0
  private let memory: Floats

  static func bytes(layers: Int, columns: Int, capacity: Int) -> Int {
    4 * 2 * layers * columns * capacity
  }

  init(layers: Int, columns: Int, capacity: Int) {
    self.capacity = capacity
    self.columns = columns
    memory = Floats(zeros: 2 * layers * columns * capacity)
  }

  var bytes: Int { 4 * memory.count }

  /// (capacity, columns)
  func keys(_ layer: Int) -> Floats { block(2 * layer) }
  /// (capacity, columns)
  func values(_ layer: Int) -> Floats { block(2 * layer + 1) }

  private func block(_ index: Int) -> Floats {
    memory[index * capacity * columns..<(index + 1) * capacity * columns]
  }

  /// Makes room for new rows; `write` then fills them layer by layer.
  mutating func extend(by rows: Int) {
    precondition(length + rows <= capacity, "a cache of \(capacity) is full")
    length += rows
  }

  /// Writes the newest rows of a layer.
  ///
  /// - Parameters:
  ///   - key: (newRows, columns).
  ///   - value: (newRows, columns).
  func write(_ key: Floats, _ value: Floats, layer: Int) {
    let range = length * columns - key.count..<length * columns
    keys(layer)[range].copy(from: key)
    values(layer)[range].copy(from: value)
  }

  /// Begins with the first `rows` positions of another sequence.
  mutating func copyPrefix(of other: KeyValueCache, rows: Int, layers: Int) {
    precondition(length == 0 && rows <= other.length && rows <= capacity)
    let range = 0..<rows * columns
    for layer in 0..<layers {
      keys(layer)[range].copy(from: other.keys(layer)[range])
      values(layer)[range].copy(from: other.values(layer)[range])
    }
    length = rows
  }
}
