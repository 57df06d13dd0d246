/// The rows of a matrix, decoded to f32 from its mapped file whenever one is asked for.
///
/// For tables of which few rows are wanted at a time: what is not read takes no memory, and
/// `release` lets go of what was.
public struct TensorRows: Sendable {
  private let entry: TensorStore.Entry
  public let count: Int
  public let columns: Int

  fileprivate init(_ entry: TensorStore.Entry) {
    self.entry = entry
    (count, columns) = (entry.shape[0], entry.shape[1])
  }

  /// - Parameter target: `columns` elements, all overwritten.
  /// - Precondition: `row` is below `count`.
  public func read(_ row: Int, into target: UnsafeMutableBufferPointer<Float>) {
    precondition((0..<count).contains(row), "row \(row) of \(count)")
    precondition(target.count == columns, "\(columns) elements expected")
    var span = unsafe target.mutableSpan
    entry.file.withBytes(entry.bytes(ofRow: row, rows: count)) { bytes in
      dequantize(bytes, entry.encoding, into: &span, at: 0)
    }
  }

  /// Lets all rows leave this process's memory; who reads one again has it from the file again.
  public func release() { entry.file.release(entry.bytes) }
}

extension TensorStore {
  /// The rows of a matrix that must have `shape`.
  /// - Throws: `FormatError` when the tensor is missing, has another shape or cannot be decoded.
  public func rows(_ name: String, shape: (rows: Int, columns: Int)) throws(FormatError)
    -> TensorRows
  {
    let entry = try checked(name, shape: [shape.rows, shape.columns])
    try checkDecodable(entry, name)
    precondition(entry.added == 0, "\(name) is no norm")
    return TensorRows(entry)
  }

  /// Hands out the codes of a quantised matrix row by row.
  ///
  /// - Parameter use: is given the row's number and its codes.
  /// - Throws: `FormatError` when the tensor is missing or has another shape.
  /// - Precondition: the tensor's encoding has a `codeForm`.
  public func readCodes(
    _ name: String, shape: [Int], _ use: (_ row: Int, _ codes: RowCodes) -> Void
  ) throws(FormatError) {
    let entry = try checked(name, shape: shape)
    guard let form = entry.encoding.codeForm else {
      preconditionFailure("\(name) is stored as \(entry.encoding)")
    }
    guard let columns = shape.last else { return }
    entry.forEachRow { row, bytes in
      use(row, RowCodes(form, columns: columns, reading: bytes, entry.encoding))
    }
  }

  /// Hands out a matrix row by row, decoded.
  ///
  /// - Parameter use: is given the row's number and its elements.
  /// - Throws: `FormatError` when the tensor is missing, has another shape or cannot be decoded.
  public func readRows(
    _ name: String, shape: [Int], _ use: (_ row: Int, _ values: [Float]) -> Void
  ) throws(FormatError) {
    let entry = try checked(name, shape: shape)
    guard let columns = shape.last else { return }
    try checkDecodable(entry, name)
    var values = [Float](repeating: 0, count: columns)
    entry.forEachRow { row, bytes in
      var span = values.mutableSpan
      dequantize(bytes, entry.encoding, into: &span, at: 0)
      use(row, values)
    }
  }
}

extension TensorStore.Entry {
  /// Hands out the bytes of each row, and lets those that have been read leave this process's
  /// memory.
  fileprivate func forEachRow(_ use: (_ row: Int, _ bytes: Span<UInt8>) -> Void) {
    let rows = shape.dropLast().reduce(1, *)
    var kept = bytes.lowerBound
    for row in 0..<rows {
      let place = bytes(ofRow: row, rows: rows)
      file.withBytes(place) { use(row, $0) }
      // Rows in another order lie within a head, which is small.
      if rowOrder == .asStored, place.upperBound - kept >= 4 << 20 {
        file.release(kept..<place.upperBound)
        kept = place.upperBound
      }
    }
  }
}
