import Formats
import Kernels
import Transformer

/// Lets a language model with random weights begin where attention already matches: a query's
/// projection is its keys', so that a word looks at where the same word stands, and what is carried
/// from there comes out as what it was.
///
/// From random weights most of the first hundred thousand questions go into finding this; with it,
/// 60,000 questions taught what took more than 300,000 before (LOG.md).
/// - Parameters:
///   - matching: standard deviation of the query's and the key's weights.
///   - carrying: standard deviation of the value's and the output's.
/// - Source: the idea of Trockman and Kolter 2023, "Mimetic initialization of self-attention
///   layers".
func beginByMatching(_ model: Model, matching: Float, carrying: Float) {
  let hidden = model.text.hiddenSize
  let ranges = Dictionary(
    uniqueKeysWithValues: model.layout.parameters.map { ($0.name, $0.range) })
  for (name, range) in ranges where name.hasSuffix("self_attn.q_proj.weight") {
    func weights(_ projection: String) -> Floats? {
      ranges[name.replacing("q_proj", with: projection)].map { model.parameters[$0] }
    }
    guard let key = weights("k_proj"), let value = weights("v_proj"), let output = weights("o_proj")
    else { continue }
    let query = model.parameters[range]
    for index in 0..<hidden * hidden {
      query[index] *= matching / Float(initialDeviation)
      key[index] = query[index]
      value[index] *= carrying / Float(initialDeviation)
    }
    for row in 0..<hidden {
      for column in 0..<hidden {
        output[row * hidden + column] = value[column * hidden + row]
      }
    }
  }
}
