import Domain
import Executors
import Foundation
import Hashing
import Logging
import Protocol
import Synchronization
import Transformer
import Transport

/// What a training hands in and has not been uploaded yet: of segments, those of its newest
/// checkpoint only. A disk or a link that is too slow for the checkpoints asked for costs older
/// ones, not memory.
struct UploadBacklog: Sendable {
  private var items: [UploadQueue.Item] = []

  mutating func put(_ item: UploadQueue.Item) {
    if case .segment(let training, let step, _, _) = item {
      items.removeAll { older in
        guard case .segment(training, let earlier, _, _) = older else { return false }
        return earlier < step
      }
    }
    items.append(item)
  }

  mutating func take() -> UploadQueue.Item? { items.isEmpty ? nil : items.removeFirst() }
}

/// What a training hands in, done beside the steps so that none of them waits for it, and on a
/// thread of its own: writing a student takes as long as the disk wants.
actor UploadQueue {
  private let executor = ThreadExecutor(label: "uploads")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  enum Item: Sendable {
    /// - Parameter copy: the segment as it was after that step; nil when nobody wants it any more.
    case segment(
      TrainingID, step: Int, segment: Int, copy: @Sendable () async throws -> SegmentCopy?)
    case export(TrainingID, Model, weights: Digest)
  }

  private let backlog = Mutex(UploadBacklog())
  private let arrivals: AsyncStream<Void>
  private let bell: AsyncStream<Void>.Continuation
  private let library: ModelLibrary
  private let blobs: BlobClient
  private let folder: String
  private let control: MessageClient
  private let log: Logger

  init(
    library: ModelLibrary, blobs: BlobClient, folder: String, control: MessageClient, log: Logger
  ) {
    (arrivals, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    self.library = library
    self.blobs = blobs
    self.folder = folder
    self.control = control
    self.log = log
  }

  nonisolated func put(_ item: Item) {
    backlog.withLock { $0.put(item) }
    bell.yield()
  }

  /// Uploads one item after the other until cancelled.
  func run() async {
    for await _ in arrivals {
      while !Task.isCancelled, let item = backlog.withLock({ $0.take() }) {
        do {
          guard let message = try await upload(item) else { continue }
          try control.send([Frame(encode(message))])
        } catch {
          log.error("an upload failed: \(error)")
        }
      }
    }
  }

  /// Uploads what a file holds as a blob; what the coordinator has already is not sent.
  private func store(_ file: HeldFile) async throws -> Digest {
    var hash = IncrementalHash()
    for offset in stride(from: 0, to: file.size, by: pieceBytes) {
      hash.update(try file.read(offset: offset, length: pieceBytes))
    }
    let blob = hash.finish()
    try await blobs.upload(blob, file)
    return blob
  }

  private func upload(_ item: Item) async throws -> WorkerMessage? {
    switch item {
    case .segment(let training, let step, let segment, let copy):
      guard let copy = try await copy() else { return nil }
      return .segmentSaved(
        training, step: step,
        SavedSegment(
          segment: segment, weights: try await store(copy.weights),
          moments: try await store(copy.moments)))
    case .export(let training, let model, let weights):
      let place = "\(folder)/exports/\(training.iteration)"
      try? FileManager.default.removeItem(atPath: place)
      try FileManager.default.createDirectory(
        atPath: place, withIntermediateDirectories: true)
      try model.save(folder: place)
      let digest = try await library.publish(folder: place)
      try? FileManager.default.removeItem(atPath: place)
      return .exported(TrainingExport(training: training, model: digest, weights: weights))
    }
  }
}
