extension Duration {
  /// A time as people write it: `250ms`, `10s`, `1.5s`, `2m`, `12h`. Nil for anything else.
  public init?(written text: String) {
    let units: [(String, Double)] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
    guard let (number, unit) = split(text, units: units), number * unit <= 1e12 else { return nil }
    self = .milliseconds(Int64((number * unit).rounded()))
  }

  /// The shortest text that `init(written:)` reads back; parts of a millisecond are dropped.
  public var written: String {
    let (seconds, attoseconds) = components
    let milliseconds = seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    if milliseconds == 0 { return "0s" }
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] as [(Int64, String)]
    where milliseconds % unit == 0 {
      return "\(milliseconds / unit)\(name)"
    }
    return "\(milliseconds)ms"
  }
}

extension Int64 {
  /// Bytes as people write them: `512`, `64KiB`, `8GiB`, `20MB`. Nil for anything else.
  ///
  /// `KiB`, `MiB`, `GiB`, `TiB` are powers of 1024; `kB`, `MB`, `GB`, `TB` powers of 1000.
  public init?(writtenBytes text: String) {
    let units: [(String, Double)] = [
      ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40),
      ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1), ("", 1),
    ]
    guard let (number, unit) = split(text, units: units) else { return nil }
    let bytes = number * unit
    guard bytes <= 0x1p62, bytes == bytes.rounded() else { return nil }
    self = Int64(bytes)
  }
}

extension Int64 {
  /// The shortest text in powers of 1024 that `init(writtenBytes:)` reads back.
  public var writtenBytes: String {
    let units: [(Int64, String)] = [
      (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"),
    ]
    for (unit, name) in units where self > 0 && self % unit == 0 {
      return "\(self / unit)\(name)"
    }
    return "\(self)"
  }
}

/// Decimal digits with at most one point, then exactly one of the units.
private func split(_ text: String, units: [(String, Double)]) -> (Double, Double)? {
  let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
  let rest = text.dropFirst(digits.count).drop { $0 == " " }
  guard digits.first?.isNumber == true, let number = Double(digits) else { return nil }
  return units.first { $0.0 == rest }.map { (number, $0.1) }
}
