/// What was given to a model cannot be read by it.
public enum InputError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The prompt with its pictures has more positions than the model or the generator's limit.
  case tooLong(positions: Int, limit: Int)
  case empty
  case tokenOutsideVocabulary(Int32, vocabulary: Int)
  /// A piece names a picture that was not given.
  case pictureMissing(index: Int, given: Int)
  /// A picture for a model without a vision tower.
  case cannotSee
  case pictureSize(channels: Int, height: Int, width: Int, expected: Int)
  /// LLaVA-NeXT sees a picture in as many tiles as its size, which has to be known, asks for; other
  /// models in one.
  case pictureTiles(found: Int, expected: Int?)
  /// Image tokens that stand neither for pictures nor for patches.
  case imageTokens(found: Int, pictures: Int, patches: Int)
  /// One request alone needs more memory for keys and values than the generator may use.
  case overMemory(bytes: Int, limit: Int)

  public var description: String {
    switch self {
    case .tooLong(let positions, let limit):
      "the input takes \(positions) positions and at most \(limit) are possible; shorten it"
    case .empty: "the input is empty; give at least one token"
    case .tokenOutsideVocabulary(let token, let vocabulary):
      "token \(token) is outside the vocabulary of \(vocabulary); was another tokenizer used?"
    case .pictureMissing(let index, let given):
      "picture \(index) is asked for and \(given) are given"
    case .cannotSee: "this model has no vision tower; give it no picture, or use a LLaVA model"
    case .pictureSize(let channels, let height, let width, let expected):
      """
      a picture of \(channels) × \(height) × \(width) does not fit this tower, made for 3 × \
      \(expected) × \(expected); use the model's own image processor
      """
    case .pictureTiles(let found, let expected):
      """
      a picture in tiles (\(found)), where \(expected.map { "\($0)" } ?? "those of its size") are \
      expected; process it with the image processor that belongs to the model
      """
    case .imageTokens(let found, let pictures, let patches):
      """
      \(found) image tokens for \(pictures) pictures; one a picture, or one for each of their \
      \(patches) patches is expected
      """
    case .overMemory(let bytes, let limit):
      "the request needs \(bytes) bytes for keys and values, the limit is \(limit); raise it"
    }
  }
}
