/// The tensors of a model by name, read from mapped files and decoded to f32 on demand.
///
/// Nothing is decoded at opening; every offset and length has been checked by then.
public struct TensorStore: Sendable {
  struct Entry: Sendable {
    var file: MappedFile
    var encoding: TensorEncoding
    /// Row-major, slowest dimension first, as Hugging Face writes them: (out, in).
    var shape: [Int]
    /// Where the bytes lie in the file; their length follows from shape and encoding.
    var bytes: Range<Int>
    var rowOrder = RowOrder.asStored
    /// What the writer added to every value, and reading takes away: 1 for Gemma's norms in GGUF.
    var added: Float = 0

    /// Where a row lies in the file; rows are counted as they are handed out.
    func bytes(ofRow row: Int, rows: Int) -> Range<Int> {
      var stored = row
      if case .pairsToHalves(let headSize) = rowOrder {
        let inHead = row % headSize
        stored = row - inHead + 2 * (inHead % (headSize / 2)) + inHead / (headSize / 2)
      }
      let length = bytes.count / rows
      let start = bytes.lowerBound + stored * length
      return start..<start + length
    }
  }

  /// In which order the rows of a stored matrix are handed out.
  enum RowOrder: Hashable, Sendable {
    case asStored
    /// GGUF stores the q and k rows of Llama so that RoPE turns neighbours (2i, 2i + 1); handed out
    /// per head as Hugging Face has them, turning i with i + headSize / 2.
    case pairsToHalves(headSize: Int)
  }

  /// The folder or file that it was opened from.
  public let origin: String
  /// In ascending order.
  public let names: [String]
  let entries: [String: Entry]

  init(origin: String, entries: [String: Entry]) {
    self.origin = origin
    self.entries = entries
    names = entries.keys.sorted()
  }

  public func contains(_ name: String) -> Bool { entries[name] != nil }

  public func shape(of name: String) throws(FormatError) -> [Int] { try entry(name).shape }

  public func encoding(of name: String) throws(FormatError) -> TensorEncoding {
    try entry(name).encoding
  }

  /// Decodes a tensor that must have `shape`.
  ///
  /// - Parameter target: product(shape) elements, row-major, all overwritten.
  /// - Throws: `FormatError` when the tensor is missing, has another shape or an encoding that is
  ///   not supported.
  public func read(
    _ name: String, shape: [Int], into target: inout MutableSpan<Float>
  ) throws(FormatError) {
    try decode(try checked(name, shape: shape), name, into: &target)
  }

  /// The entry of a tensor that must have this shape.
  func checked(_ name: String, shape: [Int]) throws(FormatError) -> Entry {
    let entry = try entry(name)
    guard entry.shape == shape else {
      throw FormatError(
        file: entry.file.path, subject: "tensor \(name)", problem: .wrongShape(found: entry.shape),
        expected: "shape \(shape)", remedy: "use the config.json that belongs to these weights")
    }
    return entry
  }

  /// The same into memory that the caller owns.
  public func read(
    _ name: String, shape: [Int], into target: UnsafeMutableBufferPointer<Float>
  ) throws(FormatError) {
    var span = unsafe target.mutableSpan
    try read(name, shape: shape, into: &span)
  }

  /// Lets a tensor's bytes leave this process's memory, once they have been read and are not wanted
  /// soon; a name that is not here is no error.
  public func release(_ name: String) {
    if let entry = entries[name] { entry.file.release(entry.bytes) }
  }

  /// The whole tensor in f32, row-major.
  public func floats(_ name: String) throws(FormatError) -> [Float] {
    let entry = try entry(name)
    var values = [Float](repeating: 0, count: entry.shape.reduce(1, *))
    var span = values.mutableSpan
    try decode(entry, name, into: &span)
    return values
  }

  /// The same tensors under other names; a name mapped to nil is left out.
  /// - Throws: `FormatError` when two tensors get one name.
  public func renamed(
    _ newName: (String) -> String?
  ) throws(FormatError) -> TensorStore {
    var renamed: [String: Entry] = [:]
    for name in names {
      guard let new = newName(name) else { continue }
      guard renamed.updateValue(try entry(name), forKey: new) == nil else {
        throw FormatError(
          file: origin, subject: "tensor \(name)", problem: .malformed(found: "a second \(new)"),
          expected: "one tensor of each name", remedy: "write the file again")
      }
    }
    return TensorStore(origin: origin, entries: renamed)
  }

  func entry(_ name: String) throws(FormatError) -> Entry {
    guard let entry = entries[name] else {
      throw FormatError(
        file: origin, subject: "tensor \(name)", problem: .missing,
        expected: "a tensor of that name among \(names.count)",
        remedy: "use weights that belong to this architecture and configuration")
    }
    return entry
  }

  func checkDecodable(_ entry: Entry, _ name: String) throws(FormatError) {
    if case .other(let encoding, _, _) = entry.encoding {
      throw FormatError(
        file: entry.file.path, subject: "tensor \(name)", problem: .unsupported(found: encoding),
        expected: "F32, F16, BF16 or one of Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K",
        remedy: "convert the model to one of these")
    }
  }

  private func decode(
    _ entry: Entry, _ name: String, into target: inout MutableSpan<Float>
  ) throws(FormatError) {
    precondition(target.count == entry.shape.reduce(1, *), "target has another size than \(name)")
    try checkDecodable(entry, name)
    switch entry.rowOrder {
    case .asStored:
      entry.file.withBytes(entry.bytes) { bytes in
        dequantize(bytes, entry.encoding, into: &target, at: 0)
      }
    case .pairsToHalves:
      if target.isEmpty { return }
      let rows = entry.shape[0]
      let columns = target.count / rows
      for row in 0..<rows {
        entry.file.withBytes(entry.bytes(ofRow: row, rows: rows)) { bytes in
          dequantize(bytes, entry.encoding, into: &target, at: row * columns)
        }
      }
    }
    if entry.added != 0 {
      for index in target.indices { target[index] -= entry.added }
    }
  }
}

/// Counts the elements of a shape and the bytes they take.
/// - Returns: nil when a number does not fit 63 bits or a row is no whole number of blocks.
func storedSize(of shape: [Int], _ encoding: TensorEncoding) -> (elements: Int, bytes: Int)? {
  var elements = 1
  for dimension in shape {
    let (product, overflow) = elements.multipliedReportingOverflow(by: dimension)
    guard dimension >= 0 && !overflow else { return nil }
    elements = product
  }
  guard (shape.last ?? 1) % encoding.elementsPerBlock == 0 else { return nil }
  let (bytes, overflow) = (elements / encoding.elementsPerBlock)
    .multipliedReportingOverflow(by: encoding.bytesPerBlock)
  return overflow ? nil : (elements, bytes)
}
