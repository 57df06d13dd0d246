import Crypto
import Foundation

/// What two members of a mesh derive from their keys, each from its own secret and the other's
/// public one (X25519, then HKDF-SHA256): nothing secret is sent.
struct MeshSecrets {
  let publicKey: String
  private let own: [UInt8]
  private let secretKey: Curve25519.KeyAgreement.PrivateKey
  private var shared: [String: SharedSecret] = [:]
  /// More members than a mesh has over a long run are forgotten all at once.
  private static let sharedMax = 1024

  init(_ keys: CurveKeyPair) throws(TransportError) {
    publicKey = keys.publicKey
    guard let own = keyBytes(keys.publicKey), let secret = keyBytes(keys.secretKey),
      let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: secret)
    else { throw .key(reason: "the mesh's key pair is not one of Curve25519") }
    self.own = own
    secretKey = key
  }

  /// What `peer` says at our door, or we at its door: knowing it, one is let in and no more.
  mutating func password(from client: String, to server: String) -> String? {
    derive(with: client == publicKey ? server : client, salt: [], "comd mesh door", client, server)
      .flatMap { key in unsafe z85(key.withUnsafeBytes { unsafe Array($0) }) }
  }

  /// The key of what one end sends to the other over one link.
  mutating func key(from sender: String, to receiver: String, salt: [UInt8]) -> SymmetricKey? {
    derive(
      with: sender == publicKey ? receiver : sender, salt: salt, "comd mesh seal", sender, receiver)
  }

  private mutating func derive(
    with peer: String, salt: [UInt8], _ purpose: String, _ from: String, _ to: String
  ) -> SymmetricKey? {
    guard let secret = secret(with: peer) else { return nil }
    return secret.hkdfDerivedSymmetricKey(
      using: SHA256.self, salt: salt, sharedInfo: Array("\(purpose) \(from) \(to)".utf8),
      outputByteCount: 32)
  }

  private mutating func secret(with peer: String) -> SharedSecret? {
    if let known = shared[peer] { return known }
    guard let bytes = keyBytes(peer),
      let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: bytes),
      let secret = try? secretKey.sharedSecretFromKeyAgreement(with: key)
    else { return nil }
    if shared.count >= Self.sharedMax { shared = [:] }
    shared[peer] = secret
    return secret
  }
}

/// The sending end of a link: AES-256-GCM with a counter as nonce, under a key of this link alone.
struct Sealer {
  static let saltBytes = 16
  /// Before each head: the sender's public key and the link's salt, from which the key follows.
  static let clearBytes = 32 + saltBytes

  private let clear: [UInt8]
  private let key: SymmetricKey
  private var count: UInt64 = 0

  /// Nil: the receiver's key is none.
  init?(_ secrets: inout MeshSecrets, to receiver: String) {
    var random = SystemRandomNumberGenerator()
    let salt = (0..<Self.saltBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
    guard let own = keyBytes(secrets.publicKey),
      let key = secrets.key(from: secrets.publicKey, to: receiver, salt: salt)
    else { return nil }
    clear = own + salt
    self.key = key
  }

  /// Two frames, or one without a payload; nil when the cipher fails, which it does not.
  mutating func seal(_ head: [UInt8], _ payload: Payload?) -> [Frame]? {
    guard let sealedHead = seal(head) else { return nil }
    guard let payload else { return [Frame(clear + sealedHead)] }
    guard let sealed = unsafe seal(payload.bytes) else { return nil }
    return [Frame(clear + sealedHead), Frame(Payload(sealed))]
  }

  private mutating func seal(_ bytes: some DataProtocol) -> Data? {
    count += 1
    guard let nonce = try? AES.GCM.Nonce(data: nonce(count)) else { return nil }
    return try? AES.GCM.seal(bytes, using: key, nonce: nonce).combined
  }
}

extension Payload {
  /// Bytes that nobody changes any more, where they lie.
  fileprivate init(_ data: Data) {
    // Few of them lie in the value itself; others in memory that is theirs as long as it lives. (An
    // `NSData` would copy them.)
    self =
      data.count < 256
      ? Frame([UInt8](data)).payload
      : unsafe data.withUnsafeBytes { unsafe Payload(keeping: data, $0) }
  }
}

private func nonce(_ count: UInt64) -> [UInt8] {
  [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
}

/// The receiving end of all links to a member.
struct Opener {
  private struct Link {
    var key: SymmetricKey
    /// Of the last frame that was opened; what is not above it is a copy.
    var count: UInt64 = 0
  }
  /// Links of a peer that are remembered: a copy of what came over an older one is dropped by its
  /// epoch.
  private static let linksMax = 256
  private var links: [[UInt8]: Link] = [:]
  private var order: [[UInt8]] = []

  /// - Parameter name: who holds a public key; nil: nobody who may speak here.
  /// - Returns: nil when the message is not from a member, was changed, or is a copy.
  mutating func open(
    _ frames: [Frame], _ secrets: inout MeshSecrets, name: (String) -> String?
  ) -> MeshMessage? {
    guard frames.count == 1 || frames.count == 2, let first = frames.first,
      first.count >= Sealer.clearBytes + overhead
    else { return nil }
    let bytes = first.bytes
    let clear = Array(bytes[..<Sealer.clearBytes])
    guard let sender = z85(Array(clear[..<32])), let peer = name(sender),
      var link = links[clear] ?? newLink(clear, from: sender, secrets: &secrets)
    else { return nil }
    guard let head = open(Data(bytes[Sealer.clearBytes...]), &link) else { return nil }
    var payload: Payload?
    let count = link.count
    if frames.count == 2 {
      let sealed = frames[1].payload
      guard sealed.count >= overhead, let start = unsafe sealed.bytes.baseAddress,
        let opened = unsafe open(
          Data(
            bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: sealed.count,
            deallocator: .none), &link),
        link.count == count + 1
      else { return nil }
      payload = Payload(opened)
      withExtendedLifetime(sealed) {}
    }
    remember(link, clear)
    return MeshMessage(peer: peer, head: [UInt8](head), payload: payload)
  }

  private func newLink(
    _ clear: [UInt8], from sender: String, secrets: inout MeshSecrets
  ) -> Link? {
    secrets.key(from: sender, to: secrets.publicKey, salt: Array(clear[32...])).map {
      Link(key: $0)
    }
  }

  /// Only what was opened is remembered: nobody else makes a link be forgotten.
  private mutating func remember(_ link: Link, _ clear: [UInt8]) {
    if links.updateValue(link, forKey: clear) != nil { return }
    order.append(clear)
    if order.count > Self.linksMax { links[order.removeFirst()] = nil }
  }

  private func open(_ combined: Data, _ link: inout Link) -> Data? {
    guard let box = try? AES.GCM.SealedBox(combined: combined) else { return nil }
    let count = combined.prefix(12).dropFirst(4).reversed().reduce(0 as UInt64) {
      $0 << 8 | UInt64($1)
    }
    guard count > link.count, let opened = try? AES.GCM.open(box, using: link.key) else {
      return nil
    }
    link.count = count
    return opened
  }
}

/// Nonce and tag of a sealed frame.
private let overhead = 12 + 16
