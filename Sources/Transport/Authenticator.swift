import CZeroMQ

/// libzmq asks over ZAP (RFC 27) for each handshake whether its maker may connect.
///
/// The user id that it answers with is the key itself: names are looked up per message, so that a
/// revoked key loses its connection, not only its next one.
final class Authenticator {
  let list: AllowList
  let socket: Socket
  /// Given for a mesh: what the holder of a public key has to say at the door.
  private let password: ((String) -> String?)?
  /// Who may be on a mesh's list in a moment: members hear of one another one after the other.
  private var waiting: [(request: [Frame], since: ContinuousClock.Instant)] = []
  /// More are refused at once: strangers cost little.
  private static let waitingMax = 64
  /// So often the list is looked at for those who wait.
  static let lookMilliseconds = 10

  /// - Parameter password: nil where CURVE proves who holds a key.
  init(
    _ context: Context, _ list: AllowList, password: ((String) -> String?)? = nil
  ) throws(TransportError) {
    self.list = list
    self.password = password
    socket = try Socket(context, type: ZMQ_ROUTER)
    try socket.set(ZMQ_LINGER, 0)
    try socket.bind("inproc://zeromq.zap.01")
  }

  func close() { socket.close() }

  /// Somebody waits to be on the list.
  var hasWaiting: Bool { !waiting.isEmpty }

  /// To a member of a mesh, when libzmq's own patience with its handshake is over: it tries again
  /// by itself, as it does not after a final word.
  private var refusal: String { password == nil ? "400" : "300" }

  /// Answers all that asked, but those who may be on the list in a moment.
  ///
  /// - Parameter patience: with those.
  /// - Returns: how many were refused.
  func answer(patience: Duration = .zero) -> Int {
    var refused = 0
    var asking = waiting
    waiting = []
    while let request = socket.receive() { asking.append((request, .now)) }
    for (request, since) in asking {
      switch judge(request) {
      case .known(let key): reply(to: request, "200", "OK", user: key)
      case .unknown where waiting.count < Self.waitingMax && since.duration(to: .now) < patience:
        waiting.append((request, since))
      case .unknown, .wrong:
        refused += 1
        reply(to: request, refusal, "key not on the list")
      }
    }
    return refused
  }

  private func reply(to request: [Frame], _ code: String, _ reason: String, user: String = "") {
    guard request.count > 3 else { return }
    let words = [code, reason, user].map { Frame(Array($0.utf8)) }
    _ = socket.send(
      [request[0], request[1], Frame(Array("1.0".utf8)), request[3]] + words + [Frame([])])
  }

  private enum Judgement {
    /// May come in with this key.
    case known(String)
    /// Its key is on no list.
    case unknown
    case wrong
  }

  /// - Parameter request: who asks, a delimiter, version, request id, domain, address, identity,
  ///   mechanism, credentials.
  private func judge(_ request: [Frame]) -> Judgement {
    guard request.count >= 9 else { return .wrong }
    let mechanism = request[7].bytes
    guard let password else {
      guard request.count == 9, mechanism == Array("CURVE".utf8), let key = z85(request[8].bytes)
      else { return .wrong }
      return list.name(of: key) == nil ? .unknown : .known(key)
    }
    guard request.count == 10, mechanism == Array("PLAIN".utf8) else { return .wrong }
    let key = String(decoding: request[8].bytes, as: UTF8.self)
    if list.name(of: key) == nil { return .unknown }
    guard let expected = password(key) else { return .wrong }
    return isSame(request[9].bytes, Array(expected.utf8)) ? .known(key) : .wrong
  }

  /// Takes as long wherever they differ.
  private func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.count == b.count && zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
