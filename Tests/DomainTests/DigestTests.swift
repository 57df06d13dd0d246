import Domain
import Testing

@Suite("A digest")
struct DigestTests {
  @Test("is read back from its own hexadecimal form")
  func roundTrip() throws {
    let bytes = (0..<32).map { UInt8($0 * 7 & 255) }
    let digest = try #require(Digest(bytes: bytes))
    #expect(digest.bytes == bytes)
    #expect(Digest(hex: digest.hex) == digest)
    #expect(Digest(hex: digest.hex.uppercased()) == digest)
  }

  @Test("is refused when it is not 32 bytes or 64 hexadecimal digits")
  func refused() {
    #expect(Digest(bytes: [UInt8](repeating: 0, count: 31)) == nil)
    #expect(Digest(hex: String(repeating: "a", count: 63)) == nil)
    #expect(Digest(hex: String(repeating: "a", count: 63) + "g") == nil)
  }

  @Test("orders as its bytes do")
  func order() throws {
    let low = try #require(Digest(bytes: [0] + [UInt8](repeating: 255, count: 31)))
    let high = try #require(Digest(bytes: [1] + [UInt8](repeating: 0, count: 31)))
    #expect(low < high)
  }
}
