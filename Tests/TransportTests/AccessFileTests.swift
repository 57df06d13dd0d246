import Foundation
import Testing
import Transport

@Suite("An access file")
final class AccessFileTests {
  /// Holds secret keys: gone with each test.
  private let folder = NSTemporaryDirectory() + "access-\(UUID().uuidString)"

  init() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func access() throws -> AccessFile {
    AccessFile(
      worker: "w1", keys: try .generate(),
      coordinatorPublicKey: try CurveKeyPair.generate().publicKey,
      control: "tcp://127.0.0.1:7700", bulk: "tcp://127.0.0.1:7701")
  }

  @Test("is read back as it was written, and its owner alone may read it")
  func roundTrip() throws {
    let path = folder + "/w1.access"
    let access = try access()
    try access.write(to: path)
    try access.write(to: path)
    #expect(try AccessFile(reading: path) == access)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
    #expect((mode as? NSNumber)?.intValue == 0o600)
  }

  @Test("is refused when others may read it")
  func readable() throws {
    let path = folder + "/w1.access"
    try access().write(to: path)
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    #expect {
      try AccessFile(reading: path)
    } throws: { error in
      "\(error)".contains("chmod 600")
    }
  }

  @Test("is refused with the missing key's name when it is not whole, and when it is not there")
  func broken() throws {
    let path = folder + "/w1.access"
    let made = FileManager.default.createFile(
      atPath: path, contents: Data(#"{"worker": "w1"}"#.utf8),
      attributes: [.posixPermissions: 0o600])
    #expect(made)
    #expect {
      try AccessFile(reading: path)
    } throws: { error in
      "\(error)".contains("is missing") && "\(error)".contains(path)
    }
    #expect(throws: TransportError.self) { try AccessFile(reading: path + ".not") }
  }

  @Test("with keys that do not belong together is refused")
  func wrongKeys() throws {
    let path = folder + "/w1.access"
    try access().write(to: path)
    let other = try CurveKeyPair.generate().publicKey
    var words = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path)))
        as? [String: Any])
    var keys = try #require(words["keys"] as? [String: String])
    keys["publicKey"] = other
    words["keys"] = keys
    try JSONSerialization.data(withJSONObject: words).write(to: URL(filePath: path))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    #expect {
      try AccessFile(reading: path)
    } throws: { error in
      "\(error)".contains("does not belong")
    }
  }
}
