import Domain

extension Scene {
  /// Every answerable query of a kind with its answer, in a fixed order but for the references:
  /// each object goes by one of its unique names, drawn with `random`.
  ///
  /// Where nothing limits what is asked for (`exists`, counts, `moreThan`), it is kept to colours
  /// and forms that the scene has, one of them at least, so that no question is idle.
  func queries(
    of kind: QuestionKind, using random: inout SeededRandom
  ) -> [(query: Query, answer: Answer)] {
    candidates(of: kind, using: &random).compactMap { query in
      answer(to: query).map { (query, $0) }
    }
  }

  private func candidates(of kind: QuestionKind, using random: inout SeededRandom) -> [Query] {
    switch kind {
    case .sceneName: return [.sceneName]
    case .sceneIs: return SceneKind.allCases.map { .sceneIs($0) }
    case .ground: return [.ground]
    case .describe: return [.describe]
    case .objectOfColour: return Colour.allCases.map { .objectOfColour($0) }
    case .objectAt: return Place.all.map { .objectAt($0) }
    case .exists: return things.map { .exists($0, $1) }
    case .colourOf: return Shape.allCases.map { .colourOf($0) }
    case .sizeOf: return names(using: &random).map { .sizeOf($0) }
    case .colourAt: return Place.all.map { .colourAt($0) }
    case .describeObject: return names(using: &random).map { .describeObject($0) }
    case .whereIs: return names(using: &random).map { .whereIs($0) }
    case .rowOf: return names(using: &random).map { .rowOf($0) }
    case .columnOf: return names(using: &random).map { .columnOf($0) }
    case .countAll: return [.countAll]
    case .countColour: return Colour.allCases.map { .countColour($0) }
    case .countShape: return Shape.allCases.map { .countShape($0) }
    case .countSize: return Size.allCases.map { .countSize($0) }
    case .isRelated:
      return namePairs(using: &random).flatMap { one, other in
        Direction.allCases.map { .isRelated(one, $0, other) }
      }
    case .sideOf:
      return namePairs(using: &random).flatMap { one, other in
        Axis.allCases.map { .sideOf(one, $0, other) }
      }
    case .neighbour:
      return names(using: &random).flatMap { one in
        Direction.allCases.map { .neighbour($0, one) }
      }
    case .extreme: return Direction.allCases.map { .extreme($0) }
    case .touches: return namePairs(using: &random).map { .touches($0, $1) }
    case .touchedBy: return names(using: &random).map { .touchedBy($0) }
    case .inside: return names(using: &random).map { .inside($0) }
    case .anyTouch: return [.anyTouch]
    case .moreThan:
      return presentColours.flatMap { one in
        Colour.allCases.flatMap { [.moreThan(one, $0), .moreThan($0, one)] }
      }
    case .sameColour:
      let forms = objects.map(\.form)
      return forms.flatMap { one in forms.map { .sameColour(one, $0) } }
    case .mostCommon: return [.mostCommon]
    case .remaining: return presentColours.map { .remaining($0) }
    case .moved:
      return names(using: &random).flatMap { one in Direction.allCases.map { .moved(one, $0) } }
    case .readAt: return Place.all.map { .readAt($0) }
    case .readColour: return presentColours.map { .readColour($0) }
    case .signColour: return objects.compactMap(\.form.sign).map { .signColour($0) }
    case .letterOrDigit: return presentColours.map { .letterOrDigit($0) }
    case .countSigns: return [.countSigns]
    }
  }

  private var presentColours: [Colour] {
    Colour.allCases.filter { colour in objects.contains { $0.colour == colour } }
  }

  /// Colours and forms of which the scene has one at least.
  private var things: [(Colour, Form)] {
    Colour.allCases.flatMap { colour in
      Form.all.compactMap { form in
        objects.contains { $0.colour == colour || $0.form == form } ? (colour, form) : nil
      }
    }
  }

  /// For each object one of the references that name it alone.
  private func names(using random: inout SeededRandom) -> [Reference] {
    objects.map { one in
      let names = [
        Reference(colour: one.colour, form: one.form), Reference(colour: nil, form: one.form),
        Reference(colour: one.colour, form: nil),
      ].filter { object($0) != nil }
      return names[random.below(names.count)]
    }
  }

  private func namePairs(using random: inout SeededRandom) -> [(Reference, Reference)] {
    let names = names(using: &random)
    return names.indices.flatMap { one in
      names.indices.compactMap { one == $0 ? nil : (names[one], names[$0]) }
    }
  }
}
