import Formats
import Testing

@Suite("A picture written as PNG")
struct PictureWritingTests {
  @Test("is read back with the same pixels", arguments: [(1, 1), (7, 3), (48, 48), (65, 33)])
  func roundTrip(width: Int, height: Int) throws {
    let pixels = (0..<(3 * width * height)).map { UInt8(truncatingIfNeeded: $0 * 37 + $0 / 5) }
    let picture = Picture(width: width, height: height, pixels: pixels)
    #expect(try Picture.decode(picture.png(), name: "made") == picture)
  }
}
