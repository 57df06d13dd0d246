import Domain
import Hashing
import Protocol
import Transport

/// Blobs on their way in from workers, and what these are to hear.
struct BlobArrivals {
  /// Who hands a blob in.
  struct Giver: Hashable {
    var connection: ConnectionID
    /// The number of its offer.
    var request: UInt64
  }

  struct Reply {
    var connection: ConnectionID
    var reply: BulkReply
  }

  /// A blob that lies where this process can read it, and is taken from there piece by piece.
  struct Pull {
    var blob: Digest
    var giver: Giver
    var file: HeldFile
  }

  /// No worker may offer more than this at once: a bound, far above any checkpoint.
  static let offerBytesMax: Int64 = 1 << 40
  /// At one more, the blob of which nothing has come for longest is given up.
  static let arrivingMax = 64

  /// Several workers may hand in the same blob: whichever next chunk comes first counts, and each
  /// of them hears how it ended, though its own chunks came too late.
  private struct Arrival {
    var writer: BlobWriter
    /// In the order in which they came.
    var givers: [Giver]
    /// When something of it came last, counted in chunks and offers.
    var touched: UInt64

    mutating func add(_ giver: Giver) {
      remove(giver.connection)
      givers.append(giver)
    }

    mutating func remove(_ connection: ConnectionID) {
      givers.removeAll { $0.connection == connection }
    }
  }

  private let blobs: BlobFolder
  private var arriving: [Digest: Arrival] = [:]
  private var chunksSeen: UInt64 = 0

  init(into blobs: BlobFolder) { self.blobs = blobs }

  /// - Parameter isHere: the blob will be pulled, so that nobody is asked to send it.
  mutating func offered(
    _ blob: Digest, size: Int64, by giver: Giver, isHere: Bool
  ) -> [Reply] {
    if blobs.has(blob) { return [stored(blob, giver)] }
    if size > Self.offerBytesMax {
      return [refused(blob, giver, .tooLarge(limit: Self.offerBytesMax))]
    }
    chunksSeen += 1
    if var arrival = arriving[blob] {
      // One digest has one size; who is wrong shows when the blob is whole.
      guard arrival.writer.size == size else { return [refused(blob, giver, .busy)] }
      arrival.add(giver)
      arrival.touched = chunksSeen
      arriving[blob] = arrival
      return isHere ? [] : [wanted(blob, giver, from: arrival.writer.received)]
    }
    do {
      let writer = try blobs.receive(blob, size: size)
      if size == 0 {
        try writer.finish()
        return [stored(blob, giver)]
      }
      let others = makeRoom()
      arriving[blob] = Arrival(writer: writer, givers: [giver], touched: chunksSeen)
      return others + (isHere ? [] : [wanted(blob, giver, from: 0)])
    } catch {
      return [refused(blob, giver, BulkRefusal(error))]
    }
  }

  /// Gives up the stillest arrival when there are too many: its workers may have died.
  private mutating func makeRoom() -> [Reply] {
    guard arriving.count >= Self.arrivingMax,
      let stillest = arriving.min(by: { $0.value.touched < $1.value.touched })
    else { return [] }
    arriving[stillest.key] = nil
    stillest.value.writer.abandon()
    return stillest.value.givers.map { refused(stillest.key, $0, .busy) }
  }

  /// Nobody hears anything while more is to come, or when the chunk is here already.
  mutating func arrived(
    _ blob: Digest, _ bytes: [UInt8], at offset: Int64, from giver: Giver
  ) -> [Reply] {
    guard let arrival = arriving[blob] else {
      return [blobs.has(blob) ? stored(blob, giver) : refused(blob, giver, .unknownBlob)]
    }
    guard offset == arrival.writer.received else { return [] }
    return append(bytes, to: blob, arrival, blamed: giver)
  }

  /// Takes the next piece from where a blob lies.
  /// - Returns: whether there is more to take.
  mutating func take(_ pull: Pull) -> (replies: [Reply], goesOn: Bool) {
    let (blob, giver) = (pull.blob, pull.giver)
    // Whoever ended it has told all givers.
    guard let arrival = arriving[blob], arrival.givers.contains(giver) else { return ([], false) }
    let received = arrival.writer.received
    guard let bytes = try? pull.file.read(offset: received, length: pieceBytes), !bytes.isEmpty
    else { return ([wanted(blob, giver, from: received)], false) }
    // Other bytes than they should be may be another file's, opened by mistake: then all send.
    let replies = append(bytes, to: blob, arrival, blamed: nil)
    return (replies, replies.isEmpty)
  }

  /// A blob that is not pulled after all is to be sent.
  func asked(instead pull: Pull) -> [Reply] {
    guard let arrival = arriving[pull.blob] else { return [] }
    return [wanted(pull.blob, pull.giver, from: arrival.writer.received)]
  }

  /// Nothing is pulled from there any more, and nobody there hears how a blob ends; what has come
  /// stays, for when it is offered again.
  mutating func left(_ connection: ConnectionID) {
    for blob in arriving.keys { arriving[blob]?.remove(connection) }
  }

  /// - Parameter blamed: who is out when the whole blob is not what it should be. The others may
  ///   have the right bytes: they begin anew.
  private mutating func append(
    _ bytes: [UInt8], to blob: Digest, _ known: Arrival, blamed: Giver?
  ) -> [Reply] {
    var arrival = known
    let writer = arrival.writer
    chunksSeen += 1
    arrival.touched = chunksSeen
    do {
      try writer.append(bytes, at: writer.received)
      arriving[blob] = arrival
      guard writer.received == writer.size else { return [] }
      try writer.finish()
      arriving[blob] = nil
      return arrival.givers.map { stored(blob, $0) }
    } catch {
      arriving[blob] = nil
      writer.abandon()
      guard case .mismatch = error else {
        return arrival.givers.map { refused(blob, $0, BulkRefusal(error)) }
      }
      guard let blamed else { return beginAnew(blob, arrival) }
      arrival.remove(blamed.connection)
      return [refused(blob, blamed, .mismatch)] + beginAnew(blob, arrival)
    }
  }

  private mutating func beginAnew(_ blob: Digest, _ arrival: Arrival) -> [Reply] {
    if arrival.givers.isEmpty { return [] }
    do {
      var fresh = arrival
      fresh.writer = try blobs.receive(blob, size: arrival.writer.size)
      arriving[blob] = fresh
      return fresh.givers.map { wanted(blob, $0, from: 0) }
    } catch {
      return arrival.givers.map { refused(blob, $0, BulkRefusal(error)) }
    }
  }

  /// Gives up all of them.
  mutating func abandon() {
    arriving.values.forEach { $0.writer.abandon() }
    arriving = [:]
  }

  private func stored(_ blob: Digest, _ giver: Giver) -> Reply {
    Reply(connection: giver.connection, reply: .stored(request: giver.request, blob: blob))
  }

  private func wanted(_ blob: Digest, _ giver: Giver, from: Int64) -> Reply {
    Reply(
      connection: giver.connection, reply: .wanted(request: giver.request, blob: blob, from: from))
  }

  private func refused(_ blob: Digest, _ giver: Giver, _ reason: BulkRefusal) -> Reply {
    Reply(
      connection: giver.connection, reply: .refused(request: giver.request, blob: blob, reason))
  }
}

extension BulkRefusal {
  init(_ error: BlobError) {
    self =
      switch error {
      case .mismatch, .chunk, .piece: .mismatch
      case .missing, .corrupt, .diskFull, .io: .storage("\(error)")
      }
  }
}
