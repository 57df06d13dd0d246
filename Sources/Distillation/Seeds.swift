public import Domain

/// Every seed of a run, from the one in the settings, by one rule.
///
/// A draw is named by what it is for (a label), and by iteration, item and attempt, 0 where one
/// does not apply. Its seed is
/// `next(next(next(run, label, iteration), "item", item), "attempt", attempt)`, where
/// `next(s, l, i)` is the first value of `SeededRandom(seed: s, l, i)`. So a seed depends on
/// nothing that differs between two runs of the same settings: neither on the order in which jobs
/// finish, nor on the worker, nor on a restart.
public struct Seeds: Hashable, Sendable {
  /// `method.seed` of the settings.
  public var run: UInt64

  public init(run: UInt64) { self.run = run }

  /// Seed with which the answer of this job is sampled.
  ///
  /// The teacher's answer to an instruction has no iteration: the one made for tuning is the one
  /// judged. A judgement asked for again has another attempt and so another seed. All subjects of
  /// an evaluation share their seeds.
  public func sampling(for purpose: Purpose) -> UInt64 {
    switch purpose {
    case .teacherAnswer(let instruction):
      return draw("teacher answer", item: instruction.number)
    case .studentAnswer(let instruction, let iteration):
      return draw("student answer", iteration: iteration, item: instruction.number)
    case .judgement(let instruction, let iteration, let order, let attempt):
      let label: StaticString =
        switch order {
        case .teacherFirst: "judgement, teacher first"
        case .studentFirst: "judgement, student first"
        }
      return draw(label, iteration: iteration, item: instruction.number, attempt: attempt)
    case .newInstruction(let instruction, let iteration):
      return draw("new instruction", iteration: iteration, item: instruction.number)
    case .evaluation(_, let set, let item, let iteration):
      return draw("evaluation", iteration: iteration, item: Int64(set) << 40 | Int64(item))
    }
  }

  /// For the place of the picture in the conversation that begins with this instruction (eq. 2).
  public func placement(_ instruction: InstructionID, iteration: Int) -> UInt64 {
    draw("placement", iteration: iteration, item: instruction.number)
  }

  /// For the sample of easy instructions that are augmented beside the difficult ones.
  public func easySample(iteration: Int) -> UInt64 { draw("easy sample", iteration: iteration) }

  /// For the subsets of 100 that the caption filter draws.
  public var captionSubset: UInt64 { draw("caption subset") }

  /// For the instruction and the picture's place that go with caption pair `pair`, from 0.
  public func captionInstruction(pair: Int) -> UInt64 {
    draw("caption instruction", item: Int64(pair))
  }

  /// For the order of the samples in a training.
  public func training(_ training: TrainingID) -> UInt64 {
    draw("training", iteration: training.iteration)
  }

  private func draw(
    _ label: StaticString, iteration: Int = 0, item: Int64 = 0, attempt: Int = 0
  ) -> UInt64 {
    var random = SeededRandom(seed: run, label, UInt64(iteration))
    random = SeededRandom(seed: random.next(), "item", UInt64(bitPattern: item))
    random = SeededRandom(seed: random.next(), "attempt", UInt64(attempt))
    return random.next()
  }
}
