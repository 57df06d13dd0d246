import Distillation
import Domain
import Testing

@Suite("The two pools")
struct PoolsTests {
  let imported = [draft("one"), draft("two"), draft("three", of: nil)]

  @Test("start from the same questions, numbered from 1 (eq. 4)")
  func start() {
    let pools = Pools(imported: imported)
    #expect(pools.cache.map(\.text) == ["one", "two", "three"])
    #expect(pools.cache.map(\.id.number) == [1, 2, 3])
    #expect(Array(pools.tuning) == pools.cache)
    #expect(pools.nextID == InstructionID(4))
  }

  @Test("take new instructions differently: tuning is replaced, the cache grows")
  func refresh() {
    var pools = Pools(imported: imported)
    let added = pools.refresh(with: [draft("four"), draft("five")])
    #expect(added.map(\.id.number) == [4, 5])
    #expect(Array(pools.tuning) == added)
    #expect(pools.cache.map(\.text) == ["one", "two", "three", "four", "five"])
    pools.refresh(with: [draft("six")])
    #expect(pools.tuning.map(\.text) == ["six"])
    #expect(pools.cache.count == 6)
    pools.refresh(with: [])
    #expect(pools.tuning.isEmpty)
    #expect(pools.cache.count == 6)
  }

  @Test("are the same after they were stored and read back")
  func restored() {
    var pools = Pools(imported: imported)
    pools.refresh(with: [draft("four"), draft("five")])
    #expect(
      Pools(restoring: pools.cache, tuningIteration: [1, 1, 1, 2, 2], iteration: 2) == pools)
    let before = Pools(restoring: pools.cache, tuningIteration: [1, 1, 1, 2, 2], iteration: 3)
    #expect(before.tuning.isEmpty)
  }

  @Test("find an instruction by its id and nothing by an unknown one")
  func lookup() {
    let pools = Pools(imported: imported)
    #expect(pools[InstructionID(2)]?.text == "two")
    #expect(pools[InstructionID(0)] == nil)
    #expect(pools[InstructionID(4)] == nil)
  }
}
