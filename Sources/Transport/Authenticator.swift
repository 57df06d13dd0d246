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

  /// - Parameter password: nil where CURVE proves who holds a key.
  init(
    _ context: Context, _ list: AllowList, password: ((String) -> String?)? = nil
  ) throws(TransportError) {
    self.list = list
    self.password = password
    socket = try Socket(context, type: ZMQ_REP)
    try socket.set(ZMQ_LINGER, 0)
    try socket.bind("inproc://zeromq.zap.01")
  }

  func close() { socket.close() }

  /// To a member of a mesh that is not on the list yet: libzmq tries again by itself, as it does
  /// not after a final word.
  private var refusal: String { password == nil ? "400" : "300" }

  /// Answers all that asked; returns how many it refused.
  func answer() -> Int {
    var refused = 0
    while let request = socket.receive() {
      let key = key(in: request)
      if key == nil { refused += 1 }
      let words = key.map { ("200", "OK", $0) } ?? (refusal, "key not on the list", "")
      let id = request.count > 1 ? request[1] : Frame([])
      _ = socket.send([
        Frame(Array("1.0".utf8)), id, Frame(Array(words.0.utf8)), Frame(Array(words.1.utf8)),
        Frame(Array(words.2.utf8)), Frame([]),
      ])
    }
    return refused
  }

  /// The key of who may come in; nil for who may not.
  ///
  /// - Parameter request: version, request id, domain, address, identity, mechanism, credentials.
  private func key(in request: [Frame]) -> String? {
    guard request.count >= 7 else { return nil }
    let mechanism = request[5].bytes
    guard let password else {
      guard request.count == 7, mechanism == Array("CURVE".utf8), let key = z85(request[6].bytes),
        list.name(of: key) != nil
      else { return nil }
      return key
    }
    guard request.count == 8, mechanism == Array("PLAIN".utf8) else { return nil }
    let key = String(decoding: request[6].bytes, as: UTF8.self)
    guard list.name(of: key) != nil, let expected = password(key) else { return nil }
    return isSame(request[7].bytes, Array(expected.utf8)) ? key : nil
  }

  /// Takes as long wherever they differ.
  private func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.count == b.count && zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
