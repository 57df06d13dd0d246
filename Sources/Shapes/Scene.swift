import Domain

/// One thing in a picture.
public struct SceneObject: Hashable, Sendable {
  public var place: Place
  public var size: Size
  public var colour: Colour
  public var form: Form
  /// Whether it lies within the other object of its cell.
  public var isInside: Bool

  public init(place: Place, size: Size, colour: Colour, form: Form, isInside: Bool = false) {
    self.place = place
    self.size = size
    self.colour = colour
    self.form = form
    self.isInside = isInside
  }
}

/// Two objects, by their positions in `Scene.objects`, the first before the second.
public struct Pair: Hashable, Sendable {
  public var first: Int
  public var second: Int
  public init(_ first: Int, _ second: Int) {
    self.first = first
    self.second = second
  }
}

/// Which part of the world a scene belongs to. A scene's content alone decides, so no scene can be
/// in two of them.
public enum Split: Hashable, Sendable, CaseIterable {
  /// Seen when the models are built.
  case building
  /// The pools and captions of a run: new to teacher and student.
  case run
  /// Only ever examined.
  case evaluation
}

/// All that is true of one picture.
///
/// Objects are in the order of their cells, an object inside another right after its holder; no two
/// have both colour and form in common, so that colour and form name an object.
public struct Scene: Hashable, Sendable {
  public var kind: SceneKind
  public var objects: [SceneObject]
  /// At most one pair touches; its cells are neighbours.
  public var touching: Pair?
  /// Moves every object by less than a pixel; not part of the content.
  public var jitter: UInt16

  public init(kind: SceneKind, objects: [SceneObject], touching: Pair? = nil, jitter: UInt16 = 0) {
    self.kind = kind
    self.objects = objects
    self.touching = touching
    self.jitter = jitter
  }

  /// The objects of a cell: none, one, or a holder and what it holds.
  public func objects(at place: Place) -> [SceneObject] { objects.filter { $0.place == place } }

  /// The only object of a cell; nil when there is none, or two.
  public func onlyObject(at place: Place) -> SceneObject? {
    let found = objects(at: place)
    return found.count == 1 ? found[0] : nil
  }

  /// What `holder` holds.
  public func content(of holder: SceneObject) -> SceneObject? {
    holder.isInside ? nil : objects.first { $0.place == holder.place && $0.isInside }
  }

  /// What `object` touches.
  public func toucher(of object: SceneObject) -> SceneObject? {
    guard let touching else { return nil }
    if objects[touching.first] == object { return objects[touching.second] }
    if objects[touching.second] == object { return objects[touching.first] }
    return nil
  }

  /// The part of the world this scene belongs to: 1 in 10 evaluation, 2 in 10 run.
  public var split: Split {
    var random = SeededRandom(seed: fnv1a(contentCode.utf8))
    switch random.below(10) {
    case 0: return .evaluation
    case 1, 2: return .run
    case 3...9: return .building
    case let other: preconditionFailure("0…9 expected, \(other) drawn")
    }
  }
}

// MARK: - A scene as one line of text

extension Scene {
  /// The content in a fixed form, like `sea 0bred:circle 4bblue:square 4sred:k! ~0:1`.
  public var contentCode: String {
    var fields = [kind.word]
    for object in objects {
      fields.append(
        "\(object.place.index)\(object.size == .big ? "b" : "s")\(object.colour.word):"
          + object.form.word + (object.isInside ? "!" : ""))
    }
    if let touching { fields.append("~\(touching.first):\(touching.second)") }
    return fields.joined(separator: " ")
  }

  /// The content and the jitter: all that a picture depends on.
  public var code: String { "\(contentCode) +\(jitter)" }

  /// The scene that `code` stands for; nil when it is none.
  public init?(code: String) {
    var fields = code.split(separator: " ")[...]
    guard let name = fields.popFirst(),
      let kind = SceneKind.allCases.first(where: { $0.word == name }),
      let last = fields.popLast(), last.first == "+", let jitter = UInt16(last.dropFirst())
    else { return nil }
    self.init(kind: kind, objects: [], jitter: jitter)
    if let field = fields.last, field.first == "~" {
      fields.removeLast()
      let numbers = field.dropFirst().split(separator: ":").compactMap { Int($0) }
      guard numbers.count == 2, numbers[0] < numbers[1], numbers[0] >= 0,
        numbers[1] < fields.count
      else { return nil }
      touching = Pair(numbers[0], numbers[1])
    }
    for field in fields {
      guard let object = SceneObject(code: field) else { return nil }
      objects.append(object)
    }
  }
}

extension SceneObject {
  fileprivate init?(code: Substring) {
    var rest = code
    let isInside = rest.last == "!"
    if isInside { rest.removeLast() }
    guard let digit = rest.popFirst(), let cell = digit.wholeNumberValue, cell < 9,
      let size = rest.popFirst(), size == "b" || size == "s"
    else { return nil }
    let words = rest.split(separator: ":")
    guard words.count == 2, let colour = Colour.allCases.first(where: { $0.word == words[0] }),
      let form = Form.all.first(where: { $0.word == words[1] })
    else { return nil }
    self.init(
      place: Place.all[cell], size: size == "b" ? .big : .small, colour: colour, form: form,
      isInside: isInside)
  }
}
