/// One of the four places where a picture can have been taken.
public enum SceneKind: Int, CaseIterable, Hashable, Sendable {
  case meadow, desert, sea, space

  public var word: String {
    switch self {
    case .meadow: "meadow"
    case .desert: "desert"
    case .sea: "sea"
    case .space: "space"
    }
  }

  /// What the ground of this place is made of.
  public var ground: String {
    switch self {
    case .meadow: "grass"
    case .desert: "sand"
    case .sea: "water"
    case .space: "stars"
    }
  }
}

/// Six colours, far apart from each other and from every background.
public enum Colour: Int, CaseIterable, Hashable, Sendable {
  case red, green, blue, yellow, white, pink

  public var word: String {
    switch self {
    case .red: "red"
    case .green: "green"
    case .blue: "blue"
    case .yellow: "yellow"
    case .white: "white"
    case .pink: "pink"
    }
  }
}

public enum Size: Int, CaseIterable, Hashable, Sendable {
  case small, big

  public var word: String {
    switch self {
    case .small: "small"
    case .big: "big"
    }
  }
}

public enum Shape: Int, CaseIterable, Hashable, Sendable {
  case circle, square, triangle, cross, diamond

  public var word: String {
    switch self {
    case .circle: "circle"
    case .square: "square"
    case .triangle: "triangle"
    case .cross: "cross"
    case .diamond: "diamond"
    }
  }

  public var plural: String {
    switch self {
    case .circle: "circles"
    case .square: "squares"
    case .triangle: "triangles"
    case .cross: "crosses"
    case .diamond: "diamonds"
    }
  }

  /// Whether the shape reaches the middle of each side of its bounding square, so that it can
  /// touch a neighbour there.
  public var touches: Bool {
    switch self {
    case .circle, .square, .cross, .diamond: true
    case .triangle: false
    }
  }

  /// Whether a small object fits into a big one of this shape.
  public var holds: Bool {
    switch self {
    case .circle, .square: true
    case .triangle, .cross, .diamond: false
    }
  }
}

/// The letters and digits that pictures show. The letter A is left out: it reads like the article.
public enum Sign: Int, CaseIterable, Hashable, Sendable {
  case e, h, k, l, t, z, two, three, four, five, seven, nine

  public var word: String {
    switch self {
    case .e: "e"
    case .h: "h"
    case .k: "k"
    case .l: "l"
    case .t: "t"
    case .z: "z"
    case .two: "2"
    case .three: "3"
    case .four: "4"
    case .five: "5"
    case .seven: "7"
    case .nine: "9"
    }
  }

  public var isDigit: Bool { rawValue >= Sign.two.rawValue }
}

/// What an object looks like, apart from colour and size.
public enum Form: Hashable, Sendable {
  case shape(Shape)
  case sign(Sign)

  public static let all: [Form] = Shape.allCases.map(Form.shape) + Sign.allCases.map(Form.sign)

  public var word: String {
    switch self {
    case .shape(let shape): shape.word
    case .sign(let sign): sign.word
    }
  }

  public var sign: Sign? {
    switch self {
    case .shape: nil
    case .sign(let sign): sign
    }
  }

  public var shape: Shape? {
    switch self {
    case .shape(let shape): shape
    case .sign: nil
    }
  }
}

/// One of the nine cells of a picture.
public struct Place: Hashable, Comparable, Sendable {
  /// 0 at the top, 2 at the bottom.
  public var row: Int
  /// 0 at the left, 2 at the right.
  public var column: Int

  public init(row: Int, column: Int) {
    precondition((0..<3).contains(row) && (0..<3).contains(column), "a cell of 3 by 3 expected")
    self.row = row
    self.column = column
  }

  /// The cells from the top left to the bottom right, row by row.
  public static let all = (0..<9).map { Place(row: $0 / 3, column: $0 % 3) }
  public static let rowWords = ["top", "middle", "bottom"]
  public static let columnWords = ["left", "centre", "right"]

  public var index: Int { row * 3 + column }
  public var words: String { "\(Place.rowWords[row]) \(Place.columnWords[column])" }

  /// The next cell in a direction; nil outside the picture.
  public func neighbour(_ direction: Direction) -> Place? {
    let (down, right) = direction.step
    guard (0..<3).contains(row + down), (0..<3).contains(column + right) else { return nil }
    return Place(row: row + down, column: column + right)
  }

  public static func < (a: Place, b: Place) -> Bool { a.index < b.index }
}

public enum Direction: Int, CaseIterable, Hashable, Sendable {
  case left, right, above, below

  /// Rows down and columns to the right.
  var step: (down: Int, right: Int) {
    switch self {
    case .left: (0, -1)
    case .right: (0, 1)
    case .above: (-1, 0)
    case .below: (1, 0)
    }
  }

  public var axis: Axis {
    switch self {
    case .left, .right: .horizontal
    case .above, .below: .vertical
    }
  }

  /// As an answer: `left`, `above`.
  public var word: String {
    switch self {
    case .left: "left"
    case .right: "right"
    case .above: "above"
    case .below: "below"
    }
  }

  /// Before a reference: `left of the circle`.
  var relation: String {
    switch self {
    case .left: "left of"
    case .right: "right of"
    case .above: "above"
    case .below: "below"
    }
  }

  /// Of a move: `one step up`.
  var motion: String {
    switch self {
    case .left: "left"
    case .right: "right"
    case .above: "up"
    case .below: "down"
    }
  }

  var superlative: String {
    switch self {
    case .left: "leftmost"
    case .right: "rightmost"
    case .above: "highest"
    case .below: "lowest"
    }
  }
}

public enum Axis: Int, CaseIterable, Hashable, Sendable {
  case horizontal, vertical

  /// As a choice before a reference: `left or right of the circle`.
  var choice: String {
    switch self {
    case .horizontal: "left or right of"
    case .vertical: "above or below"
    }
  }
}

/// The words for the counts 0…6.
public let numberWords = ["zero", "one", "two", "three", "four", "five", "six"]
