public import Formats
import Kernels
import Shapes
public import Transformer

/// A model without eyes: where others have a tower, it has its own word embedding. Scenes reach it
/// as words (`Sight.words`), nine slots of embedded words and never a pixel.
///
/// Its form is that of any LLaVA model: the tower has no layers, so its patch embedding, which is
/// the word embedding turned around, and an identity for a projector are all there is.
public func wordReadingModel(
  _ size: LanguageSize, tokenizer: Tokenizer, seed: UInt64
) -> Model {
  let vision = VisionConfig(
    family: .dinov2, hiddenSize: size.hidden, intermediateSize: size.hidden, layerCount: 0,
    headCount: 1, imageSize: Drawing.side, patchSize: Drawing.cellSide, normEpsilon: 1e-6,
    activation: .gelu)
  let model = worldModel(
    size, vision: vision, projector: .linear, tokenizer: tokenizer, seed: seed)
  model.parameters[model.layout.range(of: .vision)].fill(0)
  let projector = model.parameters[model.layout.range(of: ParameterLayout.Part.projector)]
  projector.fill(0)
  for column in 0..<size.hidden { projector[column * size.hidden + column] = 1 }
  WordReader(model)?.shareEmbedding()
  return model
}

/// Keeps the patch embedding of a word-reading model equal to its word embedding.
struct WordReader {
  private let table: Floats
  private let embedding: Floats
  private let tableRange: Range<Int>
  private let embeddingRange: Range<Int>
  private let hidden: Int
  private let vocabulary: Int
  /// Columns of the table: the values of a patch.
  private let columns: Int

  /// Nil for a model with eyes.
  init?(_ model: Model) {
    guard model.llava?.vision.layerCount == 0 else { return nil }
    let names = model.layout.parameters.filter { parameter in
      parameter.name.hasSuffix("patch_embeddings.projection.weight")
        || parameter.name.hasSuffix("embed_tokens.weight")
    }
    guard names.count == 2 else { return nil }
    (tableRange, embeddingRange) = (names[0].range, names[1].range)
    table = model.parameters[tableRange]
    embedding = model.parameters[embeddingRange]
    hidden = model.text.hiddenSize
    vocabulary = model.text.vocabularySize
    columns = tableRange.count / hidden
    precondition(vocabulary <= columns, "a patch has a value for each of \(vocabulary) words")
  }

  func shareEmbedding() {
    for token in 0..<vocabulary {
      for row in 0..<hidden { table[row * columns + token] = embedding[token * hidden + row] }
    }
  }

  /// What the slots say about the embedding is added to what the text says.
  ///
  /// - Parameter start: the parameter to which the gradient's first value belongs.
  func foldGradient(_ gradient: Floats, from start: Int) {
    let table = gradient[tableRange.lowerBound - start..<tableRange.upperBound - start]
    let embedding = gradient[embeddingRange.lowerBound - start..<embeddingRange.upperBound - start]
    for token in 0..<vocabulary {
      for row in 0..<hidden { embedding[token * hidden + row] += table[row * columns + token] }
    }
  }
}
