public import Shapes

extension QuestionKind {
  /// Kinds that the student's base has never read: what the iterations have to teach. One at least
  /// of every dimension but interaction's and reasoning's yes-or-no questions, whose answers have
  /// priors.
  public static let heldOut: [QuestionKind] = [
    .ground, .objectOfColour, .colourAt, .sizeOf, .rowOf, .columnOf, .countSize, .sideOf,
    .touchedBy, .sameColour, .readColour, .letterOrDigit, .countSigns,
  ]

  /// Kinds that the student's base has read about, scenes given as words.
  public static let read: [QuestionKind] = QuestionKind.allCases.filter { !heldOut.contains($0) }
}
