import Formats
import Kernels

/// The rows of some samples, one after the other, as one pass computes them.
struct PackedSamples {
  /// Token of each row; 0 where a picture's feature stands.
  var tokens: [Int32] = []
  /// Where pictures stand, in order.
  var featureRuns: [FeatureRun] = []
  var sequences: [AttentionLayout.Sequence] = []
  var targets: [LossTarget] = []

  /// Features of a picture in a row, or a newline between them.
  struct FeatureRun {
    var row: Int
    /// The first one among those of the pass; nil for a newline.
    var feature: Int?
    var count: Int
  }

  /// A picture's features among those of the pass, and how they stand in the text.
  struct PlacedPicture {
    var features: Range<Int>
    var lines: PictureLines
  }

  var layout: AttentionLayout { AttentionLayout(sequences, causal: true) }
  /// Adds the rows of a sample.
  ///
  /// - Parameter pictures: the sample's.
  mutating func append(_ sample: TrainingInput, _ pictures: [PlacedPicture]) {
    let start = tokens.count
    append(sample.prefix, before: nil, pictures)
    let prefix = tokens.count - start
    let last = prefix > 0 ? tokens.count - 1 : nil
    var branches: [Int] = []
    for branch in sample.branches {
      let begin = tokens.count
      append(branch, before: last, pictures)
      branches.append(tokens.count - begin)
    }
    sequences.append(AttentionLayout.Sequence(prefix: prefix, branches: branches))
  }

  /// - Parameter before: the row that foresees the first piece.
  private mutating func append(
    _ pieces: [TrainingPiece], before: Int?, _ pictures: [PlacedPicture]
  ) {
    var foreseeing = before
    for piece in pieces {
      switch piece.piece {
      case .token(let token):
        if piece.trained, let foreseeing {
          targets.append(LossTarget(row: Int32(foreseeing), token: token))
        }
        tokens.append(token)
      case .image(let index):
        let picture = pictures[index]
        picture.lines.forEachRun { row, run in
          featureRuns.append(
            FeatureRun(
              row: tokens.count + row,
              feature: run.map { picture.features.lowerBound + $0.lowerBound },
              count: run?.count ?? 1))
        }
        tokens += repeatElement(0, count: picture.lines.rows)
      }
      foreseeing = tokens.count - 1
    }
  }
}

extension TrainingInput {
  /// Positions of the rows of this sample, all branches counted.
  ///
  /// - Parameter imageRows: rows of each picture.
  func rows(imageRows: [Int]) -> Int {
    ([prefix] + branches).joined().reduce(0) { $0 + $1.piece.rows(imageRows: imageRows) }
  }

  /// Positions of the longest of the sequences `prefix + branch`.
  func positions(imageRows: [Int]) -> Int {
    func count(_ pieces: [TrainingPiece]) -> Int {
      pieces.reduce(0) { $0 + $1.piece.rows(imageRows: imageRows) }
    }
    return count(prefix) + (branches.map(count).max() ?? 0)
  }
}

extension Piece {
  func rows(imageRows: [Int]) -> Int {
    switch self {
    case .token: 1
    case .image(let index): imageRows[index]
    }
  }

  /// Refuses what would be read out of bounds.
  func check(pictures: Int, canSee: Bool, vocabulary: Int) throws(InputError) {
    switch self {
    case .token(let token):
      guard token >= 0 && Int(token) < vocabulary else {
        throw .tokenOutsideVocabulary(token, vocabulary: vocabulary)
      }
    case .image(let index):
      guard canSee else { throw .cannotSee }
      guard index >= 0 && index < pictures else {
        throw .pictureMissing(index: index, given: pictures)
      }
    }
  }
}
