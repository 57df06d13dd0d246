public import Shapes

extension QuestionKind {
  /// Kinds that the student's base has never read: what the iterations have to teach. Every
  /// dimension has some, so that none is finished before a run begins.
  public static let heldOut: [QuestionKind] = [
    .sceneIs, .ground, .objectOfColour, .colourAt, .sizeOf, .rowOf, .columnOf, .countSize, .sideOf,
    .extreme, .touchedBy, .inside, .sameColour, .moved, .readColour, .letterOrDigit, .countSigns,
  ]

  /// Kinds that the student's base has read about, scenes given as words.
  public static let read: [QuestionKind] = QuestionKind.allCases.filter { !heldOut.contains($0) }
}
