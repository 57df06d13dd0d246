/// A JSON document (RFC 8259), with the members of objects in the order of the file.
///
/// Written here rather than taken from Foundation because vocabularies need keys compared by bytes
/// (Swift's strings are equal when canonically equivalent, tokens are not), a bound on depth, and
/// output that is the same byte for byte everywhere.
enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([JSONMember])

  /// An object from pairs, in the given order.
  static func members(_ pairs: [(String, JSONValue)]) -> JSONValue {
    .object(pairs.map { JSONMember(name: $0.0, value: $0.1) })
  }
}

struct JSONMember: Hashable, Sendable {
  var name: String
  var value: JSONValue
}

extension JSONValue {
  /// The last member of that name, as most readers take it; nil when absent or not an object.
  subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name.utf8.elementsEqual(name.utf8) }?.value
  }

  /// What the value is, for error messages.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): "\"\(value.prefix(60))\""
    case .array(let values): "an array of \(values.count)"
    case .object(let members): "an object of \(members.count)"
    }
  }
}
