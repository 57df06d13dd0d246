import Domain
import Shapes
import TestSupport
import Testing

/// Scenes from a fixed seed, of one split or of all.
func scenes(_ count: Int, from split: Split = .building, seed: UInt64 = 7) -> [Scene] {
  var random = SeededRandom(seed: seed)
  return (0..<count).map { _ in Scene.sample(from: split, using: &random) }
}

@Suite("A scene")
struct SceneTests {
  @Test("keeps the promises of the world: unique names, free cells, one pair of each sort")
  func promises() {
    for scene in scenes(2_000) {
      #expect((1...6).contains(scene.objects.count))
      let names = Set(scene.objects.map { "\($0.colour) \($0.form)" })
      #expect(names.count == scene.objects.count)
      #expect(scene.objects.count(where: \.isInside) <= 1)
      for place in Place.all {
        let here = scene.objects(at: place)
        #expect(here.count <= 2)
        if here.count == 2 {
          #expect(!here[0].isInside && here[1].isInside)
          #expect(here[0].size == .big && here[1].size == .small)
        }
      }
      if let touching = scene.touching {
        let one = scene.objects[touching.first].place
        let other = scene.objects[touching.second].place
        #expect(abs(one.row - other.row) + abs(one.column - other.column) == 1)
      }
    }
  }

  @Test("comes back from its code, and refuses a code that is none")
  func code() {
    for scene in scenes(300) { #expect(Scene(code: scene.code) == scene) }
    for bad in ["", "moon +1", "sea", "sea 9bred:circle +1", "sea 0bred:a +1", "sea ~0:1 +1"] {
      #expect(Scene(code: bad) == nil, "\(bad)")
    }
  }

  @Test("belongs to one split by its content alone, whatever its jitter")
  func splits() {
    var seen: [Split: Set<String>] = [:]
    for split in Split.allCases {
      for scene in scenes(400, from: split) {
        seen[split, default: []].insert(scene.contentCode)
        var moved = scene
        moved.jitter &+= 77
        #expect(moved.split == split)
      }
    }
    #expect(seen[.building]?.isDisjoint(with: seen[.evaluation] ?? []) == true)
    #expect(seen[.building]?.isDisjoint(with: seen[.run] ?? []) == true)
    #expect(seen[.run]?.isDisjoint(with: seen[.evaluation] ?? []) == true)
  }

  @Test("is drawn with the same bytes everywhere")
  func golden() {
    let bytes = scenes(50).flatMap { $0.drawing().bytes }
    #expect(checksum(bytes) == 1_058_517_550_877_846_205)
  }

  @Test("looks different when anything in it is different")
  func visible() {
    for scene in scenes(200) where scene.touching == nil {
      var other = scene
      let last = scene.objects.count - 1
      other.objects[last].colour = scene.objects[last].colour == .red ? .green : .red
      #expect(other.drawing() != scene.drawing())
      other = scene
      other.kind = scene.kind == .sea ? .space : .sea
      #expect(other.drawing() != scene.drawing())
    }
  }
}
