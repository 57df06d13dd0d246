import Foundation

/// The address of this machine on the way to `endpoint` (`tcp://host:port`): where peers that reach
/// the same coordinator reach us. `127.0.0.1` when that cannot be found out.
///
/// Connecting a datagram socket sends nothing; it makes the kernel choose the route and with it our
/// own address.
func localAddress(towards endpoint: String) -> String {
  let authority = endpoint.split(separator: "/").last.map(String.init) ?? ""
  guard let colon = authority.lastIndex(of: ":") else { return "127.0.0.1" }
  let host = authority[..<colon].trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
  var hints = addrinfo()
  hints.ai_family = AF_INET
  hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
  var found: UnsafeMutablePointer<addrinfo>?
  guard getaddrinfo(host, String(authority[authority.index(after: colon)...]), &hints, &found) == 0,
    let target = found?.pointee
  else { return "127.0.0.1" }
  defer { freeaddrinfo(found) }
  let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
  guard socket >= 0 else { return "127.0.0.1" }
  defer { close(socket) }
  guard connect(socket, target.ai_addr, target.ai_addrlen) == 0 else { return "127.0.0.1" }
  var own = sockaddr_in()
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let known = withUnsafeMutablePointer(to: &own) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
  }
  guard known == 0 else { return "127.0.0.1" }
  let bytes = withUnsafeBytes(of: own.sin_addr.s_addr) { Array($0) }
  return bytes.map { "\($0)" }.joined(separator: ".")
}
