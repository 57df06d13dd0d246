import Foundation
import Testing

@testable import Transport

@Suite("Memory for other processes of the machine")
struct SharedSlotsTests {
  private let slots = SharedSlots()

  private func put(_ bytes: [UInt8]) throws -> SharedSlots.Slot {
    try #require(bytes.withUnsafeBytes { unsafe slots.put($0) })
  }

  private func bytes(_ slot: Int, of region: SharedRegion, count: Int = 2) -> [UInt8]? {
    unsafe region.bytes(slot, count: count).map { unsafe Array($0) }
  }

  /// As the other process has it open.
  private func opened(_ region: SharedRegion) throws -> SharedRegion {
    try #require(SharedRegion(opening: region.offer))
  }

  @Test("has room for all that nobody has given back, and uses again what was")
  func room() throws {
    do {
      let held = try (0..<40 as Range<UInt8>).map { try put([$0, 7]) }
      #expect(slots.regions.count == 3 && slots.usedCount == 40)
      let open = try slots.regions.map(opened)
      for (number, slot) in held.enumerated() {
        let region = try #require(open.first { $0.offer == slot.region.offer })
        #expect(bytes(slot.number, of: region) == [UInt8(number), 7])
      }
      withExtendedLifetime(held) {}
    }
    #expect(slots.usedCount == 0)
    let held = try (0..<48).map { _ in try put([1]) }
    withExtendedLifetime(held) { #expect(slots.regions.count == 3 && slots.usedCount == 48) }
  }

  @Test("has what is made in it where it is read, and knows it by its place while somebody has it")
  func made() throws {
    var lent = slots.room()
    let slot = try #require(lent)
    let room = unsafe slot.region.room(slot.number)
    unsafe room[1] = 9
    #expect(unsafe slots.slot(of: UnsafeRawBufferPointer(rebasing: room[..<2])) === slot)
    #expect(unsafe slots.slot(of: UnsafeRawBufferPointer(rebasing: room[1...])) == nil)
    #expect(bytes(slot.number, of: try opened(slot.region))?[1] == 9)
    // What is put is no one's place to be found by: it may be overwritten.
    let other = try put([1])
    let place = unsafe other.region.room(other.number)
    #expect(unsafe slots.slot(of: UnsafeRawBufferPointer(place)) == nil)
    lent = nil
    withExtendedLifetime((slot, other)) { #expect(slots.usedCount == 2) }
  }

  /// Who has slots, and lets them go on a thread of its own. One thread at a time touches it.
  private final class Holder: @unchecked Sendable {
    private var slots: [SharedSlots.Slot]

    init(_ slots: [SharedSlots.Slot]) { self.slots = slots }

    func letGo() async {
      await withCheckedContinuation { done in
        Thread.detachNewThread {
          self.slots = []
          done.resume()
        }
      }
    }
  }

  @Test("is taken back from whichever thread lets it go last")
  func threads() async {
    for _ in 0..<50 {
      let holders = (0..<4).map { _ in Holder((0..<10).compactMap { _ in slots.room() }) }
      #expect(slots.usedCount == 40)
      await withTaskGroup { group in
        for holder in holders { group.addTask { await holder.letGo() } }
        for _ in 0..<20 { withExtendedLifetime(slots.room()) {} }
      }
      #expect(slots.usedCount == 0 && slots.regions.count == 3)
    }
  }

  @Test("that is retired is not filled again, though it is given back, and stays as it was")
  func retired() throws {
    let region: SharedRegion
    let place: Int
    do {
      let lent = try put([1, 2])
      (region, place) = (try opened(lent.region), lent.number)
      slots.retire(lent.region)
      withExtendedLifetime(lent) {}
    }
    #expect(slots.regions.isEmpty && slots.usedCount == 0)
    for _ in 0..<SharedRegion.slots {
      #expect(try put([9, 9]).region.offer != region.offer)
    }
    #expect(bytes(place, of: region) == [1, 2])
  }

  @Test("is given to the system again when much of it is free")
  func trimmed() throws {
    let count = SharedSlots.freeMax + 5 * SharedRegion.slots
    do {
      let held = try (0..<count).map { _ in try put([1]) }
      withExtendedLifetime(held) { #expect(slots.regions.count * SharedRegion.slots == count) }
    }
    #expect(slots.usedCount == 0)
    #expect(slots.regions.count * SharedRegion.slots == SharedSlots.freeMax)
  }

  @Test("is bounded: each region takes a descriptor of the process")
  func bounded() throws {
    let count = SharedSlots.regionsMax * SharedRegion.slots
    let held = try (0..<count).map { _ in try put([1]) }
    withExtendedLifetime(held) {
      #expect([UInt8(1)].withUnsafeBytes { unsafe slots.put($0) } == nil)
      #expect(slots.regions.count == SharedSlots.regionsMax)
    }
  }

  @Test("is read no more by a member whose process has ended")
  func ended() throws {
    let region = try #require(SharedRegion())
    var borrowed = BorrowedMemory(try WakeUp())
    #expect(!borrowed.hasEnded("w"))
    // A process that has memory of its own to offer.
    let (other, said) = (Process(), Pipe())
    other.executableURL = URL(fileURLWithPath: "/bin/sh")
    other.arguments = [
      "-c", "exec 9</proc/\(getpid())/fd/\(region.offer.descriptor); echo; exec sleep 60",
    ]
    other.standardOutput = said
    try other.run()
    _ = try said.fileHandleForReading.read(upToCount: 1)
    var offer = region.offer
    (offer.process, offer.descriptor) = (UInt32(other.processIdentifier), 9)
    #expect(borrowed.open(offer, of: "w") && !borrowed.hasEnded("w"))
    kill(other.processIdentifier, SIGKILL)
    other.waitUntilExit()
    #expect(borrowed.hasEnded("w"))
  }

  @Test("is taken for no other than it is, and read nowhere else")
  func strangers() throws {
    slots.grow()
    let region = try #require(slots.regions.first)
    var offer = region.offer
    offer.token ^= 1
    #expect(SharedRegion(opening: offer) == nil)
    // Standard input, whatever it is; no descriptor; no process.
    offer = region.offer
    offer.descriptor = 0
    #expect(SharedRegion(opening: offer) == nil)
    offer.descriptor = 1 << 30
    #expect(SharedRegion(opening: offer) == nil)
    offer = region.offer
    offer.process = .max
    #expect(SharedRegion(opening: offer) == nil)
    let open = try opened(region)
    #expect(open.isOwnerRunning)
    for slot in [-1, SharedRegion.slots] { #expect(bytes(slot, of: open) == nil) }
    for count in [-1, SharedRegion.slotBytes + 1] {
      #expect(bytes(0, of: open, count: count) == nil)
    }
  }
}

@Suite("What is on loan")
struct LoanTests {
  private func number(_ count: UInt64, link: UInt64 = 1) -> Loan.Number {
    Loan.Number(link: link, count: count)
  }

  @Test("is given back when nobody has it, to its owner")
  func back() throws {
    let region = try #require(SharedRegion())
    let wakeUp = try WakeUp()
    let returns = Loan.Returns(wakeUp)
    do {
      let loans = [("a", 1), ("b", 1), ("a", 2)].map {
        Loan(region, number($0.1), of: $0.0, to: returns)
      }
      withExtendedLifetime(loans) { #expect(returns.take().isEmpty) }
    }
    let given = returns.take()
    #expect(given.mapValues { Set($0) } == ["a": [number(1), number(2)], "b": [number(1)]])
    #expect(returns.take().isEmpty)
  }

  @Test("and did not come is known by the next that does")
  func lost() {
    var order = Loan.Order()
    #expect(order.take(number(1)) == [])
    #expect(order.take(number(2)) == [])
    #expect(order.take(number(5)) == [number(3), number(4)])
    #expect(order.take(number(6)) == [])
    // By a later connection: numbers begin anew.
    #expect(order.take(number(3, link: 2)) == [number(1, link: 2), number(2, link: 2)])
    #expect(order.take(number(.max, link: 2))?.count == Int(Loan.Order.lostMax))
    #expect(order.take(number(0, link: 3)) == [])
  }

  @Test("is not read when it comes behind what was lent later: it may have been lent anew")
  func late() {
    var order = Loan.Order()
    _ = order.take(number(7, link: 2))
    for late in [number(7, link: 2), number(6, link: 2), number(9, link: 1)] {
      #expect(order.take(late) == nil)
    }
    #expect(order.take(number(8, link: 2)) == [])
  }
}

@Suite("What stands before the head of a message")
struct MeshEnvelopeTests {
  private let all: [MeshEnvelope] = [
    .plain, .inSlot(3, count: 77_000, token: 1 << 63 | 5, .init(link: .max, count: 9)),
    .offer(.init(process: 7, descriptor: 9, token: .max)), .accepted(token: 12),
    .retired(token: 1 << 40), .returned([]),
    .returned([.init(link: 1, count: 2), .init(link: .max, count: 1 << 50)]),
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
