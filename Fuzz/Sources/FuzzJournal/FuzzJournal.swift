import Journal

/// Any bytes are records of a journal, or an error: a checksum is before them, but a disk and a hand
/// can make one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  _ = try? decodeRecords([UInt8](UnsafeBufferPointer(start: start, count: count)))
  return 0
}
