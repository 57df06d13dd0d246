public import Kernels

/// AdamW over a contiguous range of the parameters, with clipping by the global norm.
///
/// - Source: Loshchilov & Hutter 2019; `torch.optim.AdamW` and `clip_grad_norm_`.
public struct AdamWOptimizer: Sendable {
  /// The numbers that stay the same over a training.
  public struct Settings: Hashable, Sendable {
    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double
    public var weightDecay: Double
    /// The mean gradient is scaled down to this norm; 0 leaves it.
    public var clipNorm: Double

    public init(
      beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0,
      clipNorm: Double = 1
    ) {
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.clipNorm = clipNorm
    }

    /// The numbers of one step.
    ///
    /// - Parameters:
    ///   - index: 1 for the first.
    ///   - gradientScale: as `gradientScale(sumOfSquares:tokens:clipNorm:)` gives it.
    public func step(index: Int, learningRate: Double, gradientScale: Double) -> AdamWStep {
      AdamWStep(
        index: index, learningRate: Float(learningRate), beta1: Float(beta1),
        beta2: Float(beta2), eps: Float(epsilon), weightDecay: Float(weightDecay),
        gradientScale: Float(gradientScale))
    }
  }

  public let settings: Settings
  public let firstMoments: Floats
  public let secondMoments: Floats
  public var stepsDone: Int

  /// Moments of 0, before the first step.
  public init(count: Int, settings: Settings = Settings()) {
    self.init(
      settings: settings, firstMoments: Floats(zeros: count), secondMoments: Floats(zeros: count),
      stepsDone: 0)
  }

  /// Moments as they were after `stepsDone` steps.
  public init(
    settings: Settings, firstMoments: Floats, secondMoments: Floats, stepsDone: Int
  ) {
    precondition(firstMoments.count == secondMoments.count, "moments of equal counts expected")
    self.settings = settings
    self.firstMoments = firstMoments
    self.secondMoments = secondMoments
    self.stepsDone = stepsDone
  }

  /// What a summed gradient has to be multiplied with: `1 / tokens`, and `clipNorm / norm` when the
  /// norm of the mean is larger.
  ///
  /// - Parameter sumOfSquares: of the whole summed gradient.
  /// - Returns: the factor, and the mean gradient's norm before clipping.
  public static func gradientScale(
    sumOfSquares: Double, tokens: Int, clipNorm: Double
  ) -> (scale: Double, norm: Double) {
    guard tokens > 0 else { return (0, 0) }
    let norm = sumOfSquares.squareRoot() / Double(tokens)
    let clip = clipNorm > 0 ? min(1, clipNorm / (norm + 1e-6)) : 1
    return (clip / Double(tokens), norm)
  }

  /// One step over the whole range.
  ///
  /// - Parameters:
  ///   - parameters: (count), updated.
  ///   - gradient: (count), of the summed loss.
  ///   - tokens: that the sum counts; with 0 the gradient is 0, and moments and decay go on.
  /// - Returns: the mean gradient's norm before clipping.
  public mutating func step(
    parameters: Floats, gradient: Floats, tokens: Int, learningRate: Double,
    on compute: Compute
  ) -> Double {
    let squares = sumOfSquares(gradient, on: compute)
    let (scale, norm) = Self.gradientScale(
      sumOfSquares: squares, tokens: tokens, clipNorm: settings.clipNorm)
    adamW(
      parameters, firstMoments: firstMoments, secondMoments: secondMoments, gradients: gradient,
      settings.step(index: stepsDone + 1, learningRate: learningRate, gradientScale: scale),
      on: compute)
    stepsDone += 1
    return norm
  }
}
