import Domain
import Testing

@Suite("A set of pieces")
struct PieceSetTests {
  @Test("comes back from its bytes", arguments: [0, 1, 7, 8, 63, 64, 65, 200])
  func bytes(pieceCount: Int) {
    var set = PieceSet(none: pieceCount)
    for piece in stride(from: 0, to: pieceCount, by: 3) { set.insert(piece) }
    #expect(set.bytes.count == (pieceCount + 7) / 8)
    #expect(PieceSet(set.bytes, of: pieceCount) == set)
    #expect(set.count == (pieceCount + 2) / 3)
    let all = PieceSet(all: pieceCount)
    #expect(all.isWhole && PieceSet(all.bytes, of: pieceCount) == all)
    #expect((0..<pieceCount).allSatisfy { all.contains($0) && set.contains($0) == ($0 % 3 == 0) })
  }

  @Test("counts each piece once")
  func once() {
    var set = PieceSet(none: 2)
    set.insert(1)
    set.insert(1)
    #expect(set.count == 1 && !set.isWhole)
  }

  @Test("is not made of too few or too many bytes, or of bits beyond its end")
  func refused() {
    #expect(PieceSet([0xFF], of: 9) == nil)
    #expect(PieceSet([0xFF, 1, 0], of: 9) == nil)
    #expect(PieceSet([0xFF, 2], of: 9) == nil)
    #expect(PieceSet([0xFF, 1], of: 9)?.isWhole == true)
  }
}
