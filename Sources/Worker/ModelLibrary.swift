import Domain
import Executors
import Formats
import Foundation
import Hashing
import Kernels
import Transformer

/// The models a worker has: fetched over the wire, laid out as folders, loaded when first used.
///
/// A model's digest is that of its manifest, so the files under a digest never change. Reading and
/// hashing gigabytes takes a thread of its own.
actor ModelLibrary {
  private let executor = ThreadExecutor(label: "models")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private let blobs: BlobClient
  private let cache: BlobCache
  private let folder: String
  /// Most recently used last.
  private var loaded: [(digest: Digest, precision: GenerationPrecision?, model: Model)] = []
  private let loadedMax: Int
  /// The files of those that were asked for last stay on the disk.
  private var pins: [(digest: Digest, pin: BlobCache.Pin)] = []

  init(blobs: BlobClient, cache: BlobCache, folder: String, loadedMax: Int = 2) {
    self.blobs = blobs
    self.cache = cache
    self.folder = folder
    self.loadedMax = loadedMax
  }

  /// Models whose files are all here, in digest order.
  var onDisk: [Digest] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.compactMap { Digest(hex: $0) }.sorted().filter { model in
      guard let manifest = try? ModelManifest(parsing: cache.folder.read(model)) else {
        return false
      }
      return manifest.files.allSatisfy { cache.size($0.sha256) == $0.size }
    }
  }

  /// The model, from memory, from disk or over the wire: read by all who ask for it.
  func model(_ digest: Digest, for purpose: ModelPurpose) async throws -> Model {
    let precision: GenerationPrecision? =
      switch purpose {
      case .anything: nil
      case .generation(let precision, _): precision
      }
    func place() -> Int? {
      loaded.firstIndex { $0.digest == digest && $0.precision == precision }
    }
    if let place = place() {
      let entry = loaded.remove(at: place)
      loaded.append(entry)
      return entry.model
    }
    let path = try await path(of: digest)
    let model = try Model.load(path, for: purpose)
    if place() != nil { return model }
    loaded.append((digest, precision, model))
    if loaded.count > loadedMax { loaded.removeFirst() }
    return model
  }

  /// The model in memory of its own, for who changes its parameters.
  func newModel(_ digest: Digest) async throws -> Model {
    try Model.load(try await path(of: digest))
  }

  /// The folder, or the one GGUF file, of a model.
  func path(of digest: Digest) async throws -> String {
    let place = folder + "/" + digest.hex
    let manifest = try await manifest(digest)
    pins.removeAll { $0.digest == digest }
    pins.append((digest, cache.pin([digest] + manifest.files.map(\.sha256))))
    if pins.count > loadedMax { pins.removeFirst() }
    for file in manifest.files { try await blobs.fetch(file.sha256) }
    try cache.folder.materialize(manifest, at: place, as: .references)
    if manifest.files.count == 1, let only = manifest.files.first, only.path.hasSuffix(".gguf") {
      return place + "/" + only.path
    }
    return place
  }

  private func manifest(_ digest: Digest) async throws -> ModelManifest {
    let bytes = try await blobs.bytes(of: digest)
    do {
      return try ModelManifest(parsing: bytes)
    } catch {
      throw BlobTransferError.manifest(digest, "\(error)")
    }
  }

  /// A picture's file, fetched when it is not here.
  func picture(_ digest: Digest) async throws -> [UInt8] { try await blobs.bytes(of: digest) }

  /// Asks for all pictures that are not here, at once. Of one that is not to be had `picture` says
  /// why.
  func fetchPictures(_ pictures: [Digest]) async {
    await withTaskGroup { group in
      for picture in Set(pictures).sorted() where !cache.has(picture) {
        group.addTask { try? await self.blobs.fetch(picture) }
      }
    }
  }

  /// Puts a saved model folder into the cache, hands all of it in, and says its digest.
  func publish(folder saved: String) async throws -> Digest {
    let manifest = try ModelManifest(scanning: saved)
    let pin = cache.pin([manifest.digest] + manifest.files.map(\.sha256))
    defer { withExtendedLifetime(pin) {} }
    for file in manifest.files {
      _ = try cache.put(file: saved + "/" + file.path)
      try await blobs.upload(file.sha256)
    }
    let digest = try cache.put(manifest.canonicalBytes)
    try await blobs.upload(digest)
    return digest
  }
}
