public import Domain
import Foundation
import Hashing

/// The folder below which the pictures of a data set are found by the names in its records.
public struct ImageFolder: Sendable {
  public let path: String
  private var digests: [String: Digest] = [:]

  public init(_ path: String) { self.path = path }

  /// Where the picture of this name is.
  ///
  /// - Throws: `imageOutside` for an absolute name or one with `..`.
  public func file(_ name: String) throws(DataProblem.Kind) -> String {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.hasPrefix("/"), !parts.contains("..") else { throw .imageOutside(name) }
    return path + "/" + name
  }

  /// SHA-256 of the picture's file; each file is read once.
  ///
  /// - Throws: `imageOutside`, `imageMissing`, or `imageFormat` unless it begins as JPEG or PNG.
  public mutating func digest(of name: String) throws(DataProblem.Kind) -> Digest {
    if let known = digests[name] { return known }
    let bytes = try bytes(of: name)
    guard looksLikePicture(bytes) else { throw .imageFormat(name) }
    let digest = Digest(hashing: bytes)
    digests[name] = digest
    return digest
  }

  /// What is wrong with the picture of this name, by the first bytes of its file; nil if nothing.
  public func problem(with name: String) -> DataProblem.Kind? {
    do throws(DataProblem.Kind) {
      let file = try file(name)
      guard let handle = FileHandle(forReadingAtPath: file) else { return .imageMissing(name) }
      let start = try? handle.read(upToCount: 8)
      return looksLikePicture([UInt8](start ?? Data())) ? nil : .imageFormat(name)
    } catch {
      return error
    }
  }

  /// The picture's file, whole.
  public func bytes(of name: String) throws(DataProblem.Kind) -> [UInt8] {
    let file = try file(name)
    guard let data = FileManager.default.contents(atPath: file) else {
      throw .imageMissing(name)
    }
    return [UInt8](data)
  }
}

/// Whether a file begins as a JPEG or a PNG does.
private func looksLikePicture(_ bytes: [UInt8]) -> Bool {
  bytes.starts(with: [0xff, 0xd8, 0xff])
    || bytes.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
}
