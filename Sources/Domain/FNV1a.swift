/// The state of FNV-1a before the first byte.
public let fnv1aBasis: UInt64 = 0xcbf2_9ce4_8422_2325

/// FNV-1a, 64 bits: a hash that is the same in every process, for what nobody forges.
///
/// - Parameter hash: of the bytes before these.
@inlinable
public func fnv1a(
  _ bytes: some Sequence<UInt8>, after hash: UInt64 = 0xcbf2_9ce4_8422_2325
) -> UInt64 {
  bytes.reduce(hash) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
