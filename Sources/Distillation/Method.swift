/// The settings of the method itself, with the paper's values as defaults.
///
/// - Source: Li et al. 2024, sections 3.3 and 4.1.3.
public struct Method: Hashable, Codable, Sendable {
  /// Rounds of the second stage.
  public var iterations: Int
  /// τ: an instruction is difficult iff its eq. 6 score reaches this.
  public var threshold: Double
  /// A new instruction whose ROUGE-L with one of the same picture reaches this is refused.
  public var rougeLMax: Double
  /// Of teacher, judge and augmentor.
  public var temperature: Double
  /// How often a judge is asked in one order before the instruction counts as unjudged.
  public var judgeAttempts: Int
  /// From which every draw of the run follows; see `Seeds`.
  public var seed: UInt64
  /// Turns of one conversation at most, when a picture's answers are grouped.
  public var turnsMax: Int
  /// Characters of a new instruction at most.
  public var instructionCharactersMax: Int

  public init(
    iterations: Int = 4, threshold: Double = 0.33, rougeLMax: Double = 0.7,
    temperature: Double = 0.5, judgeAttempts: Int = 3, seed: UInt64 = 1, turnsMax: Int = 8,
    instructionCharactersMax: Int = 500
  ) {
    self.iterations = iterations
    self.threshold = threshold
    self.rougeLMax = rougeLMax
    self.temperature = temperature
    self.judgeAttempts = judgeAttempts
    self.seed = seed
    self.turnsMax = turnsMax
    self.instructionCharactersMax = instructionCharactersMax
  }
}
