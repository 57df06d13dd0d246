import CZlib

/// CRC-32 as in zlib and Ethernet.
func crc32(_ bytes: some Collection<UInt8>) -> UInt32 {
  let sum = bytes.withContiguousStorageIfAvailable { buffer in
    unsafe CZlib.crc32(0, buffer.baseAddress, uInt(buffer.count))
  }
  return UInt32(truncatingIfNeeded: sum ?? crcOfCopy(bytes))
}

private func crcOfCopy(_ bytes: some Collection<UInt8>) -> UInt {
  let copy = Array(bytes)
  return unsafe CZlib.crc32(0, copy, uInt(copy.count))
}

/// Deflated by zlib, in its own format; nil where memory is short.
func deflated(_ bytes: [UInt8]) -> [UInt8]? {
  var count = compressBound(uLong(bytes.count))
  var packed = [UInt8](repeating: 0, count: Int(count))
  let status = unsafe compress2(&packed, &count, bytes, uLong(bytes.count), 6)
  guard status == Z_OK else { return nil }
  packed.removeLast(packed.count - Int(count))
  return packed
}

/// - Parameter count: bytes that there must be.
/// - Returns: nil for bytes that are not so many deflated ones.
func inflated(_ packed: [UInt8], count: Int) -> [UInt8]? {
  var bytes = [UInt8](repeating: 0, count: max(count, 1))
  var found = uLong(count)
  let status = unsafe uncompress(&bytes, &found, packed, uLong(packed.count))
  guard status == Z_OK, Int(found) == count else { return nil }
  if count == 0 { bytes = [] }
  return bytes
}
