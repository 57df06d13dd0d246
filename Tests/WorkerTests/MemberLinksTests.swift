import Domain
import Hashing
import Logging
import Protocol
import Scheduling
import Testing
import Transport

@testable import Worker

private func second(_ seconds: Double) -> Moment { .zero + .seconds(seconds) }

@Suite("Connections to other workers")
struct MemberLinksTests {
  private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func links() throws -> MemberLinks {
    MemberLinks(
      BlobPeering(
        name: "w0", endpoint: "tcp://127.0.0.1:1", keys: try .generate(), guests: AllowList()),
      log: log)
  }

  private func source(_ name: String) throws -> BlobSource {
    BlobSource(
      name: name, endpoint: "tcp://127.0.0.1:1",
      publicKey: try CurveKeyPair.generate().publicKey)
  }

  @Test("are made once, and anew for a worker that has started again")
  func once() throws {
    var links = try links()
    let (before, after) = (try source("w1"), try source("w1"))
    #expect(links.connect(to: before, at: .zero).new != nil)
    #expect(links.connect(to: before, at: .zero).new == nil)
    let (new, old) = links.connect(to: after, at: .zero)
    guard let new, let old else {
      Issue.record("one in the place of the other expected")
      return
    }
    #expect(new.source == after && old.source == before)
    // What the old one still says counts for nothing.
    #expect(!links.note(old, isConnected: true) && !links.isConnected("w1"))
    #expect(links.note(new, isConnected: true) && links.isConnected("w1"))
    for link in links.takeAll() + [old] { link.client.beginClosing() }
  }

  @Test("that nobody uses are closed after a while, and not while a blob may come from there")
  func idle() throws {
    var links = try links()
    for name in ["w1", "w2"] { _ = links.connect(to: try source(name), at: .zero) }
    #expect(links.takeIdle(at: second(9), except: []).isEmpty)
    let closed = links.takeIdle(at: second(11), except: ["w1"])
    #expect(closed.map(\.source.name) == ["w2"] && !links.isEmpty)
    for link in closed + links.takeAll() { link.client.beginClosing() }
  }

  @Test("are not made to what is no address")
  func nonsense() throws {
    var links = try links()
    var source = try source("w1")
    source.endpoint = "nowhere"
    #expect(links.connect(to: source, at: .zero).new == nil && links.isEmpty)
  }
}

@Suite("A blob on its way")
struct BlobDownloadTests {
  private let blob = Digest(hashing: [1])

  @Test("is sought again later and later while nothing was said of it")
  func unanswered() {
    var download = BlobDownload(soughtAt: .zero)
    for times in 1...8 {
      download.timesSought = times
      let wait = 30.0 * Double(1 << min(times, 6))
      #expect(!download.isToBeSought(at: second(wait - 1)))
      #expect(download.isToBeSought(at: second(wait)))
    }
  }

  @Test("is sought again every ten seconds while few are known to have it")
  func few() {
    var download = BlobDownload(soughtAt: .zero)
    download.course = BlobDownload.Course(
      blob: blob, pieces: PieceList(only: blob, size: 1), partial: nil, worker: "w0", at: .zero)
    #expect(!download.isToBeSought(at: second(9)))
    #expect(download.isToBeSought(at: second(10)))
    for number in 1...4 { download.course?.schedule.add("w\(number)", at: .zero) }
    #expect(!download.isToBeSought(at: second(1000)))
  }
}
