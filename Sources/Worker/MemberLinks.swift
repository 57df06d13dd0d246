import Domain
import Logging
import Protocol
import Transport

/// What others need to fetch from this worker, and this worker to fetch from them.
struct BlobPeering: Sendable {
  var name: String
  /// Of this worker's own bulk socket.
  var endpoint: String
  var keys: CurveKeyPair
  /// Who may fetch there.
  var guests: AllowList
}

/// Connections to the bulk sockets of other workers, made when they are needed.
struct MemberLinks {
  struct Link: Sendable {
    var source: BlobSource
    var client: MessageClient
    var isConnected = false
    var usedAt: Moment
  }

  /// A connection that is not needed is closed after this.
  private static let idleMax = Duration.seconds(10)

  private let peering: BlobPeering
  private let log: Logger
  private var links: [String: Link] = [:]

  init(_ peering: BlobPeering, log: Logger) {
    self.peering = peering
    self.log = log
  }

  var isEmpty: Bool { links.isEmpty }

  func isConnected(_ name: String) -> Bool { links[name]?.isConnected == true }

  /// Makes sure that a connection is there, or on its way.
  /// - Returns: a new one, whose events are to be followed, and one that it takes the place of.
  mutating func connect(to source: BlobSource, at now: Moment) -> (new: Link?, old: Link?) {
    if links[source.name]?.source == source { return (nil, nil) }
    do {
      let link = Link(
        source: source,
        client: try MessageClient(
          endpoint: source.endpoint,
          security: .curve(peering.keys, serverKey: source.publicKey), limits: .sharing),
        usedAt: now)
      return (link, links.updateValue(link, forKey: source.name))
    } catch {
      // What it says of itself is no address.
      log.warning("\(source.name) cannot be reached: \(error)")
      return (nil, nil)
    }
  }

  /// Notes how a connection stands; false when another one took its place.
  mutating func note(_ link: Link, isConnected: Bool) -> Bool {
    guard links[link.source.name]?.client === link.client else { return false }
    links[link.source.name]?.isConnected = isConnected
    return true
  }

  /// False: it cannot be asked now.
  mutating func send(_ request: BulkRequest, to name: String, at now: Moment) -> Bool {
    guard let link = links[name], link.isConnected else { return false }
    links[name]?.usedAt = now
    return (try? link.client.send([Frame(encode(request))])) != nil
  }

  /// Takes out those that nobody needs and that were not used for a while, to be closed.
  mutating func takeIdle(at now: Moment, except needed: Set<String>) -> [Link] {
    let idle = links.values.filter {
      now - $0.usedAt >= Self.idleMax && !needed.contains($0.source.name)
    }
    for link in idle { links[link.source.name] = nil }
    return idle
  }

  mutating func takeAll() -> [Link] {
    defer { links = [:] }
    return Array(links.values)
  }
}
