public import Domain
import Foundation
import Hashing
import Kernels
public import Logging
public import Transport

/// What a worker needs to start.
public struct WorkerOptions: Sendable {
  /// Lets it in, and names the coordinator.
  public var access: AccessFile
  /// Where it keeps its cache and its spool.
  public var folder: String
  public var threads: Int
  /// Whether they stay on cores of their own, as `Compute` has it.
  public var pinsThreads: Bool
  /// Nil: as much as the machine has.
  public var memoryBytes: Int64?
  /// Bound of its cache on the disk. Nil: most of what the disk has free.
  public var cacheBytes: Int64?

  public init(
    access: AccessFile, folder: String, threads: Int, pinsThreads: Bool = false,
    memoryBytes: Int64? = nil, cacheBytes: Int64? = nil
  ) {
    self.access = access
    self.folder = folder
    self.threads = threads
    self.pinsThreads = pinsThreads
    self.memoryBytes = memoryBytes
    self.cacheBytes = cacheBytes
  }
}

/// Why a worker ended without an error.
public enum WorkerEnd: Hashable, Sendable { case drained, stopped }

/// Why a worker cannot go on.
public enum WorkerError: Error, CustomStringConvertible {
  case folderInUse(String, holder: Int32?)
  case folder(path: String, reason: String)
  case refused(Refusal)

  public var description: String {
    switch self {
    case .folderInUse(let folder, let holder):
      "\(folder) is used by another worker that is running"
        + (holder.map { ", process \($0)" } ?? "") + "; give each its own --dir"
    case .folder(let path, let reason): "\(path): \(reason); choose a --dir that can be written"
    case .refused(.protocolVersion(let ours, let yours)):
      "the coordinator speaks version \(ours) of the protocol, this worker version \(yours): "
        + "install the same version of comd on both"
    case .refused(.kernelSet(let ours, let yours)):
      "the run is pinned to the kernel set \(ours), this machine has \(yours): "
        + "its sums would differ in their last bits"
    case .refused(.revoked): "this worker's key has been revoked"
    case .refused(.nameInUse): "another process runs under this worker's name"
    }
  }
}

/// A worker process: generates, judges and trains for one coordinator until told to leave.
public struct WorkerService: Sendable {
  private let options: WorkerOptions
  private let log: Logger

  public init(_ options: WorkerOptions, log: Logger) {
    self.options = options
    self.log = log
  }

  /// Works until drained (returns), refused (throws) or cancelled (returns). A coordinator that is
  /// away is waited for.
  public func run() async throws -> WorkerEnd {
    let folder = options.folder
    try FileManager.default.createDirectory(
      atPath: folder + "/models", withIntermediateDirectories: true)
    let lock = try held(folder)
    defer { withExtendedLifetime(lock) {} }

    let access = options.access
    let security = ClientSecurity.curve(access.keys, serverKey: access.coordinatorPublicKey)
    let control = try MessageClient(
      endpoint: access.control, security: security, limits: .control)
    let bulk = try MessageClient(endpoint: access.bulk, security: security, limits: .bulk)
    let peerKeys = try CurveKeyPair.generate()
    let members = AllowList()
    let guests = AllowList()
    let anyPort = "tcp://\(localAddress(towards: access.control)):*"
    let mesh = try Mesh(endpoint: anyPort, security: .sealed(peerKeys, members))
    let sharing = try MessageServer(
      endpoint: anyPort, security: .curve(peerKeys, guests), limits: .sharing)

    let cache = try BlobCache(path: folder + "/blobs", bytesMax: options.cacheBytes, log: log)
    let blobs = BlobClient(
      client: bulk, cache: cache,
      peering: BlobPeering(
        name: access.worker, endpoint: sharing.endpoint, keys: peerKeys, guests: guests),
      log: log)
    let share = BlobShare(server: sharing, cache: cache, log: log)
    let library = ModelLibrary(blobs: blobs, cache: cache, folder: folder + "/models")
    let compute = try Compute(threads: options.threads, isPinned: options.pinsThreads)
    let me = WorkerID(name: access.worker, boot: .random(in: 1...UInt64.max))
    let fence = EpochFence()
    let uploads = UploadQueue(
      library: library, blobs: blobs, folder: folder, control: control, log: log)
    let rank = try TrainingRank(
      me: me, loader: TrainingLoader(library: library, blobs: blobs, cache: cache), mesh: mesh,
      members: members, fence: fence, control: control, compute: compute, outbox: uploads, log: log)
    let session = WorkerSession(
      identity: WorkerSession.Identity(
        worker: me, threads: options.threads,
        memoryBytes: options.memoryBytes ?? Int64(ProcessInfo.processInfo.physicalMemory),
        kernelSet: compute.kernelSet, peerEndpoint: mesh.endpoint,
        peerPublicKey: peerKeys.publicKey),
      control: control, spool: try Spool(path: folder + "/spool"), library: library,
      generation: GenerationEngine(
        library: library, compute: compute, memoryBytes: options.memoryBytes.map { Int($0) }),
      rank: rank, log: log)
    log.info("waiting for the coordinator at \(access.control)")

    return try await withThrowingTaskGroup(of: WorkerEnd?.self) { group in
      group.addTask {
        await blobs.run()
        return nil
      }
      group.addTask {
        await share.run()
        return nil
      }
      group.addTask {
        await uploads.run()
        return nil
      }
      group.addTask {
        await session.offerAgain()
        return nil
      }
      group.addTask {
        try await session.begin()
        return nil
      }
      group.addTask {
        try await session.compute()
        return nil
      }
      group.addTask {
        try await session.keep()
        return nil
      }
      group.addTask {
        await session.train()
        return nil
      }
      group.addTask { try await session.run() }
      var end: WorkerEnd?
      do {
        while end == nil, let result = try await group.next() { end = result }
      } catch is CancellationError {
        end = .stopped
      } catch {
        group.cancelAll()
        await close(control, bulk, [sharing])
        throw error
      }
      group.cancelAll()
      await close(control, bulk, [sharing])
      return end ?? .stopped
    }
  }

  private func held(_ folder: String) throws(WorkerError) -> FolderLock {
    do {
      return try FolderLock(folder: folder)
    } catch {
      switch error {
      case .held(let holder): throw .folderInUse(folder, holder: holder)
      case .io(let path, let reason): throw .folder(path: path, reason: reason)
      }
    }
  }

  private func close(
    _ control: MessageClient, _ bulk: MessageClient, _ servers: [MessageServer]
  ) async {
    await control.close()
    await bulk.close()
    for server in servers { await server.close() }
  }
}
