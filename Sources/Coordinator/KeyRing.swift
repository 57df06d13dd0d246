import Foundation
import Transport

/// Why the cluster's keys could not be read or made.
public struct KeyRingError: Error, CustomStringConvertible {
  public var path: String
  public var what: String
  public var description: String { "\(path): \(what)" }
}

/// The keys of a cluster, in a folder that only its owner can read.
///
/// `coordinator.json` holds the coordinator's pair, `allowed.json` the public key of everyone who
/// may connect, `workers/<name>.access` what one worker needs, `admin.access` what `comd status`
/// needs.
public struct KeyRing: Sendable {
  /// The name of the operator's key on the allow-list; no worker may have it.
  static let admin = "@admin"

  public let folder: String
  let keys: CurveKeyPair
  /// Name → public key, the operator's among them.
  private(set) var allowed: [String: String]

  private static func coordinatorPath(_ folder: String) -> String { folder + "/coordinator.json" }
  private static func allowedPath(_ folder: String) -> String { folder + "/allowed.json" }

  public func accessPath(worker: String) -> String { "\(folder)/workers/\(worker).access" }
  public var adminAccessPath: String { folder + "/admin.access" }

  /// Makes the folder and what is missing in it; keys that are there stay as they are.
  ///
  /// - Parameters:
  ///   - control: endpoint of the control socket as workers reach it, like `tcp://node0:7700`.
  ///   - bulk: the same for the bulk socket.
  public static func make(
    folder: String, workers: [String], control: String, bulk: String
  ) throws(KeyRingError) -> KeyRing {
    do {
      let files = FileManager.default
      try files.createDirectory(
        atPath: folder + "/workers", withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      var ring: KeyRing
      if files.fileExists(atPath: coordinatorPath(folder)) {
        ring = try KeyRing(reading: folder)
      } else {
        ring = KeyRing(folder: folder, keys: try CurveKeyPair.generate(), allowed: [:])
        try write(StoredPair(ring.keys), to: coordinatorPath(folder))
      }
      for name in workers + [admin] {
        try ring.admit(name, control: control, bulk: bulk)
      }
      try write(ring.allowed, to: allowedPath(folder))
      return ring
    } catch let error as KeyRingError {
      throw error
    } catch {
      throw KeyRingError(path: folder, what: "the keys cannot be made: \(error)")
    }
  }

  /// Reads the keys that `make` wrote.
  public init(reading folder: String) throws(KeyRingError) {
    do {
      let pair: StoredPair = try Self.read(Self.coordinatorPath(folder))
      let keys = try CurveKeyPair(publicKey: pair.publicKey, secretKey: pair.secretKey)
      let path = Self.allowedPath(folder)
      let known = FileManager.default.fileExists(atPath: path)
      self.init(folder: folder, keys: keys, allowed: known ? try Self.read(path) : [:])
    } catch {
      throw KeyRingError(
        path: folder, what: "no keys of a cluster: \(error); `comd init` makes them")
    }
  }

  private init(folder: String, keys: CurveKeyPair, allowed: [String: String]) {
    self.folder = folder
    self.keys = keys
    self.allowed = allowed
  }

  /// A key and an access file for `name`; a file that is there keeps its key, but gets the
  /// endpoints of today.
  private mutating func admit(_ name: String, control: String, bulk: String) throws {
    let path = name == Self.admin ? adminAccessPath : accessPath(worker: name)
    let old = try? AccessFile(reading: path)
    let access = AccessFile(
      worker: name, keys: try old?.keys ?? CurveKeyPair.generate(),
      coordinatorPublicKey: keys.publicKey, control: control, bulk: bulk)
    if old != access { try access.write(to: path) }
    allowed[name] = access.keys.publicKey
  }

  /// Public key → name, as the sockets want it; revoked workers left out.
  func allowList(without revoked: Set<String>) -> [String: String] {
    var names: [String: String] = [:]
    for (name, key) in allowed where !revoked.contains(name) { names[key] = name }
    return names
  }

  private struct StoredPair: Codable {
    var publicKey: String
    var secretKey: String
    init(_ keys: CurveKeyPair) { (publicKey, secretKey) = (keys.publicKey, keys.secretKey) }
  }

  private static func write(_ value: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let written = FileManager.default.createFile(
      atPath: path, contents: try encoder.encode(value), attributes: [.posixPermissions: 0o600])
    if !written { throw KeyRingError(path: path, what: "cannot be written") }
  }

  private static func read<Value: Decodable>(_ path: String) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(contentsOf: URL(filePath: path)))
  }
}
