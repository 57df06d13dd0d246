import Domain
import Executors
import Hashing
import Logging
import Protocol
import Scheduling
import Transport

/// Fetches blobs, from members that have them and from the coordinator, and hands new ones in to
/// the coordinator, over bulk sockets.
///
/// A transfer outlives its connections: it goes on with the pieces that are here, also after a
/// restart. Every piece is checked when it comes, so that a broken one names its source. Two
/// callers who want the same blob share one transfer. It waits for the disk on a thread of its
/// own.
actor BlobClient {
  private let executor = ThreadExecutor(label: "blobs")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  struct Upload {
    var file: HeldFile
    var waiting: [CheckedContinuation<Void, any Error>]
  }

  /// Of many blobs that somebody wants.
  private static let fetchedAtOnce = 64
  /// While something is under way: how often is looked what is late, or known anew.
  static let tickEvery = Duration.milliseconds(250)
  /// How often a long transfer is told of.
  static let tellEvery = Duration.seconds(10)

  let client: MessageClient
  let cache: BlobCache
  let peering: BlobPeering
  let log: Logger
  private let start = ContinuousClock.now
  private var lastRequest: UInt64 = 0
  var downloads: [Digest: BlobDownload] = [:]
  var uploads: [Digest: Upload] = [:]
  var members: MemberLinks
  private let newLinks: AsyncStream<MemberLinks.Link>
  let door: AsyncStream<MemberLinks.Link>.Continuation
  /// Uploads that the coordinator waits for, and from where on.
  private let wanted: AsyncStream<(blob: Digest, from: Int64)>
  private let wants: AsyncStream<(blob: Digest, from: Int64)>.Continuation
  /// Raised when something is under way.
  let busy = Signal()
  private var stopped = false

  init(client: MessageClient, cache: BlobCache, peering: BlobPeering, log: Logger) {
    self.client = client
    self.cache = cache
    self.peering = peering
    self.log = log
    members = MemberLinks(peering, log: log)
    (newLinks, door) = AsyncStream.makeStream()
    (wanted, wants) = AsyncStream.makeStream()
  }

  var now: Moment { Moment(sinceStart: ContinuousClock.now - start) }

  /// Transfers until the client is closed.
  func run() async {
    await withDiscardingTaskGroup { group in
      group.addTask {
        await self.followCoordinator()
        await self.stop()
      }
      group.addTask { await self.keepTime() }
      group.addTask {
        for await (blob, start) in self.wanted { await self.sendChunks(of: blob, from: start) }
      }
      for await link in newLinks { group.addTask { await self.follow(link) } }
      group.cancelAll()
    }
  }

  /// Makes sure that the blob is in the cache, whole and verified.
  func fetch(_ blob: Digest) async throws {
    if cache.has(blob) { return cache.use(blob) }
    try await withCheckedThrowingContinuation {
      (continuation: CheckedContinuation<Void, any Error>) in
      if stopped { return continuation.resume(throwing: BlobTransferError.stopped) }
      let known = downloads[blob] != nil
      downloads[blob, default: BlobDownload(soughtAt: now)].waiting.append(continuation)
      if !known { seek(blob) }
      busy.raise()
    }
  }

  /// Fetches many, some at one time.
  nonisolated func fetch(_ blobs: Set<Digest>) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, blob) in blobs.sorted().enumerated() {
        if index >= Self.fetchedAtOnce { try await group.next() }
        group.addTask { try await self.fetch(blob) }
      }
      try await group.waitForAll()
    }
  }

  /// The bytes of a blob, fetched when they are not in the cache.
  func bytes(of blob: Digest) async throws -> [UInt8] {
    let pin = cache.pin([blob])
    defer { withExtendedLifetime(pin) {} }
    try await fetch(blob)
    return try cache.read(blob)
  }

  /// Hands in a blob of the cache; it is durable at the coordinator when this returns.
  func upload(_ blob: Digest) async throws {
    try await upload(blob, HeldFile(path: cache.folder.path(blob)))
  }

  /// Hands in a blob; it is durable at the coordinator when this returns.
  func upload(_ blob: Digest, _ file: HeldFile) async throws {
    try await withCheckedThrowingContinuation {
      (continuation: CheckedContinuation<Void, any Error>) in
      if stopped { return continuation.resume(throwing: BlobTransferError.stopped) }
      let known = uploads[blob] != nil
      uploads[blob, default: Upload(file: file, waiting: [])].waiting.append(continuation)
      if !known { offer(blob) }
    }
  }

  // MARK: - What comes

  private func followCoordinator() async {
    while let event = await client.events.next() {
      switch event {
      case .connected:
        announce()
        for blob in downloads.keys.sorted() { seek(blob) }
        for blob in uploads.keys.sorted() { offer(blob) }
      case .disconnected:
        for blob in downloads.keys.sorted() { downloads[blob]?.course?.schedule.lost(.coordinator) }
      case .refused: break
      case .message(let frames): receive(frames, from: .coordinator)
      }
    }
  }

  private func follow(_ link: MemberLinks.Link) async {
    let name = link.source.name
    while let event = await link.client.events.next() {
      switch event {
      case .connected:
        guard members.note(link, isConnected: true) else { continue }
        for blob in downloads.keys.sorted() {
          if downloads[blob]?.sources[name] != nil {
            downloads[blob]?.course?.schedule.add(name, at: now)
            pump(blob)
          }
        }
      case .disconnected:
        guard members.note(link, isConnected: false) else { continue }
        for blob in downloads.keys.sorted() {
          downloads[blob]?.course?.schedule.lost(.member(name))
          pump(blob)
        }
      // It may not have heard yet that we may fetch: the connection is tried again by itself.
      case .refused: break
      case .message(let frames): receive(frames, from: .member(name))
      }
    }
  }

  private func receive(_ frames: [Frame], from source: PieceSchedule.Source) {
    let payload = frames.count > 1 ? frames[1] : nil
    guard let head = frames.first,
      let reply = try? decodeBulkReply(head.bytes, payloadBytes: payload?.count ?? 0)
    else {
      log.warning("a bulk reply of \(source) could not be read; it is dropped")
      return
    }
    let bytes = payload?.bytes ?? []
    switch (reply, source) {
    case (.chunk(_, let blob, let size, let offset, _), _):
      take(bytes, of: blob, size: size, offset: offset, from: source)
    case (.holding(_, let blob), .member(let name)):
      guard let course = downloads[blob]?.course else { return }
      if let has = PieceSet(bytes, of: course.pieces.count) {
        downloads[blob]?.course?.schedule.surveyed(name, has: has)
      }
      pump(blob)
    case (.refused(_, let blob, _), .member):
      // It has gone from there in the meantime.
      downloads[blob]?.course?.schedule.lost(source)
      pump(blob)
    case (.found(_, let blob, let size, let sources), .coordinator):
      found(blob, size: size, sources, bytes)
    case (.wanted(_, let blob, let from), .coordinator): wants.yield((blob, from))
    case (.stored(_, let blob), .coordinator):
      uploads.removeValue(forKey: blob)?.waiting.forEach { $0.resume() }
    case (.refused(_, let blob, .unknownBlob), .coordinator) where uploads[blob] != nil:
      // A coordinator that has just started does not know what the chunks on their way belong to.
      offer(blob)
    case (.refused(_, let blob, let reason), .coordinator):
      guard let course = downloads[blob]?.course, !course.schedule.members.isEmpty else {
        return fail(blob, BlobTransferError.refused(blob, reason))
      }
      log.warning("blob \(blob): the coordinator refuses it: \(reason); going on with members")
      downloads[blob]?.course?.schedule.ban(.coordinator)
    case (.letIn(let guest, let blob), .coordinator): meet([guest], over: blob)
    case (.shutOut(let name), .coordinator): peering.guests.revoke(name: name)
    case (.found, .member), (.wanted, .member), (.stored, .member), (.letIn, .member),
      (.shutOut, .member), (.holding, .coordinator):
      log.warning("\(source) sent a bulk reply that is not its to send; it is dropped")
    }
  }

  // MARK: - Uploads

  private func sendChunks(of blob: Digest, from start: Int64) async {
    guard let file = uploads[blob]?.file else { return }
    var offset = start
    do {
      while offset < file.size {
        let chunk = try file.read(offset: offset, length: pieceBytes)
        guard !chunk.isEmpty else { throw BlobError.missing(blob) }
        let request = BulkRequest.chunk(
          request: nextRequest(), blob: blob, offset: offset, length: chunk.count)
        try await client.sendWaiting([Frame(encode(request)), Frame(chunk)])
        offset += Int64(chunk.count)
      }
    } catch let error as BlobError {
      fail(blob, error)
    } catch {
      // The connection went; the offer is made again when it is back.
      log.debug("upload of \(blob) interrupted at \(offset): \(error)")
    }
  }

  func offer(_ blob: Digest) {
    guard let file = uploads[blob]?.file else { return }
    let place = FilePlace(
      process: file.process, descriptor: file.descriptor, offset: file.offset)
    send(.offer(request: nextRequest(), blob: blob, size: file.size, place: place))
  }

  // MARK: - The coordinator's socket

  private func announce() {
    send(
      .announce(
        endpoint: peering.endpoint, publicKey: peering.keys.publicKey,
        blobs: cache.largest(WireLimits.announcedMax)))
  }

  /// False: it cannot be sent now; it is made again on the next connection.
  @discardableResult
  func send(_ request: BulkRequest) -> Bool {
    do {
      try client.send([Frame(encode(request))])
      return true
    } catch {
      log.debug("bulk request waits for the connection: \(error)")
      return false
    }
  }

  func nextRequest() -> UInt64 {
    lastRequest += 1
    return lastRequest
  }

  // MARK: - Ends

  func fail(_ blob: Digest, _ error: any Error) {
    if let download = downloads.removeValue(forKey: blob) {
      if let partial = download.course?.partial { cache.abandon(partial) }
      download.waiting.forEach { $0.resume(throwing: error) }
    }
    uploads.removeValue(forKey: blob)?.waiting.forEach { $0.resume(throwing: error) }
  }

  private func stop() {
    stopped = true
    for blob in downloads.keys.sorted() + uploads.keys.sorted() {
      fail(blob, BlobTransferError.stopped)
    }
    close(members.takeAll())
    door.finish()
    wants.finish()
  }

  /// Their tasks end with their events.
  func close(_ links: [MemberLinks.Link]) {
    for link in links { link.client.beginClosing() }
  }
}
