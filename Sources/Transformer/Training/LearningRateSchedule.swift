import Foundation

/// Linear warm-up from 0, then half a cosine down to 0.
///
/// `rate(s) = base · s / W` for `s < W = ceil(ratio · total)`, else
/// `base · (1 + cos(π (s − W) / (total − W))) / 2`; steps count from 0, so that with any warm-up
/// the first step has rate 0, exactly as in the recipe of LLaVA.
/// - Source: `get_cosine_schedule_with_warmup` of transformers.
public struct LearningRateSchedule: Hashable, Sendable {
  public var base: Double
  public var warmupRatio: Double
  public var stepsTotal: Int

  /// - Precondition: `stepsTotal > 0`, `0 <= warmupRatio <= 1`.
  public init(base: Double, warmupRatio: Double, stepsTotal: Int) {
    precondition(stepsTotal > 0, "a training has at least one step, not \(stepsTotal)")
    precondition(warmupRatio >= 0 && warmupRatio <= 1, "warm-up ratio \(warmupRatio)")
    self.base = base
    self.warmupRatio = warmupRatio
    self.stepsTotal = stepsTotal
  }

  public var warmupSteps: Int { Int((warmupRatio * Double(stepsTotal)).rounded(.up)) }

  /// - Parameter step: from 0; from `stepsTotal` on the rate is 0.
  public func rate(step: Int) -> Double {
    let warmup = warmupSteps
    if step < warmup { return base * Double(step) / Double(warmup) }
    if step >= stepsTotal { return 0 }
    let progress = Double(step - warmup) / Double(stepsTotal - warmup)
    return base * 0.5 * (1 + cos(.pi * progress))
  }
}
