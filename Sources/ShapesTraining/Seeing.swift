import Domain
public import Formats
public import Shapes

/// How a scene reaches a model.
public enum Sight: Hashable, Sendable {
  /// As its drawing.
  case drawing
  /// As words: nine slots, one for each cell, without a pixel.
  case words
}

extension Scene {
  func pixelValues(_ sight: Sight, _ tokenizer: Tokenizer) -> PixelValues {
    switch sight {
    case .drawing: drawing().pixelValues
    case .words: wordValues(tokenizer)
    }
  }

  /// The words of each cell as a picture: in the patch of a cell, the value at position n is the
  /// weight of the token n. `WordReader` turns it into the weighted sum of their embeddings.
  private func wordValues(_ tokenizer: Tokenizer) -> PixelValues {
    let side = Drawing.side
    let patch = Drawing.cellSide
    var values = [Float](repeating: 0, count: 3 * side * side)
    for place in Place.all {
      for (word, weight) in weightedWords(at: place) {
        for token in tokenizer.encode(word) {
          let position = Int(token)
          let channel = position / (patch * patch)
          let y = place.row * patch + position / patch % patch
          let x = place.column * patch + position % patch
          values[(channel * side + y) * side + x] += weight
        }
      }
    }
    return PixelValues(channels: 3, height: side, width: side, values: values)
  }

  /// What a cell is, in words of the vocabulary: its place in the picture, the scene, and what
  /// stands there. A sum knows no order, so what belongs to a second object or to a neighbour
  /// weighs half.
  func weightedWords(at place: Place) -> [(word: String, weight: Float)] {
    var words: [(String, Float)] = [
      (Place.rowWords[place.row], 1), (Place.columnWords[place.column], 1), (kind.word, 1),
    ]
    let here = objects(at: place)
    if here.isEmpty { words.append(("nothing", 1)) }
    for object in here {
      let weight: Float = object.isInside ? 0.5 : 1
      if object.isInside { words.append(("inside", 1)) }
      for word in [object.size.word, object.colour.word, object.form.word] {
        words.append((word, weight))
      }
      if let other = toucher(of: object),
        let side = Direction.allCases.first(where: { place.neighbour($0) == other.place })
      {
        words += [("touching", 1), (side.word, 0.5)]
      }
    }
    return words
  }
}

extension Drawing {
  /// As `worldImageProcessor` makes them of the drawing's PNG.
  public var pixelValues: PixelValues {
    let count = Drawing.side * Drawing.side
    var values = [Float](repeating: 0, count: 3 * count)
    for pixel in 0..<count {
      for channel in 0..<3 {
        values[channel * count + pixel] = Float(bytes[pixel * 3 + channel]) / 63.75 - 2
      }
    }
    return PixelValues(channels: 3, height: Drawing.side, width: Drawing.side, values: values)
  }
}

// MARK: - The facts of a cell

/// What can be true of one cell, each with its number from 0.
///
/// The same facts label the patches when the tower learns to see.
enum CellFact {
  static let scene = 0
  static let outer = scene + SceneKind.allCases.count
  static let inner = outer + objectFacts
  static let touching = inner + objectFacts
  static let count = touching + Direction.allCases.count

  /// Size, colour and form of one object.
  static let objectFacts = Size.allCases.count + Colour.allCases.count + Form.all.count
}

extension Scene {
  /// The numbers of the facts that are true of a cell.
  func facts(at place: Place) -> [Int] {
    var facts = [CellFact.scene + kind.rawValue]
    for object in objects(at: place) {
      let start = object.isInside ? CellFact.inner : CellFact.outer
      facts.append(start + object.size.rawValue)
      facts.append(start + Size.allCases.count + object.colour.rawValue)
      let form = Form.all.firstIndex(of: object.form) ?? 0
      facts.append(start + Size.allCases.count + Colour.allCases.count + form)
      if let other = toucher(of: object),
        let side = Direction.allCases.first(where: { place.neighbour($0) == other.place })
      {
        facts.append(CellFact.touching + side.rawValue)
      }
    }
    return facts
  }
}
