public import Kernels

/// What the pictures of a pass became, for losses of one's own on them.
public struct ImageStates {
  /// For each sample of the pass, for each of its pictures: its rows in what follows.
  public var imageRows: [[Range<Int>]]
  /// Index of the pass's first sample in the call.
  public var firstSample: Int
  /// (P, vision columns), from the feature layer.
  public var features: Floats
  /// (P, columns), as the language model reads them.
  public var projected: Floats
  /// (P, vision columns), to add to; nil: the tower is frozen.
  public var dFeatures: Floats?
  /// (P, columns), to add to: the derivative of the samples' loss is there already.
  public var dProjected: Floats
}
