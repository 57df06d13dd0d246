public import Domain

extension Scene {
  /// An answer as a weak student gives it: of the right form, mostly wrong, now and then partly
  /// right, rarely of another kind altogether. Never all of the truth.
  public func mistake(
    about exercise: Exercise, using random: inout SeededRandom
  ) -> String {
    for _ in 0..<20 {
      let text = draftMistake(about: exercise, using: &random)
      if score(text, truth: exercise.answer) < 10 { return text }
    }
    return exercise.answer == .nothing ? "yes" : "nothing"
  }

  private func draftMistake(
    about exercise: Exercise, using random: inout SeededRandom
  ) -> String {
    switch random.below(20) {
    case 0:
      // What answers some other question.
      let kinds = QuestionKind.allCases.filter { $0 != .describe }
      let other = self.exercise(of: kinds[random.below(kinds.count)], using: &random)
      return other?.answer.text ?? "nothing"
    case 1...8:
      // What is true of another question of the kind.
      let other = self.exercise(of: exercise.question.query.kind, using: &random)
      if let other, other.answer != exercise.answer { return other.answer.text }
    default: break
    }
    return exercise.answer.altered(using: &random).text
  }
}

extension Answer {
  /// The answer with something in it changed.
  func altered(using random: inout SeededRandom) -> Answer {
    switch self {
    case .yes: return .no
    case .no: return .yes
    case .scene: return .scene(drawn(from: SceneKind.allCases, &random))
    case .ground: return .ground(drawn(from: SceneKind.allCases, &random))
    case .form(let form):
      let isSign = form.sign != nil
      let alike = Form.all.filter { ($0.sign != nil) == isSign }
      return .form(drawn(from: random.below(4) == 0 ? Form.all : alike, &random))
    case .colour: return .colour(drawn(from: Colour.allCases, &random))
    case .size(let size): return .size(size == .big ? .small : .big)
    case .object(let object):
      return random.below(6) == 0 ? .nothing : .object(object.altered(using: &random))
    case .objectAndPlace(let object): return .objectAndPlace(object.altered(using: &random))
    case .nothing:
      let object = SceneObject(
        place: Place.all[0], size: drawn(from: Size.allCases, &random),
        colour: drawn(from: Colour.allCases, &random), form: drawn(from: Form.all, &random))
      return .object(object)
    case .place: return .place(drawn(from: Place.all, &random))
    case .outside: return .place(drawn(from: Place.all, &random))
    case .row: return .row(random.below(3))
    case .column: return .column(random.below(3))
    case .number(let number):
      let near = [number - 1, number + 1, number - 2, number + 2].filter { (0...6).contains($0) }
      return .number(drawn(from: near, &random))
    case .direction(let direction):
      let sides = Direction.allCases.filter { $0.axis == direction.axis && $0 != direction }
      return .direction(drawn(from: random.below(5) == 0 ? Direction.allCases : sides, &random))
    case .letter: return .digit
    case .digit: return .letter
    case .description(let scene): return .description(scene.altered(using: &random))
    }
  }
}

extension SceneObject {
  /// One to three of size, colour, form and place drawn anew.
  fileprivate func altered(using random: inout SeededRandom) -> SceneObject {
    var object = self
    for _ in 0...random.below(3) {
      switch random.below(4) {
      case 0: object.size = size == .big ? .small : .big
      case 1: object.colour = drawn(from: Colour.allCases, &random)
      case 2: object.form = drawn(from: Form.all, &random)
      default: object.place = drawn(from: Place.all, &random)
      }
    }
    return object
  }
}

extension Scene {
  /// Objects changed or left out, or another place; one object remains at least.
  fileprivate func altered(using random: inout SeededRandom) -> Scene {
    var scene = self
    if random.below(5) == 0 { scene.kind = drawn(from: SceneKind.allCases, &random) }
    for _ in 0...random.below(4) {
      let position = random.below(scene.objects.count)
      scene.objects[position] = scene.objects[position].altered(using: &random)
    }
    if scene.objects.count > 1, random.below(3) == 0 {
      scene.touching = nil
      scene.objects.remove(at: random.below(scene.objects.count))
    }
    return scene
  }
}

private func drawn<Element>(from items: [Element], _ random: inout SeededRandom) -> Element {
  items[random.below(items.count)]
}
