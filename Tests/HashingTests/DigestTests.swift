import Domain
import Hashing
import Testing

@Suite("SHA-256")
struct SHA256Tests {
  @Test("gives the digest of the standard's own example")
  func standard() {
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(Digest(hashing: "abc".utf8).hex == expected)
  }

  @Test("does not depend on how the bytes come in pieces")
  func pieces() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 31) }
    for cut in [0, 1, 63, 64, 65, 999, 1000] {
      var hash = IncrementalHash()
      hash.update(Array(bytes[..<cut]))
      hash.update(Array(bytes[cut...]))
      #expect(hash.finish() == Digest(hashing: bytes))
    }
  }
}

@Suite("A request's content address")
struct RequestAddressTests {
  static let model = Digest(hashing: "model".utf8)

  static func request(_ parts: [PromptPart], stops: [String] = [], seed: UInt64 = 1)
    -> GenerationRequest
  {
    GenerationRequest(
      model: model, prompt: Prompt(parts),
      sampling: Sampling(temperature: 0.5, tokensMax: 10, seed: seed, stops: stops))
  }

  @Test("differs whenever anything differs that the result depends on")
  func differs() {
    let picture = Digest(hashing: "picture".utf8)
    let requests = [
      Self.request([.text("ab")]), Self.request([.text("a"), .text("b")]),
      Self.request([.control("ab")]), Self.request([.text("ab"), .image(picture)]),
      Self.request([.image(picture), .text("ab")]), Self.request([.text("ab")], seed: 2),
      Self.request([.text("ab")], stops: ["</s>"]),
      Self.request([.text("ab")], stops: ["</s", ">"]),
    ]
    #expect(Set(requests.map { Digest(of: $0) }).count == requests.count)
  }
}
