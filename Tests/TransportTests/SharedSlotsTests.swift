import Testing

@testable import Transport

@Suite("Memory that two processes share")
struct SharedSlotsTests {
  private func put(_ bytes: [UInt8], in slots: SharedSlots) -> Int? {
    bytes.withUnsafeBytes { unsafe slots.put($0) }
  }

  private func bytes(_ payload: Payload?) -> [UInt8]? { payload.map { unsafe Array($0.bytes) } }

  @Test("gives the other one what was put in, as often as slots are freed")
  func exchange() throws {
    let slots = try #require(SharedSlots())
    let other = try #require(SharedSlots(opening: slots.offer))
    var taken: [Int] = []
    for round in 0..<3 as Range<UInt8> {
      taken = try (0..<SharedSlots.count).map { place in
        try #require(put([round, UInt8(place)], in: slots))
      }
      #expect(Set(taken).count == SharedSlots.count)
      #expect(put([1], in: slots) == nil)
      for (place, slot) in taken.enumerated() {
        #expect(bytes(other.take(slot, count: 2)) == [round, UInt8(place)])
      }
      slots.release(taken)
    }
    // Said twice, or of none: nothing is free that is not.
    slots.release(taken + [-1, SharedSlots.count])
    for _ in 0..<SharedSlots.count { #expect(put([7], in: slots) != nil) }
    #expect(put([7], in: slots) == nil)
    #expect(other.take(-1, count: 1) == nil && other.take(SharedSlots.count, count: 1) == nil)
    #expect(other.take(0, count: SharedSlots.slotBytes + 1) == nil)
    #expect(other.take(0, count: -1) == nil)
  }

  @Test("is taken for no other than it is")
  func strangers() throws {
    let slots = try #require(SharedSlots())
    var offer = slots.offer
    offer.token ^= 1
    #expect(SharedSlots(opening: offer) == nil)
    offer = slots.offer
    // Standard input: whatever it is.
    offer.descriptor = 0
    #expect(SharedSlots(opening: offer) == nil)
    offer.descriptor = 1 << 30
    #expect(SharedSlots(opening: offer) == nil)
  }
}

@Suite("What stands before the head of a message")
struct MeshEnvelopeTests {
  private let all: [MeshEnvelope] = [
    .plain, .inSlot(3, count: 77_000, token: 1 << 63 | 5),
    .offer(.init(process: 7, descriptor: 9, token: .max)), .accepted(token: 12),
    .freed([], token: 1), .freed([0, 15], token: 2),
  ]

  @Test("is read back, with the head as it was")
  func roundTrip() throws {
    for envelope in all {
      for head in [[], [1, 2, 3]] as [[UInt8]] {
        let read = try #require(MeshEnvelope.unwrap(envelope.wrap(head)))
        #expect(read.envelope == envelope && read.head == head)
      }
    }
  }

  @Test("cut short, or of another kind, is none")
  func broken() {
    for envelope in all {
      let bytes = envelope.wrap([])
      for length in 0..<bytes.count where length > 0 || envelope != .plain {
        #expect(MeshEnvelope.unwrap(Array(bytes.prefix(length))) == nil)
      }
    }
    #expect(MeshEnvelope.unwrap([9, 0, 0, 0, 0, 0, 0, 0, 0]) == nil)
  }
}
