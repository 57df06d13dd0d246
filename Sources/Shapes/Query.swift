public import Domain

/// How a question names an object: by colour, by form, or by both. At least one is there.
public struct Reference: Hashable, Sendable {
  public var colour: Colour?
  public var form: Form?

  public init(colour: Colour?, form: Form?) {
    precondition(colour != nil || form != nil, "a colour or a form expected")
    self.colour = colour
    self.form = form
  }

  public func matches(_ object: SceneObject) -> Bool {
    (colour == nil || colour == object.colour) && (form == nil || form == object.form)
  }
}

/// The nine image dimensions of SEED-Bench.
/// - Source: Li et al. 2023, table 1.
public enum Dimension: Int, CaseIterable, Hashable, Sendable {
  case scene, identity, attributes, location, counting, spatial, interaction, reasoning, text

  public var name: String {
    switch self {
    case .scene: "scene understanding"
    case .identity: "instance identity"
    case .attributes: "instance attributes"
    case .location: "instance location"
    case .counting: "instances counting"
    case .spatial: "spatial relation"
    case .interaction: "instance interaction"
    case .reasoning: "visual reasoning"
    case .text: "text understanding"
    }
  }
}

/// The kinds of question that the world knows, in the order of their dimensions.
public enum QuestionKind: Int, CaseIterable, Hashable, Sendable {
  case sceneName, sceneIs, ground, describe
  case objectOfColour, objectAt, exists
  case colourOf, sizeOf, colourAt, describeObject
  case whereIs, rowOf, columnOf
  case countAll, countColour, countShape, countSize
  case isRelated, sideOf, neighbour, extreme
  case touches, touchedBy, inside, anyTouch
  case moreThan, sameColour, mostCommon, remaining, moved
  case readAt, readColour, signColour, letterOrDigit, countSigns

  public var dimension: Dimension {
    switch self {
    case .sceneName, .sceneIs, .ground, .describe: .scene
    case .objectOfColour, .objectAt, .exists: .identity
    case .colourOf, .sizeOf, .colourAt, .describeObject: .attributes
    case .whereIs, .rowOf, .columnOf: .location
    case .countAll, .countColour, .countShape, .countSize: .counting
    case .isRelated, .sideOf, .neighbour, .extreme: .spatial
    case .touches, .touchedBy, .inside, .anyTouch: .interaction
    case .moreThan, .sameColour, .mostCommon, .remaining, .moved: .reasoning
    case .readAt, .readColour, .signColour, .letterOrDigit, .countSigns: .text
    }
  }

  /// LLaVA's three: a description is detail, what needs several facts together is complex.
  public var task: TaskType {
    switch self {
    case .describe, .describeObject: .detail
    case .moreThan, .sameColour, .mostCommon, .remaining, .moved, .neighbour, .extreme:
      .complexReasoning
    case .sceneName, .sceneIs, .ground, .objectOfColour, .objectAt, .exists, .colourOf, .sizeOf,
      .colourAt, .whereIs, .rowOf, .columnOf, .countAll, .countColour, .countShape, .countSize,
      .isRelated, .sideOf, .touches, .touchedBy, .inside, .anyTouch, .readAt, .readColour,
      .signColour, .letterOrDigit, .countSigns:
      .conversation
    }
  }
}

/// What a question asks, free of wording.
public enum Query: Hashable, Sendable {
  case sceneName
  case sceneIs(SceneKind)
  case ground
  case describe
  case objectOfColour(Colour)
  case objectAt(Place)
  case exists(Colour, Form)
  case colourOf(Shape)
  case sizeOf(Reference)
  case colourAt(Place)
  case describeObject(Reference)
  case whereIs(Reference)
  case rowOf(Reference)
  case columnOf(Reference)
  case countAll
  case countColour(Colour)
  case countShape(Shape)
  case countSize(Size)
  case isRelated(Reference, Direction, Reference)
  case sideOf(Reference, Axis, Reference)
  case neighbour(Direction, Reference)
  case extreme(Direction)
  case touches(Reference, Reference)
  case touchedBy(Reference)
  case inside(Reference)
  case anyTouch
  case moreThan(Colour, Colour)
  case sameColour(Form, Form)
  case mostCommon
  case remaining(Colour)
  case moved(Reference, Direction)
  case readAt(Place)
  case readColour(Colour)
  case signColour(Sign)
  case letterOrDigit(Colour)
  case countSigns

  public var kind: QuestionKind {
    switch self {
    case .sceneName: .sceneName
    case .sceneIs: .sceneIs
    case .ground: .ground
    case .describe: .describe
    case .objectOfColour: .objectOfColour
    case .objectAt: .objectAt
    case .exists: .exists
    case .colourOf: .colourOf
    case .sizeOf: .sizeOf
    case .colourAt: .colourAt
    case .describeObject: .describeObject
    case .whereIs: .whereIs
    case .rowOf: .rowOf
    case .columnOf: .columnOf
    case .countAll: .countAll
    case .countColour: .countColour
    case .countShape: .countShape
    case .countSize: .countSize
    case .isRelated: .isRelated
    case .sideOf: .sideOf
    case .neighbour: .neighbour
    case .extreme: .extreme
    case .touches: .touches
    case .touchedBy: .touchedBy
    case .inside: .inside
    case .anyTouch: .anyTouch
    case .moreThan: .moreThan
    case .sameColour: .sameColour
    case .mostCommon: .mostCommon
    case .remaining: .remaining
    case .moved: .moved
    case .readAt: .readAt
    case .readColour: .readColour
    case .signColour: .signColour
    case .letterOrDigit: .letterOrDigit
    case .countSigns: .countSigns
    }
  }
}

// MARK: - A query as its kind and its arguments, for wording and parsing

/// What fills one blank of a wording.
enum Argument: Hashable {
  case reference(Reference)
  case place(Place)
  case colour(Colour)
  case thing(Colour, Form)
  case form(Form)
  case shape(Shape)
  case shapes(Shape)
  case sign(Sign)
  case size(Size)
  case scene(SceneKind)
  case relation(Direction)
  case motion(Direction)
  case superlative(Direction)
  case axis(Axis)
}

extension Query {
  /// The arguments in the order in which wordings number their blanks.
  var arguments: [Argument] {
    switch self {
    case .sceneName, .ground, .describe, .countAll, .anyTouch, .mostCommon, .countSigns: []
    case .sceneIs(let kind): [.scene(kind)]
    case .objectOfColour(let colour), .countColour(let colour), .remaining(let colour),
      .readColour(let colour), .letterOrDigit(let colour):
      [.colour(colour)]
    case .objectAt(let place), .colourAt(let place), .readAt(let place): [.place(place)]
    case .exists(let colour, let form): [.thing(colour, form)]
    case .colourOf(let shape): [.shape(shape)]
    case .sizeOf(let one), .describeObject(let one), .whereIs(let one), .rowOf(let one),
      .columnOf(let one), .touchedBy(let one), .inside(let one):
      [.reference(one)]
    case .countShape(let shape): [.shapes(shape)]
    case .countSize(let size): [.size(size)]
    case .isRelated(let one, let direction, let other):
      [.reference(one), .relation(direction), .reference(other)]
    case .sideOf(let one, let axis, let other): [.reference(one), .axis(axis), .reference(other)]
    case .neighbour(let direction, let one): [.relation(direction), .reference(one)]
    case .extreme(let direction): [.superlative(direction)]
    case .touches(let one, let other): [.reference(one), .reference(other)]
    case .moreThan(let one, let other): [.colour(one), .colour(other)]
    case .sameColour(let one, let other): [.form(one), .form(other)]
    case .moved(let one, let direction): [.reference(one), .motion(direction)]
    case .signColour(let sign): [.sign(sign)]
    }
  }
}
