public import Domain
import Foundation

/// Why a blob cannot be had or kept. The world's fault, not the program's.
public enum BlobError: Error, Hashable, Sendable {
  case missing(Digest)
  /// The bytes on the disk are not those that the name promises; they were set aside.
  case corrupt(Digest, path: String)
  /// Bytes that arrived are not those that the digest names.
  case mismatch(expected: Digest, found: Digest)
  /// A piece that arrived is not what the list of the blob's pieces says.
  case piece(Digest, index: Int)
  /// A chunk that does not follow the last one, or runs beyond the announced size.
  case chunk(Digest, offset: Int64, expected: Int64, size: Int64)
  case diskFull(path: String)
  case io(path: String, reason: String)
}

extension BlobError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .missing(let digest): "blob \(digest) is not here"
    case .corrupt(let digest, let path):
      "blob \(digest) is damaged on disk; it was set aside as \(path).corrupt: check that disk"
    case .mismatch(let expected, let found):
      "\(found) arrived where \(expected) was expected: send it again"
    case .piece(let digest, let index):
      "blob \(digest): other bytes arrived than those of its piece \(index)"
    case .chunk(let digest, let offset, let expected, let size):
      "blob \(digest): a chunk at \(offset), \(expected) of \(size) bytes are here"
    case .diskFull(let path): "\(path): no space left on the device; make room and start again"
    case .io(let path, let reason): "\(path): \(reason)"
    }
  }
}

/// Runs `body`, whose errors are Foundation's, and names the path in what it throws.
func naming<Value>(
  _ path: String, _ body: () throws -> Value
) throws(BlobError) -> Value {
  do {
    return try body()
  } catch let error as BlobError {
    throw error
  } catch let error as CocoaError where error.code == .fileWriteOutOfSpace {
    throw .diskFull(path: path)
  } catch {
    throw .io(path: path, reason: error.localizedDescription)
  }
}
