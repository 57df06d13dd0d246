import Domain
import Executors
import Hashing
import Logging
import Protocol
import Scheduling
import Transport

extension BlobClient {
  func found(_ blob: Digest, size: Int64, _ sources: [BlobSource], _ list: [UInt8]) {
    guard downloads[blob] != nil else { return }
    do {
      if downloads[blob]?.course == nil { try begin(blob, size: size, list) }
    } catch {
      return fail(blob, error)
    }
    meet(sources, over: blob)
  }

  /// Others have this blob or are fetching it: they may fetch here, and are sources when it is
  /// being fetched here.
  func meet(_ sources: [BlobSource], over blob: Digest) {
    for source in sources where source.name != peering.name {
      peering.guests.revoke(name: source.name)
      peering.guests.allow(publicKey: source.publicKey, name: source.name)
      downloads[blob]?.sources[source.name] = source
    }
    guard let known = downloads[blob]?.sources, downloads[blob]?.course != nil else { return }
    for (name, source) in known.sorted(by: { $0.key < $1.key }) {
      let (new, old) = members.connect(to: source, at: now)
      if let old {
        downloads[blob]?.course?.schedule.lost(.member(name))
        close([old])
      }
      if let new { door.yield(new) }
      // One that cannot be reached is added when it can be.
      if new != nil || members.isConnected(name) {
        downloads[blob]?.course?.schedule.add(name, at: now)
      }
    }
    pump(blob)
  }

  private func begin(_ blob: Digest, size: Int64, _ list: [UInt8]) throws {
    let pieces: PieceList
    if PieceList.count(ofSize: size) == 1 {
      pieces = PieceList(only: blob, size: size)
    } else if let known = PieceList(size: size, bytes: list) {
      pieces = known
    } else {
      throw BlobTransferError.refused(blob, .storage("its list of pieces does not fit its size"))
    }
    let partial = pieces.count > 1 ? try cache.begin(blob, pieces) : nil
    let course = BlobDownload.Course(
      blob: blob, pieces: pieces, partial: partial, worker: peering.name, at: now)
    downloads[blob]?.course = course
    if course.isLarge {
      log.info("blob \(blob): fetching \(pieces.count) MiB, \(course.hereBefore) are here")
    }
    if course.schedule.isComplete { try finish(blob, course) }
  }

  func take(
    _ bytes: [UInt8], of blob: Digest, size: Int64, offset: Int64,
    from source: PieceSchedule.Source
  ) {
    guard downloads[blob] != nil else { return }
    do {
      if downloads[blob]?.course == nil {
        // The coordinator sends a small blob at once.
        guard source == .coordinator, PieceList.count(ofSize: size) == 1 else { return }
        try begin(blob, size: size, [])
      }
      let piece = Int(offset / Int64(pieceBytes))
      guard let course = downloads[blob]?.course, course.schedule.wants(piece) else { return }
      if let partial = course.partial {
        try partial.put(bytes, as: piece)
      } else {
        try cache.put(bytes, as: blob)
      }
      downloads[blob]?.course?.schedule.take(piece, from: source, at: now)
      downloads[blob]?.course?.sent[source, default: 0] += 1
      if let course = downloads[blob]?.course, course.schedule.isComplete {
        try finish(blob, course)
      } else {
        pump(blob)
      }
    } catch BlobError.piece(_, let piece) {
      broken(blob, piece, from: source)
    } catch BlobError.mismatch {
      broken(blob, 0, from: source)
    } catch {
      fail(blob, error)
    }
  }

  /// A source has sent other bytes than it should: it is not asked again, and named.
  private func broken(_ blob: Digest, _ piece: Int, from source: PieceSchedule.Source) {
    log.warning("blob \(blob): piece \(piece) as \(source) sent it is broken")
    guard case .member(let name) = source else {
      return fail(blob, BlobError.piece(blob, index: piece))
    }
    downloads[blob]?.course?.schedule.ban(source)
    send(.complain(blob: blob, piece: piece, source: name))
    pump(blob)
  }

  private func finish(_ blob: Digest, _ course: BlobDownload.Course) throws {
    if let partial = course.partial { try cache.finish(partial) }
    if course.isLarge {
      log.info("blob \(blob): \(course.progress(at: now)): \(course.origins)")
    }
    downloads.removeValue(forKey: blob)?.waiting.forEach { $0.resume() }
  }

  /// Asks for whatever can be asked for now.
  func pump(_ blob: Digest) {
    guard var course = downloads[blob]?.course else { return }
    // Set aside while it changes, so that its tables are changed in place.
    downloads[blob]?.course = nil
    let now = now
    for name in course.schedule.surveys(at: now, reachable: members.isConnected) {
      let survey = BulkRequest.survey(request: nextRequest(), blob: blob)
      if !members.send(survey, to: name, at: now) { course.schedule.lost(.member(name)) }
    }
    for ask in course.schedule.asks(at: now) {
      let (offset, length) = course.pieces.range(ask.piece)
      // An empty blob is asked for as one byte, of which none comes.
      let request = BulkRequest.fetch(
        request: nextRequest(), blob: blob, offset: offset, length: max(1, length))
      let isSent =
        switch ask.source {
        case .coordinator: send(request)
        case .member(let name): members.send(request, to: name, at: now)
        }
      if !isSent { course.schedule.lost(ask.source) }
    }
    downloads[blob]?.course = course
  }

  func seek(_ blob: Digest) {
    downloads[blob]?.soughtAt = now
    downloads[blob]?.timesSought += 1
    send(.find(request: nextRequest(), blob: blob))
  }

  /// Looks after what is under way; sleeps when nothing is.
  func keepTime() async {
    while !Task.isCancelled {
      if downloads.isEmpty, members.isEmpty { await busy.wait() }
      try? await Task.sleep(for: Self.tickEvery)
      let now = now
      for blob in downloads.keys.sorted() {
        guard let download = downloads[blob] else { continue }
        if download.isToBeSought(at: now) { seek(blob) }
        if let course = download.course, course.isLarge, now - course.toldAt >= Self.tellEvery {
          downloads[blob]?.course?.toldAt = now
          log.info("blob \(blob): \(course.progress(at: now))")
        }
        pump(blob)
      }
      let needed = downloads.values.reduce(into: Set<String>()) { names, download in
        names.formUnion(download.sources.keys)
      }
      close(members.takeIdle(at: now, except: needed))
    }
  }
}
