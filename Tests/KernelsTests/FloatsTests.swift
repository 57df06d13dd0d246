import Foundation
import Kernels
import TestSupport
import Testing

@Suite("Floats")
struct FloatsTests {
  @Test("share memory with their slices and copies, which outlive them")
  func sharing() {
    var x: Floats? = Floats([1, 2, 3, 4])
    let slice = x?[1..<3]
    slice?[0] = 9
    #expect(x?.array == [1, 9, 3, 4])
    x = nil
    #expect(slice?.array == [9, 3])
  }

  @Test("stop the process at an index or a slice outside")
  func bounds() async {
    await #expect(processExitsWith: .failure) { Floats([1])[1] = 0 }
    await #expect(processExitsWith: .failure) { _ = Floats([1, 2])[0..<1][1] }
    await #expect(processExitsWith: .failure) { _ = Floats([1, 2])[1..<3] }
  }

  @Test("map a part of a file, keep their writes to themselves, and refuse a short file")
  func mapping() throws {
    let folder = try TemporaryFolder()
    let values: [Float] = (0..<40_000).map(Float.init)
    let file = try values.withUnsafeBytes { try folder.write("floats", $0) }
    let mapped = try Floats.mapping(path: file, byteOffset: 4 * 30_000, count: 10_000)
    #expect(mapped.array == Array(values[30_000...]))
    mapped[0] = -1
    let again = try Floats.mapping(path: file, byteOffset: 4 * 30_000, count: 1)
    #expect(mapped[0] == -1 && again[0] == 30_000)
    #expect(
      throws: KernelError.file(
        path: file, reason: .tooShort(bytes: 160_000, needed: 160_004))
    ) { try Floats.mapping(path: file, byteOffset: 4 * 30_000, count: 10_001) }
    #expect(throws: KernelError.file(path: "/none", reason: .notReadable(errorNumber: ENOENT))) {
      try Floats.mapping(path: "/none", byteOffset: 0, count: 1)
    }
  }
}
