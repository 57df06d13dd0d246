public import Foundation

/// A folder of its own that is gone with the last reference to it.
public final class TemporaryFolder: Sendable {
  public let path: String
  public var url: URL { URL(filePath: path, directoryHint: .isDirectory) }

  /// - Throws: when the folder cannot be made.
  public init() throws {
    path = NSTemporaryDirectory() + "comd-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of something in the folder, there or not.
  public func path(_ name: String) -> String { path + "/" + name }

  /// Writes a file, and the folders that it lies in, and gives its path.
  @discardableResult
  public func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return path(name)
  }

  @discardableResult
  public func write(_ name: String, _ text: String) throws -> String {
    try write(name, text.utf8)
  }
}

/// Lends a folder of its own, which is gone afterwards.
public func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = try TemporaryFolder()
  return try withExtendedLifetime(folder) { try body(folder.path) }
}
