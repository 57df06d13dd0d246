import Domain

/// What a scalar may be: how it is read, and how that is told to who wrote something else.
struct Form<Value>: Sendable {
  var allowed: String
  var read: @Sendable (String) -> Value?
}

extension Form<String> {
  static let text = Form(allowed: "a text that is not empty") { $0.isEmpty ? nil : $0 }

  /// A name that is safe in file names, tables and addresses.
  static let name = Form(allowed: "1 to 64 letters, digits, '.', '_' or '-', no '.' first") {
    text in
    let fits = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "-"):
        true
      case _: false
      }
    }
    return fits && (1...64).contains(text.utf8.count) && !text.hasPrefix(".") ? text : nil
  }
}

extension Form<Int> {
  static func integer(_ range: ClosedRange<Int>) -> Form {
    Form(allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }
}

extension Form<Bool> {
  static let flag = Form(allowed: "true or false") { text in
    switch text {
    case "true": true
    case "false": false
    default: nil
    }
  }
}

extension Form<UInt64> {
  static let seed = Form(allowed: "a whole number from 0 to \(UInt64.max)") { UInt64($0) }
}

extension Form<Double> {
  static func number(_ range: ClosedRange<Double>) -> Form {
    Form(allowed: "a number from \(range.lowerBound) to \(range.upperBound)") { text in
      decimal(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  static func number(above lower: Double, to upper: Double) -> Form {
    Form(allowed: "a number above \(lower), at most \(upper)") { text in
      decimal(text).flatMap { $0 > lower && $0 <= upper ? $0 : nil }
    }
  }

  static func number(from lower: Double, below upper: Double) -> Form {
    Form(allowed: "a number from \(lower), below \(upper)") { text in
      decimal(text).flatMap { $0 >= lower && $0 < upper ? $0 : nil }
    }
  }
}

/// Digits, point and exponent only: no `nan`, no `inf`, no hexadecimal.
private func decimal(_ text: String) -> Double? {
  let plain = text.utf8.allSatisfy { byte in
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.eE".utf8.contains(byte)
  }
  return plain ? Double(text) : nil
}

extension Form<Duration> {
  static func time(_ range: ClosedRange<Duration>) -> Form {
    Form(
      allowed: "a time from \(range.lowerBound.written) to \(range.upperBound.written),"
        + " like 250ms, 10s or 2m"
    ) { text in
      Duration(written: text).flatMap { range.contains($0) ? $0 : nil }
    }
  }
}

extension Form where Value: CaseIterable & RawRepresentable<String> & Sendable {
  static var oneOf: Form {
    Form(allowed: "one of: " + Value.allCases.map(\.rawValue).joined(separator: ", ")) {
      Value(rawValue: $0)
    }
  }
}

extension Form<Precision> {
  /// Of a model that is trained.
  static let tuned = Form(allowed: "f32 or bf16: what is tuned is not in int8") {
    $0 == Precision.int8.rawValue ? nil : Precision(rawValue: $0)
  }
}

extension Form<Endpoint> {
  static let zeroMQ = Form(allowed: "tcp://HOST:PORT, the port from 0 (any free one) to 65535") {
    $0.hasPrefix("tcp://") ? Endpoint(authority: $0.dropFirst("tcp://".count)) : nil
  }
}

extension Form<Endpoint?> {
  static let dashboard = Form(
    allowed: "HOST:PORT, the port from 0 (any free one) to 65535, or none"
  ) { text in
    text == "none" ? .some(nil) : Endpoint(authority: text[...]).map(Optional.some)
  }
}

extension Form<Int64?> {
  static let bytesOrNone = Form(allowed: "bytes from 1MiB, like 512MiB or 4GiB, or none") { text in
    if text == "none" { return .some(nil) }
    return Int64(writtenBytes: text).flatMap { $0 >= 1 << 20 ? .some($0) : nil }
  }
}

extension Endpoint {
  /// Reads `host:port`, where an IPv6 host stands in brackets.
  init?(authority: Substring) {
    guard let colon = authority.lastIndex(of: ":") else { return nil }
    let digits = authority[authority.index(after: colon)...]
    guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = Int(digits),
      (0...65_535).contains(port)
    else { return nil }
    var host = authority[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || "/[]".contains($0) }) else {
      return nil
    }
    self.init(host: String(host), port: port)
  }
}
