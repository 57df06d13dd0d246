import Domain
import Executors
import Foundation
import Hashing
import Logging
import Protocol
import Transformer
import Transport

/// What a training hands in, done beside the steps so that none of them waits for it, and on a
/// thread of its own: writing a student takes as long as the disk wants.
actor UploadQueue {
  private let executor = ThreadExecutor(label: "uploads")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  enum Item: Sendable {
    case segment(TrainingID, step: Int, segment: Int, weights: [UInt8], moments: [UInt8])
    case export(TrainingID, Model, weights: Digest)
  }

  private let items: AsyncStream<Item>
  private let inbox: AsyncStream<Item>.Continuation
  private let library: ModelLibrary
  private let blobs: BlobClient
  private let cache: BlobCache
  private let folder: String
  private let control: MessageClient
  private let log: Logger

  init(
    library: ModelLibrary, blobs: BlobClient, cache: BlobCache, folder: String,
    control: MessageClient, log: Logger
  ) {
    // No more than one checkpoint is under way, and what a worker owns of it.
    (items, inbox) = AsyncStream.makeStream()
    self.library = library
    self.blobs = blobs
    self.cache = cache
    self.folder = folder
    self.control = control
    self.log = log
  }

  nonisolated func put(_ item: Item) { inbox.yield(item) }

  /// Uploads one item after the other until cancelled.
  func run() async {
    for await item in items {
      do {
        let message = try await upload(item)
        try control.send([Frame(encode(message))])
      } catch {
        log.error("an upload failed: \(error)")
      }
    }
  }

  /// Uploads bytes as a blob; what the coordinator has already is not sent.
  private func store(_ bytes: [UInt8]) async throws -> Digest {
    let pin = cache.pin([Digest(hashing: bytes)])
    defer { withExtendedLifetime(pin) {} }
    let blob = try cache.put(bytes)
    try await blobs.upload(blob)
    // It is the coordinator's now.
    try? cache.remove(blob)
    return blob
  }

  private func upload(_ item: Item) async throws -> WorkerMessage {
    switch item {
    case .segment(let training, let step, let segment, let weights, let moments):
      return .segmentSaved(
        training, step: step,
        SavedSegment(
          segment: segment, weights: try await store(weights), moments: try await store(moments)))
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
