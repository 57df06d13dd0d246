extension Scene {
  /// The object that `reference` names; nil when none or several answer to it.
  public func object(_ reference: Reference) -> SceneObject? {
    let found = objects.filter(reference.matches)
    return found.count == 1 ? found[0] : nil
  }

  /// The true answer; nil when the question supposes what is not so (an object that is missing or
  /// not the only one of its name, a sign where there is none).
  public func answer(to query: Query) -> Answer? {
    switch query {
    case .sceneName: return .scene(kind)
    case .sceneIs(let other): return Answer(kind == other)
    case .ground: return .ground(kind)
    case .describe: return .description(self)
    case .objectOfColour(let colour):
      return object(Reference(colour: colour, form: nil)).map { .form($0.form) }
    case .objectAt(let place):
      return objects(at: place).isEmpty ? .nothing : onlyObject(at: place).map { .object($0) }
    case .exists(let colour, let form):
      return Answer(objects.contains { $0.colour == colour && $0.form == form })
    case .colourOf(let shape):
      return object(Reference(colour: nil, form: .shape(shape))).map { .colour($0.colour) }
    case .sizeOf(let one): return object(one).map { .size($0.size) }
    case .colourAt(let place): return onlyObject(at: place).map { .colour($0.colour) }
    case .describeObject(let one): return object(one).map { .objectAndPlace($0) }
    case .whereIs(let one): return object(one).map { .place($0.place) }
    case .rowOf(let one): return object(one).map { .row($0.place.row) }
    case .columnOf(let one): return object(one).map { .column($0.place.column) }
    case .countAll: return .number(objects.count)
    case .countColour(let colour): return count { $0.colour == colour }
    case .countShape(let shape): return count { $0.form == .shape(shape) }
    case .countSize(let size): return count { $0.size == size }
    case .isRelated(let one, let direction, let other):
      return both(one, other).map { Answer($0.isPlaced(direction, of: $1)) }
    case .sideOf(let one, let axis, let other):
      guard let (one, other) = both(one, other) else { return nil }
      return Direction.allCases.first { $0.axis == axis && one.isPlaced($0, of: other) }
        .map { .direction($0) }
    case .neighbour(let direction, let one): return neighbour(direction, of: one)
    case .extreme(let direction): return extreme(direction)
    case .touches(let one, let other): return both(one, other).map { Answer(toucher(of: $0) == $1) }
    case .touchedBy(let one):
      return object(one).map { object in toucher(of: object).map { .object($0) } ?? .nothing }
    case .inside(let one):
      return object(one).map { object in content(of: object).map { .object($0) } ?? .nothing }
    case .anyTouch: return Answer(touching != nil)
    case .moreThan(let one, let other):
      return one == other ? nil : Answer(number(of: one) > number(of: other))
    case .sameColour(let one, let other):
      return both(Reference(colour: nil, form: one), Reference(colour: nil, form: other))
        .map { Answer($0.colour == $1.colour) }
    case .mostCommon: return mostCommonColour.map { .colour($0) }
    case .remaining(let colour): return count { $0.colour != colour }
    case .moved(let one, let direction):
      return object(one).map { $0.place.neighbour(direction).map { .place($0) } ?? .outside }
    case .readAt(let place):
      return onlyObject(at: place).flatMap(\.form.sign).map { .form(.sign($0)) }
    case .readColour(let colour): return onlySign(colour).map { .form(.sign($0)) }
    case .signColour(let sign):
      return object(Reference(colour: nil, form: .sign(sign))).map { .colour($0.colour) }
    case .letterOrDigit(let colour): return onlySign(colour).map { $0.isDigit ? .digit : .letter }
    case .countSigns: return count { $0.form.sign != nil }
    }
  }

  private func count(_ isCounted: (SceneObject) -> Bool) -> Answer {
    .number(objects.count(where: isCounted))
  }

  private func number(of colour: Colour) -> Int { objects.count { $0.colour == colour } }

  /// Two different objects.
  private func both(_ one: Reference, _ other: Reference) -> (SceneObject, SceneObject)? {
    guard let one = object(one), let other = object(other), one != other else { return nil }
    return (one, other)
  }

  private func onlySign(_ colour: Colour) -> Sign? {
    let found = objects.filter { $0.colour == colour }.compactMap(\.form.sign)
    return found.count == 1 ? found[0] : nil
  }

  private func neighbour(_ direction: Direction, of one: Reference) -> Answer? {
    guard let object = object(one) else { return nil }
    guard let place = object.place.neighbour(direction), !objects(at: place).isEmpty else {
      return .nothing
    }
    return onlyObject(at: place).map { .object($0) }
  }

  /// The object that lies farther in `direction` than every other; nil when several do.
  private func extreme(_ direction: Direction) -> Answer? {
    let best = objects.filter { one in
      objects.allSatisfy { other in one == other || one.isPlaced(direction, of: other) }
    }
    return objects.count > 1 && best.count == 1 ? .object(best[0]) : nil
  }

  private var mostCommonColour: Colour? {
    let most = Colour.allCases.map(number).max() ?? 0
    let winners = Colour.allCases.filter { number(of: $0) == most }
    return winners.count == 1 ? winners[0] : nil
  }
}

extension SceneObject {
  /// Whether the object's row or column lies in `direction` of the other's; within one cell none
  /// does.
  func isPlaced(_ direction: Direction, of other: SceneObject) -> Bool {
    let (down, right) = direction.step
    return (place.row - other.place.row) * down + (place.column - other.place.column) * right > 0
  }
}
