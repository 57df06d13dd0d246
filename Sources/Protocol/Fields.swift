import CProtocol
import Domain

/// Readers of fields that trust nothing; each names the field in its error.
enum Checked {
  static func digest(_ data: ProtobufCBinaryData, _ field: String) throws(ProtocolError) -> Digest {
    guard unsafe data.len > 0 else { throw .missing(field: field) }
    guard let digest = unsafe Digest(bytes: UnsafeBufferPointer(start: data.data, count: data.len))
    else {
      throw .outOfRange(field: field, found: "\(unsafe data.len) bytes", allowed: "32 bytes")
    }
    return digest
  }

  static func text(
    _ data: ProtobufCBinaryData, _ field: String, bytesMax: Int = WireLimits.textBytesMax
  ) throws(ProtocolError) -> String {
    guard unsafe data.len <= bytesMax else {
      throw .outOfRange(
        field: field, found: "\(unsafe data.len) bytes", allowed: "at most \(bytesMax) bytes")
    }
    let bytes = unsafe UnsafeBufferPointer(start: data.data, count: data.len)
    guard let text = unsafe String(validating: bytes, as: UTF8.self) else {
      throw .outOfRange(field: field, found: "other bytes", allowed: "UTF-8")
    }
    return text
  }

  /// A text that must not be empty: names, endpoints.
  static func name(_ data: ProtobufCBinaryData, _ field: String) throws(ProtocolError) -> String {
    guard unsafe data.len > 0 else { throw .missing(field: field) }
    return try unsafe text(data, field, bytesMax: WireLimits.nameBytesMax)
  }

  static func reason(_ data: ProtobufCBinaryData, _ field: String) throws(ProtocolError) -> String {
    try unsafe text(data, field, bytesMax: WireLimits.reasonBytesMax)
  }

  /// A CURVE key in Z85.
  static func curveKey(_ data: ProtobufCBinaryData, _ field: String) throws(ProtocolError) -> String
  {
    let key = try unsafe name(data, field)
    guard key.utf8.count == 40 else {
      throw .outOfRange(
        field: field, found: "\(key.utf8.count) characters", allowed: "40 characters of Z85")
    }
    return key
  }

  static func integer<Number: BinaryInteger>(
    _ number: Number, _ field: String, in range: ClosedRange<Int> = 0...Int.max
  ) throws(ProtocolError) -> Int {
    guard let value = Int(exactly: number), range.contains(value) else {
      let allowed =
        range.upperBound == Int.max
        ? "from \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
      throw .outOfRange(field: field, found: "\(number)", allowed: allowed)
    }
    return value
  }

  static func job(_ number: UInt64, _ field: String) throws(ProtocolError) -> JobID {
    JobID(Int64(try integer(number, field, in: 1...Int.max)))
  }

  static func training(_ iteration: UInt32, _ field: String) throws(ProtocolError) -> TrainingID {
    TrainingID(iteration: try integer(iteration, field, in: 0...1_000_000))
  }

  /// A finite number within a range.
  static func real(
    _ number: Double, _ field: String, in range: ClosedRange<Double>
  ) throws(ProtocolError) -> Double {
    guard range.contains(number) else {
      throw .outOfRange(
        field: field, found: "\(number)", allowed: "\(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  static func present<Message>(
    _ message: UnsafeMutablePointer<Message>?, _ field: String
  ) throws(ProtocolError) -> Message {
    guard let message = unsafe message else { throw .missing(field: field) }
    return unsafe message.pointee
  }

  static func bounded(_ count: Int, _ field: String, max: Int) throws(ProtocolError) {
    guard count <= max else {
      throw .outOfRange(field: field, found: "\(count) entries", allowed: "at most \(max)")
    }
  }

  /// A repeated field of numbers or byte strings.
  static func list<Element, Value>(
    _ start: UnsafeMutablePointer<Element>?, _ count: Int, _ field: String, max: Int,
    _ read: (Element, String) throws(ProtocolError) -> Value
  ) throws(ProtocolError) -> [Value] {
    try bounded(count, field, max: max)
    var values: [Value] = []
    values.reserveCapacity(count)
    for index in 0..<count {
      guard let start = unsafe start else { break }
      values.append(try unsafe read(start[index], field))
    }
    return values
  }

  /// A repeated field of messages.
  static func messages<Message, Value>(
    _ start: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?, _ count: Int, _ field: String,
    max: Int, _ read: (Message) throws(ProtocolError) -> Value
  ) throws(ProtocolError) -> [Value] {
    try unsafe list(start, count, field, max: max) { (element, field) throws(ProtocolError) in
      try unsafe read(present(element, field))
    }
  }
}

extension WorkerID {
  init(_ message: Comd__WorkerId, _ field: String) throws(ProtocolError) {
    self.init(
      name: try unsafe Checked.name(message.name, field + ".name"), boot: unsafe message.boot)
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__WorkerId> {
    let c = unsafe arena.make(comd__worker_id__init)
    unsafe c.pointee.name = arena.data(name)
    unsafe c.pointee.boot = boot
    return unsafe c
  }
}
