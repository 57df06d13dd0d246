/// What stands before the head of each message of a mesh: where its payload is, or a word between
/// the two meshes themselves.
enum MeshEnvelope: Hashable {
  /// The payload, if there is one, comes with it.
  case plain
  /// The payload is in a slot of the memory with this token.
  case inSlot(Int, count: Int, token: UInt64)
  /// There is memory for payloads.
  case offer(SharedSlots.Offer)
  /// The memory with this token is open here.
  case accepted(token: UInt64)
  /// What was in these slots has been taken out.
  case freed([Int], token: UInt64)

  /// Puts it before a head.
  func wrap(_ head: [UInt8]) -> [UInt8] {
    switch self {
    case .plain: [0] + head
    case .inSlot(let slot, let count, let token):
      [1] + word(token) + word(UInt32(slot)) + word(UInt32(count)) + head
    case .offer(let offer):
      [2] + word(offer.token) + word(offer.process) + word(offer.descriptor) + head
    case .accepted(let token): [3] + word(token) + head
    case .freed(let slots, let token):
      [4] + word(token) + [UInt8(slots.count)] + slots.map { UInt8($0) } + head
    }
  }

  /// Nil when it is none of these.
  static func unwrap(_ bytes: [UInt8]) -> (envelope: MeshEnvelope, head: [UInt8])? {
    var rest = bytes[...]
    guard let kind = rest.popFirst() else { return nil }
    if kind == 0 { return (.plain, Array(rest)) }
    guard let token: UInt64 = take(&rest) else { return nil }
    let envelope: MeshEnvelope
    switch kind {
    case 1:
      guard let slot: UInt32 = take(&rest), let count: UInt32 = take(&rest) else { return nil }
      envelope = .inSlot(Int(slot), count: Int(count), token: token)
    case 2:
      guard let process: UInt32 = take(&rest), let descriptor: UInt32 = take(&rest) else {
        return nil
      }
      envelope = .offer(.init(process: process, descriptor: descriptor, token: token))
    case 3: envelope = .accepted(token: token)
    case 4:
      guard let count = rest.popFirst(), rest.count >= Int(count) else { return nil }
      envelope = .freed(rest.prefix(Int(count)).map(Int.init), token: token)
      rest = rest.dropFirst(Int(count))
    default: return nil
    }
    return (envelope, Array(rest))
  }
}

private func word(_ value: some FixedWidthInteger) -> [UInt8] {
  (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

private func take<Word: FixedWidthInteger>(_ bytes: inout ArraySlice<UInt8>) -> Word? {
  let size = Word.bitWidth / 8
  guard bytes.count >= size else { return nil }
  defer { bytes = bytes.dropFirst(size) }
  return bytes.prefix(size).reversed().reduce(0) { $0 << 8 | Word($1) }
}
