import Formats

/// Any bytes are a safetensors file whose tensors can all be read, or a `FormatError`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  do throws(FormatError) {
    let tensors = try TensorStore(safetensors: bytes, name: "input.safetensors")
    for name in tensors.names { _ = try? tensors.floats(name) }
  } catch {
    precondition(error.file == "input.safetensors", "an error that does not name its file")
  }
  return 0
}
