/// Why bytes are not a message. The peer or the disk is at fault, never the program.
public enum ProtocolError: Error, Hashable, Sendable {
  /// No bytes at all; proto3 would take them for a message whose fields are all 0.
  case empty(message: String)
  case tooLong(message: String, bytes: Int, limit: Int)
  /// Not in the form of the wire contract.
  case malformed(message: String)
  case version(message: String, found: UInt32, supported: UInt32)
  case missing(field: String)
  case outOfRange(field: String, found: String, allowed: String)
  /// The second frame does not have the size that the first one states.
  case payload(message: String, bytes: Int, stated: Int)
  /// Bytes from a disk that were cut off or changed there.
  case damaged(what: String, reason: String)
}

extension ProtocolError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .empty(let message): "\(message): an empty buffer is not a message"
    case .tooLong(let message, let bytes, let limit):
      "\(message): \(bytes) bytes, at most \(limit) are allowed"
    case .malformed(let message): "\(message): not in the form of the wire contract"
    case .version(let message, let found, let supported):
      "\(message): version \(found), this program speaks \(supported); use the same release on all"
    case .missing(let field): "\(field) is missing"
    case .outOfRange(let field, let found, let allowed): "\(field) is \(found), allowed: \(allowed)"
    case .payload(let message, let bytes, let stated):
      "\(message): the data frame has \(bytes) bytes, \(stated) were announced"
    case .damaged(let what, let reason): "\(what) is damaged: \(reason)"
    }
  }
}
