import Foundation

/// All that a worker needs to take part: who it is, and where and who the coordinator is.
///
/// It holds a secret key: the file can be read by its owner alone (mode 0600).
public struct AccessFile: Hashable, Sendable, Codable {
  public var worker: String
  public var keys: CurveKeyPair
  public var coordinatorPublicKey: String
  /// Endpoints of the coordinator's two sockets, like `tcp://host:7700`.
  public var control: String
  public var bulk: String

  public init(
    worker: String, keys: CurveKeyPair, coordinatorPublicKey: String, control: String, bulk: String
  ) {
    self.worker = worker
    self.keys = keys
    self.coordinatorPublicKey = coordinatorPublicKey
    self.control = control
    self.bulk = bulk
  }

  public init(reading path: String) throws(TransportError) {
    self = try readSecret(AccessFile.self, path, "an access file")
    do throws(TransportError) {
      try check(key: coordinatorPublicKey, "coordinator's public key")
    } catch {
      throw .accessFile(path: path, reason: error.description)
    }
    guard !worker.isEmpty else { throw .accessFile(path: path, reason: "the worker has no name") }
  }

  /// Writes the file anew, or in place of an older one, as a whole.
  public func write(to path: String) throws(TransportError) { try writeSecret(self, path) }
}

extension CurveKeyPair {
  /// From a file of its own, like the coordinator's.
  public init(reading path: String) throws(TransportError) {
    self = try readSecret(CurveKeyPair.self, path, "a key file")
  }

  /// Writes the file anew, or in place of an older one, as a whole; mode 0600.
  public func write(to path: String) throws(TransportError) { try writeSecret(self, path) }
}

private func readSecret<Value: Decodable>(
  _ type: Value.Type, _ path: String, _ what: String
) throws(TransportError) -> Value {
  do {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    guard mode & 0o077 == 0 else {
      throw TransportError.accessFile(
        path: path,
        reason:
          "others may read it (mode \(String(mode, radix: 8))); chmod 600 it, and make new keys")
    }
    return try JSONDecoder().decode(type, from: Data(contentsOf: URL(fileURLWithPath: path)))
  } catch let error as TransportError {
    throw error
  } catch let error as DecodingError {
    throw .accessFile(path: path, reason: "not \(what): \(words(error))")
  } catch {
    throw .accessFile(path: path, reason: error.localizedDescription)
  }
}

private func words(_ error: DecodingError) -> String {
  switch error {
  case .keyNotFound(let key, _): "`\(key.stringValue)` is missing"
  case .typeMismatch(_, let context), .valueNotFound(_, let context):
    "`\(context.codingPath.map(\.stringValue).joined(separator: "."))`: \(context.debugDescription)"
  case .dataCorrupted(let context): context.debugDescription
  @unknown default: "\(error)"
  }
}

private func writeSecret(_ value: some Encodable, _ path: String) throws(TransportError) {
  let aside = path + ".new"
  do {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data = try encoder.encode(value) + Data("\n".utf8)
    try? FileManager.default.removeItem(atPath: aside)
    // Made with its mode: it is never readable by others, not even for a moment.
    guard
      FileManager.default.createFile(
        atPath: aside, contents: nil, attributes: [.posixPermissions: 0o600])
    else {
      throw TransportError.accessFile(path: path, reason: "cannot be made; is the folder there?")
    }
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: aside))
    try handle.write(contentsOf: data)
    try handle.synchronize()
    try handle.close()
  } catch let error as TransportError {
    throw error
  } catch {
    throw .accessFile(path: path, reason: error.localizedDescription)
  }
  guard unsafe rename(aside, path) == 0 else {
    throw .accessFile(path: path, reason: "cannot be put in its place")
  }
}
