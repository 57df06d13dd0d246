extension TensorStore {
  /// Headers beyond this are refused, as the reference implementation does.
  static let headerBytesMax = 100_000_000

  /// Opens one safetensors file.
  ///
  /// - Throws: `FormatError` unless the header is sound and the tensors' bytes fill the rest of the
  ///   file without holes or overlaps.
  /// - Source: github.com/huggingface/safetensors, "Format".
  public init(safetensors path: String) throws(FormatError) {
    let file = try MappedFile(path: path)
    self.init(origin: path, entries: try safetensorsEntries(file))
  }

  /// Opens the bytes of a safetensors file; `name` stands for the file in errors.
  public init(safetensors bytes: [UInt8], name: String) throws(FormatError) {
    self.init(
      origin: name, entries: try safetensorsEntries(MappedFile(bytes: bytes, name: name)))
  }

  /// Opens the weights of a Hugging Face folder: `model.safetensors`, or the shards that
  /// `model.safetensors.index.json` names.
  public init(folder: String) throws(FormatError) {
    let index = folder + "/model.safetensors.index.json"
    guard fileExists(index) else {
      try self.init(safetensors: folder + "/model.safetensors")
      return
    }
    let json = try parseJSON(
      readFile(index, bytesMax: TensorStore.headerBytesMax), file: index)
    guard case .object(let members) = json["weight_map"] else {
      throw FormatError(
        file: index, subject: "key weight_map", problem: .missing,
        expected: "an object from tensor to file", remedy: "fetch the folder again")
    }
    var shards: [String: [String: Entry]] = [:]
    var entries: [String: Entry] = [:]
    for member in members {
      let subject = "key weight_map.\(member.name)"
      guard case .string(let shard) = member.value, !shard.contains("/") else {
        throw FormatError(
          file: index, subject: subject, problem: .malformed(found: member.value.kind),
          expected: "the name of a file in the folder", remedy: "fetch the folder again")
      }
      let path = folder + "/" + shard
      if shards[shard] == nil {
        shards[shard] = try safetensorsEntries(MappedFile(path: path))
      }
      guard let entry = shards[shard]?[member.name] else {
        throw FormatError(
          file: path, subject: "tensor \(member.name)", problem: .missing,
          expected: "the tensor that \(index) says is here",
          remedy: "fetch index and shards together again")
      }
      entries[member.name] = entry
    }
    self.init(origin: folder, entries: entries)
  }
}

private func safetensorsEntries(
  _ file: MappedFile
) throws(FormatError) -> [String: TensorStore.Entry] {
  func failure(_ subject: String, _ problem: FormatError.Problem, _ expected: String) -> FormatError
  {
    FormatError(
      file: file.path, subject: subject, problem: problem, expected: expected,
      remedy: "the file is damaged: fetch or write it again")
  }
  guard file.count >= 8 else {
    throw failure(
      "header length", .truncated(needsBytes: 8, hasBytes: UInt64(file.count)), "8 bytes")
  }
  let length = file.withBytes(0..<8) { bytes in
    (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << UInt64(8 * $1) }
  }
  guard length <= UInt64(TensorStore.headerBytesMax) else {
    throw failure(
      "header", .overLimit(found: length, limit: UInt64(TensorStore.headerBytesMax)),
      "a header of a safetensors file")
  }
  let dataStart = 8 + Int(length)
  guard dataStart <= file.count else {
    throw failure(
      "header", .truncated(needsBytes: UInt64(dataStart), hasBytes: UInt64(file.count)),
      "the whole header")
  }
  let header = try file.withBytes(8..<dataStart) { bytes throws(FormatError) in
    try parseJSON(bytes, file: file.path)
  }
  guard case .object(let members) = header else {
    throw failure("header", .malformed(found: header.kind), "an object")
  }

  var entries: [String: TensorStore.Entry] = [:]
  for member in members where member.name != "__metadata__" {
    let subject = "tensor \(member.name)"
    guard case .string(let dtype) = member.value["dtype"], let encoding = encodings[dtype] else {
      throw failure(
        subject, .malformed(found: "dtype \(member.value["dtype"]?.kind ?? "nothing")"),
        "one of \(encodings.keys.sorted().joined(separator: " "))")
    }
    guard let shape = integers(member.value["shape"]), shape.count <= 8,
      let size = storedSize(of: shape, encoding)
    else {
      throw failure(
        subject, .malformed(found: "shape \(member.value["shape"]?.kind ?? "nothing")"),
        "at most 8 dimensions, none negative")
    }
    guard let offsets = integers(member.value["data_offsets"]), offsets.count == 2,
      offsets[0] >= 0, offsets[1] >= offsets[0], offsets[1] - offsets[0] == size.bytes
    else {
      throw failure(
        subject,
        .malformed(found: "data_offsets \(member.value["data_offsets"]?.kind ?? "nothing")"),
        "two offsets \(size.bytes) bytes apart")
    }
    guard offsets[1] <= file.count - dataStart else {
      throw failure(
        subject,
        .truncated(needsBytes: UInt64(offsets[1]), hasBytes: UInt64(file.count - dataStart)),
        "the data of every tensor")
    }
    let entry = TensorStore.Entry(
      file: file, encoding: encoding, shape: shape,
      bytes: dataStart + offsets[0]..<dataStart + offsets[1])
    guard entries.updateValue(entry, forKey: member.name) == nil else {
      throw failure(subject, .malformed(found: "a second of that name"), "one of each name")
    }
  }
  try checkNoHoles(entries, from: dataStart, failure)
  return entries
}

/// Bytes that belong to no tensor could smuggle another file; two owners hint at damage.
private func checkNoHoles(
  _ entries: [String: TensorStore.Entry], from dataStart: Int,
  _ failure: (String, FormatError.Problem, String) -> FormatError
) throws(FormatError) {
  guard let file = entries.first?.value.file else { return }
  var end = dataStart
  let ordered = entries.sorted {
    ($0.value.bytes.lowerBound, $0.value.bytes.upperBound, $0.key)
      < ($1.value.bytes.lowerBound, $1.value.bytes.upperBound, $1.key)
  }
  for (name, entry) in ordered {
    guard entry.bytes.lowerBound == end else {
      throw failure(
        "tensor \(name)", .malformed(found: "data from byte \(entry.bytes.lowerBound)"),
        "data from byte \(end), where the one before ends")
    }
    end = entry.bytes.upperBound
  }
  guard end == file.count else {
    throw failure(
      "data", .malformed(found: "\(file.count - end) bytes after the last tensor"),
      "none")
  }
}

private func integers(_ value: JSONValue?) -> [Int]? {
  guard case .array(let values) = value else { return nil }
  var result: [Int] = []
  for value in values {
    guard case .integer(let integer) = value else { return nil }
    result.append(Int(integer))
  }
  return result
}

private let encodings: [String: TensorEncoding] = {
  var table: [String: TensorEncoding] = ["F32": .f32, "F16": .f16, "BF16": .bf16]
  let others = [
    ("BOOL", 1), ("U8", 1), ("I8", 1), ("F8_E5M2", 1), ("F8_E4M3", 1), ("I16", 2), ("U16", 2),
    ("I32", 4), ("U32", 4), ("F64", 8), ("I64", 8), ("U64", 8),
  ]
  for (name, bytes) in others {
    table[name] = .other(name, bytesPerBlock: bytes, elementsPerBlock: 1)
  }
  return table
}()
