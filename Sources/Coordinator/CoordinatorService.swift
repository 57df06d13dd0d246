import Domain
import Executors
import Foundation
import Hashing
public import Logging
import Scheduling
public import Settings
import Store
import Transport

/// What a coordinator needs to start.
public struct CoordinatorOptions: Sendable {
  public var settings: ClusterSettings
  /// The text of `cluster.yaml`, for the run's manifest.
  public var configText: String
  public var runFolder: String
  /// Where `KeyRing.make` put the keys.
  public var keysFolder: String

  public init(
    settings: ClusterSettings, configText: String, runFolder: String, keysFolder: String
  ) {
    self.settings = settings
    self.configText = configText
    self.runFolder = runFolder
    self.keysFolder = keysFolder
  }
}

/// How a coordinator ended without an error.
public enum RunEnd: Hashable, Sendable {
  /// The run is done; its report is at this path.
  case finished(report: String)
  /// Told to stop before the end; started again it goes on.
  case stopped
}

/// A coordinator process: decides and remembers, from the beginning or from where it was.
public struct CoordinatorService: Sendable {
  private let options: CoordinatorOptions
  private let log: Logger

  public init(_ options: CoordinatorOptions, log: Logger) {
    self.options = options
    self.log = log
  }

  /// Runs to the end, or until cancelled or told to stop.
  ///
  /// - Parameters:
  ///   - onListening: hears the control and the bulk endpoint, as workers on this machine reach
  ///     them.
  ///   - onProgress: hears about once a second where the run stands.
  public func run(
    onListening: @Sendable (_ control: String, _ bulk: String) -> Void = { _, _ in },
    onProgress: @escaping @Sendable (StatusReport) -> Void = { _ in }
  ) async throws -> RunEnd {
    let folder = RunFolder(path: options.runFolder)
    let settings = options.settings
    let store = try RunStore(folder: folder.path)
    try pinSettings(in: store)
    let keys = try KeyRing(reading: options.keysFolder)
    let revoked = RevokedWorkers(store: store)
    let allowList = AllowList(keys.allowList(without: try revoked.names()))
    let control = try MessageServer(
      endpoint: settings.coordinator.control.zeroMQ, security: .curve(keys.keys, allowList))
    let bulk = try MessageServer(
      endpoint: settings.coordinator.bulk.zeroMQ, security: .curve(keys.keys, allowList),
      limits: .bulk)
    log.info("run \(settings.run): control \(control.endpoint), bulk \(bulk.endpoint)")
    try announce(folder, control: control)
    onListening(local(control.endpoint), local(bulk.endpoint))
    defer { try? FileManager.default.removeItem(atPath: folder.presence) }

    let runSettings = try RunSettings(settings, kernelSet: try store.kernelSet())
    let revokedNames = try revoked.names()
    let inventory = Inventory(path: folder.inventory)
    let (requests, inbox) = AsyncStream<Request>.makeStream()
    let loop = ClusterLoop(
      machine: RunMachine(
        settings: runSettings, restored: try store.restore(), revoked: revokedNames,
        address: { Digest(of: $0) }, at: .zero),
      store: store, control: control, requests: inbox,
      recorder: try Recorder.open(
        folder, store: store, settings: runSettings, revoked: revokedNames,
        bytesMax: settings.coordinator.journalBytesMax, log: log), log: log)
    let blobServer = BlobServer(
      server: bulk, blobs: store.blobs, inventory: inventory,
      pieceLists: PieceLists(folder: folder.pieces), log: log,
      onComplaint: { await loop.drop($0, of: $1) })
    let desk = AdminDesk(
      loop: loop, blobs: blobServer, control: control, keys: keys, allowList: allowList,
      revoked: revoked, stop: Signal())
    let office = Office(
      options: options, folder: folder, settings: runSettings, store: store, inventory: inventory,
      loop: loop, log: log)

    let result: Result<RunEnd, any Error>
    do {
      result = .success(
        try await withThrowingTaskGroup(of: RunEnd?.self) { group in
          group.addTask {
            await blobServer.run()
            return nil
          }
          group.addTask {
            try await serve(control, loop, desk)
            return nil
          }
          group.addTask {
            try await tick(loop, runSettings.timing.tickEvery)
            return nil
          }
          group.addTask { try await office.run(requests) }
          group.addTask {
            await watch(loop, onProgress)
            return nil
          }
          group.addTask {
            await desk.stop.wait()
            return .stopped
          }
          defer { group.cancelAll() }
          while let end = try await group.next() {
            if let end { return end }
          }
          return .stopped
        })
    } catch is CancellationError {
      result = .success(.stopped)
    } catch {
      result = .failure(error)
    }
    await control.close()
    await bulk.close()
    if case .success(.finished) = result { try await office.writeLastReport() }
    await loop.finishSweeping()
    await loop.finishRecording()
    try store.close()
    return try result.get()
  }

  /// Refuses a folder that was begun with settings that give other results.
  private func pinSettings(in store: RunStore) throws {
    let now = options.settings.methodDigest.hex
    if let before = try store.fact(Fact.method), before != now {
      throw PreparationError.otherSettings(folder: options.runFolder)
    }
    try store.setFact(Fact.method, now)
    try store.setFact(Fact.config, Digest(hashing: options.configText.utf8).hex)
  }

  private func announce(_ folder: RunFolder, control: MessageServer) throws {
    let presence = Presence(
      pid: ProcessInfo.processInfo.processIdentifier, control: local(control.endpoint),
      keys: URL(filePath: options.keysFolder).standardizedFileURL.path)
    try JSONEncoder().encode(presence).write(
      to: URL(filePath: folder.presence), options: .atomic)
  }

  private func serve(
    _ control: MessageServer, _ loop: ClusterLoop, _ desk: AdminDesk
  ) async throws {
    while true {
      let events = await control.events.nextBatch(max: 256)
      if events.isEmpty { return }
      var others: [ServerEvent] = []
      for event in events {
        if case .message(let incoming) = event, incoming.peer == KeyRing.admin {
          await desk.answer(incoming)
        } else {
          others.append(event)
        }
      }
      try await loop.receive(others)
    }
  }

  private func tick(_ loop: ClusterLoop, _ every: Duration) async throws {
    while true {
      try await Task.sleep(for: every)
      try await loop.tick()
    }
  }

  private func watch(
    _ loop: ClusterLoop, _ onProgress: @Sendable (StatusReport) -> Void
  ) async {
    while !Task.isCancelled {
      onProgress(await loop.status())
      try? await Task.sleep(for: .seconds(1))
    }
  }
}

/// A bound endpoint as processes on this machine reach it.
private func local(_ endpoint: String) -> String {
  "tcp://127.0.0.1:" + (endpoint.split(separator: ":").last.map(String.init) ?? "")
}

/// The names of what a run remembers about itself.
enum Fact {
  static let method = "method_sha256"
  static let config = "config_sha256"
  /// Caption pairs that stage 1 learns from.
  static let pairs = "pretraining_pairs"
}
