import Domain

// The simulated models: pure functions of what they are asked, as real ones are promised to be.

/// A stand-in for SHA-256: well mixed, and enough for histories without malice.
func simulatedDigest(_ bytes: some Sequence<UInt8>) -> Digest {
  var random = SeededRandom(seed: fnv1a(bytes))
  return Digest(words: (random.next(), random.next(), random.next(), random.next()))
}

func simulatedDigest(_ label: String, _ numbers: UInt64...) -> Digest {
  simulatedDigest(label, numbers)
}

func simulatedDigest(_ label: String, _ numbers: [UInt64]) -> Digest {
  var bytes = Array(label.utf8)
  for number in numbers {
    for shift in stride(from: 56 as UInt64, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }
  return simulatedDigest(bytes)
}

/// Which role a simulated request plays: told by its length limit, as no prompt is understood.
enum SimulatedRole: Int {
  case teacher = 11
  case student = 12
  case judge = 13
  case augmentor = 14
  case evaluation = 15
}

/// A word in this question makes every worker fail.
let poison = "poison"
/// A word in this question kills every process that answers it.
let deadly = "deadly"

/// What a model answers: a function of the request alone.
func simulatedOutcome(_ request: GenerationRequest, address: Digest, attempt: Int) -> JobOutcome {
  for case .text(let text) in request.prompt.parts where text.contains(poison) {
    return .failure(.promptTooLong(tokens: 9000, limit: 8192))
  }
  var random = SeededRandom(seed: address.words.0)
  // A fault that passes: the second attempt has no reason to fail.
  let isUnlucky = random.below(40) == 0
  if attempt == 1, isUnlucky {
    return .failure(.blobUnavailable(request.model, "connection lost"))
  }
  let text: String
  switch SimulatedRole(rawValue: request.sampling.tokensMax) {
  case .teacher, .student, .evaluation, nil: text = "answer \(random.below(1000))"
  case .judge:
    text =
      random.below(8) == 0
      ? "The first one is nicer." : "\(1 + random.below(10)) \(1 + random.below(10))\nI think."
  case .augmentor: text = simulatedProposal(&random)
  }
  return .success(
    GenerationResult(
      text: text, tokens: [Int32(random.below(1 << 20))], stop: .stopToken,
      promptTokens: request.prompt.parts.count))
}

private let words = [
  "what", "where", "colour", "shape", "left", "right", "above", "person", "dog", "car", "table",
  "why", "how", "many", "cup", "window", "light", "street", "hand", "sky", "holding", "near",
  "behind", "largest", "small", "round", "green", "red", "number", "doing",
]

private func simulatedProposal(_ random: inout SeededRandom) -> String {
  switch random.below(10) {
  case 0: return ""
  case 1: return "one\ntwo"
  case 2, 3: return "what is in the picture ?"
  default:
    let length = 4 + random.below(4)
    return (0..<length).map { _ in words[random.below(words.count)] }.joined(separator: " ") + " ?"
  }
}

/// The simulated student: as many numbers as show that sums were done in the right order.
let parameterCount = 20

/// Weights of a model before any step.
func initialWeights(_ model: Digest) -> [Float] {
  var random = SeededRandom(seed: model.words.0, "weights")
  return (0..<parameterCount).map { _ in Float(random.unit() * 2 - 1) }
}

/// The gradient of one virtual rank, and its loss: magnitudes far apart, so that another order of
/// summation gives other bits.
func gradient(
  of plan: TrainingPlan, step: Int, rank: Int, weights: [Float]
) -> (slopes: [Float], loss: Double) {
  var random = SeededRandom(
    seed: plan.dataset.words.0 &+ plan.recipe.seed, "gradient", UInt64(step << 8 | rank))
  let slopes = weights.map { weight in
    (Float(random.unit()) - 0.5) * Float(1 << random.below(20)) + weight * 0.125
  }
  return (slopes, 1 + random.unit() + Double(weights.reduce(0, +)))
}

func digest(of weights: [Float], step: Int) -> Digest {
  simulatedDigest("weights", [UInt64(step)] + weights.map { UInt64($0.bitPattern) })
}

extension WirePrecision {
  /// The nearest number that is sent, ties to even.
  func rounded(_ value: Float) -> Float {
    if self == .f32 { return value }
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }
}
