public import Domain
import Foundation

/// Why a list of files is not a model's manifest.
public enum ManifestError: Error, Hashable, Sendable {
  case notAManifest(reason: String)
  case line(number: Int, reason: String)
  case path(String, reason: String)
  case unreadable(path: String, reason: String)
}

extension ManifestError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notAManifest(let reason): "not a model's manifest: \(reason)"
    case .line(let number, let reason): "manifest, line \(number): \(reason)"
    case .path(let path, let reason): "manifest: \(path): \(reason)"
    case .unreadable(let path, let reason): "\(path): \(reason)"
    }
  }
}

/// The files of a model: its canonical text is a blob, whose SHA-256 is the model's digest.
///
/// The text is `comd-manifest-1`, then a line `<sha256> <size> <path>` per file, sorted by path.
public struct ModelManifest: Hashable, Sendable {
  public struct File: Hashable, Sendable {
    /// Relative, with `/` between its parts.
    public var path: String
    public var size: Int64
    public var sha256: Digest
    public init(path: String, size: Int64, sha256: Digest) {
      self.path = path
      self.size = size
      self.sha256 = sha256
    }
  }

  /// Sorted by path.
  public let files: [File]

  private static let header = "comd-manifest-1"
  private static let filesMax = 10_000
  private static let pathBytesMax = 1024

  public init(files: [File]) throws(ManifestError) {
    let sorted = files.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    guard !sorted.isEmpty, sorted.count <= ModelManifest.filesMax else {
      throw .notAManifest(
        reason: "\(sorted.count) files, 1 to \(ModelManifest.filesMax) are allowed")
    }
    for (index, file) in sorted.enumerated() {
      try ModelManifest.check(file)
      if index > 0, sorted[index - 1].path == file.path {
        throw .path(file.path, reason: "is named twice")
      }
    }
    self.files = sorted
  }

  /// A path that stays inside the folder that the files are laid out in.
  private static func check(_ file: File) throws(ManifestError) {
    let parts = file.path.split(separator: "/", omittingEmptySubsequences: false)
    if parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) {
      throw .path(file.path, reason: "is not a plain path below the model's folder")
    }
    if file.path.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) {
      throw .path(file.path, reason: "has control characters")
    }
    if file.path.utf8.count > pathBytesMax {
      throw .path(file.path, reason: "is longer than \(pathBytesMax) bytes")
    }
    if file.size < 0 { throw .path(file.path, reason: "has a size below 0") }
  }

  /// Reads the canonical text; any other text of the same files is refused.
  public init(parsing bytes: [UInt8]) throws(ManifestError) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .notAManifest(reason: "not UTF-8")
    }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.first == ModelManifest.header[...], lines.last?.isEmpty == true, lines.count > 1
    else { throw .notAManifest(reason: "it is not framed as \(ModelManifest.header)") }
    lines.removeLast()
    guard lines.count - 1 <= ModelManifest.filesMax else {
      throw .notAManifest(reason: "more than \(ModelManifest.filesMax) files")
    }
    var files: [File] = []
    for (index, line) in lines.enumerated().dropFirst() {
      let fields = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3, let digest = Digest(hex: fields[0]), let size = Int64(fields[1])
      else { throw .line(number: index + 1, reason: "`<sha256> <size> <path>` expected") }
      files.append(File(path: String(fields[2]), size: size, sha256: digest))
    }
    try self.init(files: files)
    guard canonicalBytes == bytes else {
      throw .notAManifest(reason: "its lines are not in canonical form and order")
    }
  }

  /// Reads and hashes the files of a folder, through links, leaving out hidden ones; or one file,
  /// like a GGUF.
  public init(scanning path: String) throws(ManifestError) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw .unreadable(path: path, reason: "no such file or folder")
    }
    guard isFolder.boolValue else {
      try self.init(files: [
        ModelManifest.file((path as NSString).lastPathComponent, at: path)
      ])
      return
    }
    var files: [File] = []
    for name in try ModelManifest.names(in: path, below: "", depth: 0) {
      files.append(try ModelManifest.file(name, at: path + "/" + name))
    }
    try self.init(files: files)
  }

  private static func file(_ name: String, at path: String) throws(ManifestError) -> File {
    var hash = IncrementalHash()
    var size: Int64 = 0
    do {
      try forEachPiece(of: path) { piece in
        hash.update(piece)
        size += Int64(piece.count)
      }
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    return File(path: name, size: size, sha256: hash.finish())
  }

  /// Paths of the files below a folder. The depth is bounded: a link may lead back up.
  private static func names(
    in folder: String, below prefix: String, depth: Int
  ) throws(ManifestError) -> [String] {
    guard depth < 8 else { throw .unreadable(path: folder, reason: "nested too deeply") }
    let entries: [String]
    do {
      entries = try FileManager.default.contentsOfDirectory(atPath: folder)
    } catch {
      throw .unreadable(path: folder, reason: error.localizedDescription)
    }
    var names: [String] = []
    for entry in entries.sorted() where !entry.hasPrefix(".") {
      let path = folder + "/" + entry
      if fileSize(path) != nil {
        names.append(prefix + entry)
      } else {
        names += try ModelManifest.names(in: path, below: prefix + entry + "/", depth: depth + 1)
      }
    }
    return names
  }

  public var canonicalBytes: [UInt8] {
    let lines = files.map { "\($0.sha256.hex) \($0.size) \($0.path)\n" }
    return Array((ModelManifest.header + "\n" + lines.joined()).utf8)
  }

  /// The model's digest.
  public var digest: Digest { Digest(hashing: canonicalBytes) }

  public var totalBytes: Int64 { files.reduce(0) { $0 + $1.size } }
}
