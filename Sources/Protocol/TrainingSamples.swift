public import Domain

// The data set of a training, as a blob. Little-endian throughout:
//
//     "comd-samples-1\n"
//     u32 count of samples; then each sample:
//       u32 count of parts; then each part:
//         u8  kind: 0 text, 1 control, 2 image; plus 128 where the loss is counted
//         u32 count of bytes; then the bytes: UTF-8, or the picture's 32 bytes of SHA-256

private let header = Array("comd-samples-1\n".utf8)
private let trainedBit: UInt8 = 128

/// The blob of a training's data: equal samples give equal bytes, so equal digests.
public func encode(_ samples: [TrainingSample]) -> [UInt8] {
  var bytes = header
  bytes.append(little: UInt32(samples.count))
  for sample in samples {
    bytes.append(little: UInt32(sample.parts.count))
    for part in sample.parts {
      let (kind, payload): (UInt8, [UInt8]) =
        switch part.part {
        case .text(let text): (0, Array(text.utf8))
        case .control(let name): (1, Array(name.utf8))
        case .image(let digest): (2, digest.bytes)
        }
      bytes.append(part.trained ? kind | trainedBit : kind)
      bytes.append(little: UInt32(payload.count))
      bytes += payload
    }
  }
  return bytes
}

/// The samples of a blob that `encode` made.
public func decodeTrainingSamples(_ bytes: [UInt8]) throws(ProtocolError) -> [TrainingSample] {
  guard bytes.starts(with: header) else {
    throw .damaged(what: "training data", reason: "it does not begin with comd-samples-1")
  }
  var reader = Reader(rest: bytes[header.count...])
  // A sample takes at least 4 bytes and a part at least 5: a count that cannot be true is refused
  // before anything is reserved for it.
  let count = try reader.count(ofAtLeast: 4)
  var samples: [TrainingSample] = []
  samples.reserveCapacity(count)
  for _ in 0..<count {
    let parts = try reader.count(ofAtLeast: 5)
    var sample = TrainingSample([])
    sample.parts.reserveCapacity(parts)
    for _ in 0..<parts { sample.parts.append(try reader.part()) }
    samples.append(sample)
  }
  guard reader.rest.isEmpty else {
    throw .damaged(what: "training data", reason: "\(reader.rest.count) bytes too many")
  }
  return samples
}

private struct Reader {
  var rest: ArraySlice<UInt8>

  mutating func take(_ count: Int) throws(ProtocolError) -> ArraySlice<UInt8> {
    guard count <= rest.count else {
      throw .damaged(what: "training data", reason: "it ends \(count - rest.count) bytes early")
    }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  mutating func count(ofAtLeast itemBytes: Int) throws(ProtocolError) -> Int {
    let count = Int(UInt32(little: try take(4)))
    guard count <= rest.count / itemBytes else {
      throw .damaged(
        what: "training data", reason: "\(count) entries do not fit into \(rest.count) bytes")
    }
    return count
  }

  mutating func part() throws(ProtocolError) -> TrainingPart {
    guard let kind = try take(1).first else { throw .empty(message: "training data") }
    let length = Int(UInt32(little: try take(4)))
    let payload = try take(length)
    let trained = kind & trainedBit != 0
    switch kind & ~trainedBit {
    case 0: return TrainingPart(.text(try text(payload)), trained: trained)
    case 1: return TrainingPart(.control(try text(payload)), trained: trained)
    case 2:
      guard let digest = Digest(bytes: payload) else {
        throw .outOfRange(
          field: "sample's image", found: "\(payload.count) bytes", allowed: "32 bytes")
      }
      return TrainingPart(.image(digest), trained: trained)
    default: throw .outOfRange(field: "sample's part", found: "kind \(kind)", allowed: "0 to 2")
    }
  }

  private func text(_ bytes: ArraySlice<UInt8>) throws(ProtocolError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .outOfRange(field: "sample's text", found: "other bytes", allowed: "UTF-8")
    }
    return text
  }
}
