import Crypto
public import Domain

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

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

  public mutating func update(_ bytes: [UInt8]) { state.update(data: bytes) }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    unsafe state.update(bufferPointer: bytes)
  }

  public consuming func finish() -> Digest { Digest(bytes: Array(state.finalize()))! }
}
