/// What stands before the head of each message of a mesh: where its payload is, or a word between
/// the two meshes themselves.
enum MeshEnvelope: Hashable {
  /// The payload, if there is one, comes with it.
  case plain
  /// The payload is in a slot of the region with this token, on loan.
  case inSlot(Int, count: Int, token: UInt64, Loan.Number)
  /// There is memory for payloads.
  case offer(SharedRegion.Offer)
  /// The region with this token is open here.
  case accepted(token: UInt64)
  /// Nothing more is put into the region with this token.
  case retired(token: UInt64)
  /// Nobody here reads these any more.
  case returned([Loan.Number])

  /// Puts it before a head.
  func wrap(_ head: [UInt8]) -> [UInt8] {
    switch self {
    case .plain: [0] + head
    case .inSlot(let slot, let count, let token, let loan):
      [1] + word(token) + word(UInt32(slot)) + word(UInt32(count)) + word(loan.link)
        + word(loan.count) + head
    case .offer(let offer):
      [2] + word(offer.token) + word(offer.process) + word(offer.descriptor) + head
    case .accepted(let token): [3] + word(token) + head
    case .retired(let token): [4] + word(token) + head
    case .returned(let loans):
      [5] + word(UInt32(loans.count)) + loans.flatMap { word($0.link) + word($0.count) } + head
    }
  }

  /// Nil when it is none of these.
  static func unwrap(_ bytes: [UInt8]) -> (envelope: MeshEnvelope, head: [UInt8])? {
    var rest = bytes[...]
    guard let kind = rest.popFirst(), let envelope = read(kind, &rest) else { return nil }
    return (envelope, Array(rest))
  }

  private static func read(_ kind: UInt8, _ rest: inout ArraySlice<UInt8>) -> MeshEnvelope? {
    switch kind {
    case 0: return .plain
    case 1:
      guard let token: UInt64 = take(&rest), let slot: UInt32 = take(&rest),
        let count: UInt32 = take(&rest), let loan = takeLoan(&rest)
      else { return nil }
      return .inSlot(Int(slot), count: Int(count), token: token, loan)
    case 2:
      guard let token: UInt64 = take(&rest), let process: UInt32 = take(&rest),
        let descriptor: UInt32 = take(&rest)
      else { return nil }
      return .offer(.init(process: process, descriptor: descriptor, token: token))
    case 3: return take(&rest).map { .accepted(token: $0) }
    case 4: return take(&rest).map { .retired(token: $0) }
    case 5:
      guard let count: UInt32 = take(&rest), rest.count / 16 >= Int(count) else { return nil }
      return .returned((0..<count).compactMap { _ in takeLoan(&rest) })
    default: return nil
    }
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

private func takeLoan(_ bytes: inout ArraySlice<UInt8>) -> Loan.Number? {
  guard let link: UInt64 = take(&bytes), let count: UInt64 = take(&bytes) else { return nil }
  return Loan.Number(link: link, count: count)
}
