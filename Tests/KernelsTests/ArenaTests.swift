import Kernels
import Testing

@Suite("An arena")
struct ArenaTests {
  @Test("lends what a scope gave back again, and grows without moving what is lent")
  func scopes() {
    let arena = Arena(capacity: 32)
    let kept = arena.floats(16)
    kept.fill(1)
    arena.scope { arena.floats(16).fill(2) }
    let again = arena.floats(16)
    #expect(again[0] == 2)
    let large = arena.floats(100_000)
    large.fill(3)
    #expect(kept.array == Array(repeating: 1, count: 16))
    #expect(again[15] == 2)
    #expect(arena.peakCount >= 100_032)
  }
}
