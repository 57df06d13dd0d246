/// Decodes stored elements to f32, exactly as ggml and its `gguf` Python package do.
///
/// - Parameters:
///   - bytes: whole blocks, little-endian.
///   - target: receives `bytes.count / bytesPerBlock · elementsPerBlock` elements from `start` on.
/// - Precondition: the elements fit, and the encoding is not `.other`.
/// - Source: ggml-quants.c, `dequantize_row_*`; block layouts in ggml-common.h.
func dequantize(
  _ bytes: Span<UInt8>, _ encoding: TensorEncoding, into target: inout MutableSpan<Float>,
  at start: Int
) {
  let blocks = bytes.count / encoding.bytesPerBlock
  precondition(
    bytes.count == blocks * encoding.bytesPerBlock
      && start + blocks * encoding.elementsPerBlock <= target.count,
    "stored elements do not fit")
  if let form = encoding.codeForm {
    decodeBlocks(bytes, encoding, form, into: &target, at: start)
    return
  }
  for block in 0..<blocks {
    let source = block * encoding.bytesPerBlock
    switch encoding {
    case .f32: target[start + block] = Float(bitPattern: word32(bytes, source))
    case .f16: target[start + block] = half(bytes, source)
    case .bf16: target[start + block] = Float(bitPattern: UInt32(word16(bytes, source)) << 16)
    case .q40, .q41, .q50, .q51, .q80, .q4K, .q5K, .q6K, .other:
      preconditionFailure("an encoding that cannot be decoded")
    }
  }
}

/// By the codes of each block, after their definition in `CodeForm`.
private func decodeBlocks(
  _ bytes: Span<UInt8>, _ encoding: TensorEncoding, _ form: CodeForm,
  into target: inout MutableSpan<Float>, at start: Int
) {
  let elements = encoding.elementsPerBlock
  var row = RowCodes(form, columns: elements)
  for block in 0..<bytes.count / encoding.bytesPerBlock {
    let source = block * encoding.bytesPerBlock
    row.read(bytes.extracting(source..<source + encoding.bytesPerBlock), encoding)
    for index in 0..<elements {
      let byte = row.codes[index]
      let scale = row.scale(at: index)
      let code = Float(form.meaning(of: byte))
      // Not `+ 0` without an offset: that would make a plus of a minus zero.
      target[start + block * elements + index] =
        form.hasOffsets ? scale * code + row.offset(at: index) : scale * code
    }
  }
}

func word16(_ bytes: Span<UInt8>, _ at: Int) -> UInt16 {
  UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
}

func word32(_ bytes: Span<UInt8>, _ at: Int) -> UInt32 {
  UInt32(word16(bytes, at)) | UInt32(word16(bytes, at + 2)) << 16
}

func half(_ bytes: Span<UInt8>, _ at: Int) -> Float {
  Float(Float16(bitPattern: word16(bytes, at)))
}
