import Domain
import Scheduling
import Testing

@Suite("Who is named to a worker that wants a blob")
struct BlobTrackerTests {
  private let blob = Digest(words: (1, 2, 3, 4))

  @Test("for a small one nobody, until the coordinator has sent it twice; then those who have it")
  func small() {
    var tracker = BlobTracker()
    #expect(tracker.want(blob, isSmall: true, by: "w1") == .coordinator)
    #expect(tracker.want(blob, isSmall: true, by: "w2") == .coordinator)
    #expect(tracker.want(blob, isSmall: true, by: "w3") == .members(["w1", "w2"]))
    tracker.left("w1")
    tracker.left("w2")
    tracker.left("w3")
    #expect(tracker.want(blob, isSmall: true, by: "w4") == .coordinator)
  }

  @Test("for a large one those who have it or fetch it, four at most, each as often as the others")
  func large() {
    var tracker = BlobTracker()
    #expect(tracker.want(blob, isSmall: false, by: "w0") == .members([]))
    tracker.announced([blob], by: "w1")
    tracker.announced([blob], by: "w1")
    for number in 2...7 { tracker.announced([blob], by: "w\(number)") }
    var named: [String: Int] = [:]
    for number in 100..<110 {
      guard case .members(let names) = tracker.want(blob, isSmall: false, by: "w\(number)") else {
        Issue.record("members expected")
        return
      }
      #expect(names.count == BlobTracker.namedMax && Set(names).count == names.count)
      for name in names { named[name, default: 0] += 1 }
    }
    #expect((0...7).allSatisfy { named["w\($0)", default: 0] >= 2 })
    #expect(named.values.max() ?? 0 <= 4)
  }

  @Test("nobody to itself, and nobody of whom it is known better")
  func others() {
    var tracker = BlobTracker()
    tracker.announced([blob], by: "w1")
    tracker.announced([blob], by: "w2")
    #expect(tracker.want(blob, isSmall: false, by: "w1") == .members(["w2"]))
    tracker.disproved(blob, of: "w2")
    #expect(tracker.want(blob, isSmall: false, by: "w1") == .members([]))
  }

  @Test("is remembered for so many blobs, the ones asked for last")
  func bounded() {
    var tracker = BlobTracker()
    for number in 0...UInt64(BlobTracker.blobsMax) {
      tracker.announced([Digest(words: (number, 0, 0, 0))], by: "w1")
    }
    func named(_ number: UInt64) -> BlobTracker.Way {
      tracker.want(Digest(words: (number, 0, 0, 0)), isSmall: false, by: "w2")
    }
    #expect(named(UInt64(BlobTracker.blobsMax)) == .members(["w1"]))
    #expect(named(0) == .members([]))
  }
}
