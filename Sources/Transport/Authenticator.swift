import CZeroMQ

/// libzmq asks over ZAP (RFC 27) for each handshake whether the key may connect.
///
/// The user id that it answers with is the key itself: names are looked up per message, so that a
/// revoked key loses its connection, not only its next one.
final class Authenticator {
  let list: AllowList
  let socket: Socket

  init(_ context: Context, _ list: AllowList) throws(TransportError) {
    self.list = list
    socket = try Socket(context, type: ZMQ_REP)
    try socket.set(ZMQ_LINGER, 0)
    try socket.bind("inproc://zeromq.zap.01")
  }

  func close() { socket.close() }

  /// Answers all that asked; returns how many it refused.
  func answer() -> Int {
    var refused = 0
    while let request = socket.receive() {
      // version, request id, domain, address, identity, mechanism, credentials
      let key = request.count == 7 ? z85(request[6].bytes) : nil
      let mechanism = request.count == 7 ? request[5].bytes : []
      let known = key.map { list.name(of: $0) != nil } ?? false
      let granted = known && mechanism == Array("CURVE".utf8)
      if !granted { refused += 1 }
      let words = granted ? ("200", "OK", key ?? "") : ("400", "key not on the list", "")
      let id = request.count > 1 ? request[1] : Frame([])
      _ = socket.send([
        Frame(Array("1.0".utf8)), id, Frame(Array(words.0.utf8)), Frame(Array(words.1.utf8)),
        Frame(Array(words.2.utf8)), Frame([]),
      ])
    }
    return refused
  }
}
