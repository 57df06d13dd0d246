import Formats

/// Any bytes are a GGUF file with everything that it announces, or a `FormatError`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  do throws(FormatError) {
    let file = try GGUFFile(bytes: bytes, name: "input.gguf")
    try readAll(file.tensors)
    if let tensors = try? file.huggingFaceTensors() { try readAll(tensors) }
    let tokenizer = try file.tokenizer()
    _ = tokenizer.decode(tokenizer.encodeWithControl("Two squares, 1 circle?\n é你"))
  } catch {
    precondition(error.file == "input.gguf", "an error that does not name its file")
  }
  return 0
}

/// Reads every tensor that is not larger than a file of this size can be worth.
private func readAll(_ tensors: TensorStore) throws(FormatError) {
  for name in tensors.names {
    let shape = try tensors.shape(of: name)
    if shape.allSatisfy({ $0 < 1 << 16 }), shape.reduce(1, *) <= 1 << 16 {
      _ = try? tensors.floats(name)
    }
  }
}
