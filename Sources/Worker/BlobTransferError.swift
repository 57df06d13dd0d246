import Domain
import Hashing
import Protocol

/// Why a blob could not be had or handed in.
enum BlobTransferError: Error, CustomStringConvertible {
  case refused(Digest, BulkRefusal)
  case tooLarge(Digest, bytes: Int64, limit: Int64)
  case manifest(Digest, String)
  case stopped

  var description: String {
    switch self {
    case .refused(let blob, let reason): "blob \(blob): the coordinator refuses it: \(reason)"
    case .tooLarge(let blob, let bytes, let limit):
      "blob \(blob) has \(bytes) bytes, and the cache may hold \(limit): give this worker a larger "
        + "--cache"
    case .manifest(let blob, let reason): "blob \(blob) is no model manifest: \(reason)"
    case .stopped: "the worker is stopping"
    }
  }
}
