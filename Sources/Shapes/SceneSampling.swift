public import Domain

extension Scene {
  /// A scene of `split`, drawn with `random`.
  ///
  /// One to six objects; with even chances a touching pair and an object inside another, where the
  /// number of objects allows. Scenes of other splits are thrown away, so that splits differ in
  /// nothing but membership.
  public static func sample(
    from split: Split, using random: inout SeededRandom
  ) -> Scene {
    while true {
      let scene = sample(using: &random)
      if scene.split == split { return scene }
    }
  }

  private static func sample(using random: inout SeededRandom) -> Scene {
    var draft = Draft(random: random)
    let kind = SceneKind.allCases[draft.random.below(SceneKind.allCases.count)]
    let count = 1 + draft.random.below(6)
    if count >= 2, draft.random.below(2) == 0 { draft.addInsidePair() }
    if count - draft.objects.count >= 2, draft.random.below(2) == 0 { draft.addTouchingPair() }
    while draft.objects.count < count { draft.addObject() }

    let order = draft.objects.indices.sorted {
      (draft.objects[$0].place.index, draft.objects[$0].isInside ? 1 : 0)
        < (draft.objects[$1].place.index, draft.objects[$1].isInside ? 1 : 0)
    }
    let touching = draft.touching.map { pair in
      let positions = order.indices.filter { order[$0] == pair.first || order[$0] == pair.second }
      return Pair(positions[0], positions[1])
    }
    let jitter = UInt16(truncatingIfNeeded: draft.random.next())
    random = draft.random
    return Scene(
      kind: kind, objects: order.map { draft.objects[$0] }, touching: touching, jitter: jitter)
  }
}

/// A scene in the making: objects in the order in which they were drawn.
private struct Draft {
  var random: SeededRandom
  var objects: [SceneObject] = []
  var touching: Pair?

  mutating func addInsidePair() {
    let place = Place.all[random.below(9)]
    let holders = Shape.allCases.filter(\.holds)
    let holder = SceneObject(
      place: place, size: .big, colour: colour(),
      form: .shape(holders[random.below(holders.count)]))
    objects.append(holder)
    while true {
      let content = SceneObject(
        place: place, size: .small, colour: colour(), form: form(), isInside: true)
      if content.colour != holder.colour {
        objects.append(content)
        return
      }
    }
  }

  mutating func addTouchingPair() {
    let free = freePlaces()
    var sides: [(Place, Place)] = []
    for place in free {
      for direction in [Direction.right, .below] {
        if let next = place.neighbour(direction), free.contains(next) {
          sides.append((place, next))
        }
      }
    }
    guard !sides.isEmpty else { return }
    let (first, second) = sides[random.below(sides.count)]
    let shapes = Shape.allCases.filter(\.touches)
    let start = objects.count
    for place in [first, second] {
      addUnique { draft in
        SceneObject(
          place: place, size: draft.size(), colour: draft.colour(),
          form: .shape(shapes[draft.random.below(shapes.count)]))
      }
    }
    touching = Pair(start, start + 1)
  }

  mutating func addObject() {
    let free = freePlaces()
    let place = free[random.below(free.count)]
    addUnique { draft in
      SceneObject(place: place, size: draft.size(), colour: draft.colour(), form: draft.form())
    }
  }

  /// Draws until neither colour nor form makes the object mistakable for another.
  private mutating func addUnique(_ draw: (inout Draft) -> SceneObject) {
    while true {
      let object = draw(&self)
      if !objects.contains(where: { $0.colour == object.colour && $0.form == object.form }) {
        objects.append(object)
        return
      }
    }
  }

  private func freePlaces() -> [Place] {
    Place.all.filter { place in !objects.contains { $0.place == place } }
  }

  private mutating func colour() -> Colour { Colour.allCases[random.below(Colour.allCases.count)] }
  private mutating func size() -> Size { Size.allCases[random.below(Size.allCases.count)] }

  /// Two shapes for every sign.
  private mutating func form() -> Form {
    random.below(3) == 0
      ? .sign(Sign.allCases[random.below(Sign.allCases.count)])
      : .shape(Shape.allCases[random.below(Shape.allCases.count)])
  }
}
