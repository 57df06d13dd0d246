public import Domain

// Only the one type: the module has a `Digest` of its own.
import struct Crypto.SHA256

extension Digest {
  /// SHA-256 of the bytes.
  public init(hashing bytes: some Sequence<UInt8>) {
    var hash = IncrementalHash()
    hash.update(Array(bytes))
    self = hash.finish()
  }

  /// The content address of a request: SHA-256 of its canonical bytes.
  public init(of request: GenerationRequest) { self.init(hashing: request.canonicalBytes) }
}

/// SHA-256 over bytes that come in pieces.
public struct IncrementalHash {
  private var state = SHA256()

  public init() {}

  public mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { state.update(bufferPointer: $0) }
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    state.update(bufferPointer: bytes)
  }

  public consuming func finish() -> Digest {
    guard let digest = Digest(bytes: Array(state.finalize())) else {
      preconditionFailure("a SHA-256 has 32 bytes")
    }
    return digest
  }
}
