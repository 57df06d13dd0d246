import Domain

extension GenerationRequest {
  /// Reads back `canonicalBytes`: what the store keeps of a request is the very byte string whose
  /// SHA-256 is its address. Nil for any other bytes.
  init?(canonicalBytes bytes: [UInt8]) {
    var reader = CanonicalReader(bytes: bytes)
    guard reader.take(CanonicalReader.header.count)?.elementsEqual(CanonicalReader.header) == true,
      let modelBytes = reader.take(32), let model = Digest(bytes: modelBytes),
      let count = reader.count(ofAtLeast: 9)
    else { return nil }
    var parts: [PromptPart] = []
    parts.reserveCapacity(count)
    for _ in 0..<count {
      guard let part = reader.part() else { return nil }
      parts.append(part)
    }
    guard let temperature = reader.word(), let topP = reader.word(), let tokensMax = reader.word(),
      let seed = reader.word(), let stopCount = reader.count(ofAtLeast: 9)
    else { return nil }
    var stops: [String] = []
    for _ in 0..<stopCount {
      guard case .control(let stop) = reader.part() else { return nil }
      stops.append(stop)
    }
    let code = reader.take(1)?.first
    guard reader.isAtEnd, let tokensMax = Int(exactly: tokensMax),
      let precision = Precision(code: code)
    else { return nil }
    self.init(
      model: model, prompt: Prompt(parts),
      sampling: Sampling(
        temperature: Double(bitPattern: temperature), topP: Double(bitPattern: topP),
        tokensMax: tokensMax, seed: seed, stops: stops),
      precision: precision)
  }
}

private struct CanonicalReader {
  static let header = Array("comd-request-1".utf8)
  let bytes: [UInt8]
  private var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count <= bytes.count - position else { return nil }
    defer { position += count }
    return bytes[position..<position + count]
  }

  mutating func word() -> UInt64? {
    take(8)?.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// A count of items that take at least so many bytes each.
  mutating func count(ofAtLeast itemBytes: Int) -> Int? {
    guard let word = word(), word <= UInt64((bytes.count - position) / itemBytes) else {
      return nil
    }
    return Int(word)
  }

  /// A byte for the kind, the length, the payload: what both parts and stops look like.
  mutating func part() -> PromptPart? {
    guard let kind = take(1)?.first, let length = count(ofAtLeast: 1), let payload = take(length)
    else { return nil }
    switch kind {
    case 0: return String(validating: payload, as: UTF8.self).map { .text($0) }
    case 1: return String(validating: payload, as: UTF8.self).map { .control($0) }
    case 2: return Digest(bytes: payload).map { .image($0) }
    default: return nil
    }
  }
}
