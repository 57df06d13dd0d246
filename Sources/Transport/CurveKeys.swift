import CZeroMQ

/// A CURVE key pair, each half in Z85: 40 printable characters for 32 bytes.
public struct CurveKeyPair: Hashable, Sendable, Codable {
  public let publicKey: String
  public let secretKey: String

  /// A new pair from the system's random numbers.
  public static func generate() throws(TransportError) -> CurveKeyPair {
    var publicKey = [CChar](repeating: 0, count: keyCharacters + 1)
    var secretKey = publicKey
    guard unsafe zmq_curve_keypair(&publicKey, &secretKey) == 0 else {
      throw .system(call: "zmq_curve_keypair", reason: lastReason())
    }
    return try CurveKeyPair(publicKey: string(publicKey), secretKey: string(secretKey))
  }

  public init(publicKey: String, secretKey: String) throws(TransportError) {
    try check(key: publicKey, "public key")
    try check(key: secretKey, "secret key")
    var derived = [CChar](repeating: 0, count: keyCharacters + 1)
    guard unsafe zmq_curve_public(&derived, secretKey) == 0 else {
      throw .key(reason: lastReason())
    }
    guard string(derived) == publicKey else {
      throw .key(reason: "the public key does not belong to the secret key")
    }
    self.publicKey = publicKey
    self.secretKey = secretKey
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      publicKey: container.decode(String.self, forKey: .publicKey),
      secretKey: container.decode(String.self, forKey: .secretKey))
  }
}

let keyCharacters = 40

/// Refuses what is not 40 characters of Z85.
func check(key: String, _ what: String) throws(TransportError) {
  guard keyBytes(key) != nil else {
    throw .key(reason: "the \(what) is not 40 characters of Z85")
  }
}

/// The 32 bytes of a key in Z85; nil when it is none.
func keyBytes(_ key: String) -> [UInt8]? {
  var bytes = [UInt8](repeating: 0, count: 32)
  guard key.utf8.count == keyCharacters, unsafe zmq_z85_decode(&bytes, key) != nil else {
    return nil
  }
  return bytes
}

/// The 32 bytes of a key, in Z85.
func z85(_ bytes: [UInt8]) -> String? {
  guard bytes.count == 32 else { return nil }
  var text = [CChar](repeating: 0, count: keyCharacters + 1)
  guard unsafe zmq_z85_encode(&text, bytes, bytes.count) != nil else { return nil }
  return string(text)
}

private func string(_ characters: [CChar]) -> String {
  String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// What libzmq says about its last failure on this thread.
func lastReason() -> String {
  guard let words = unsafe zmq_strerror(zmq_errno()) else { return "unknown" }
  return unsafe String(cString: words)
}
