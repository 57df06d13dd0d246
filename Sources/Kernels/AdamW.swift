internal import CKernels

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The numbers of one AdamW step.
public struct AdamWStep: Equatable, Sendable {
  /// 1 for the first step; corrects the bias of the moments.
  public var index: Int
  public var learningRate: Float
  public var beta1: Float
  public var beta2: Float
  public var eps: Float
  public var weightDecay: Float
  /// What gradients are multiplied with first: 1 / tokens, times the clipping factor.
  public var gradientScale: Float

  public init(
    index: Int, learningRate: Float, beta1: Float = 0.9, beta2: Float = 0.999, eps: Float = 1e-8,
    weightDecay: Float = 0, gradientScale: Float = 1
  ) {
    precondition(index >= 1, "steps count from 1, \(index) given")
    self.index = index
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.eps = eps
    self.weightDecay = weightDecay
    self.gradientScale = gradientScale
  }

  /// `1 − beta1^index` and `1 − beta2^index`.
  var corrections: (first: Float, second: Float) {
    (
      Float(1 - pow(Double(beta1), Double(index))), Float(1 - pow(Double(beta2), Double(index)))
    )
  }
}

/// One step of AdamW with decoupled weight decay, element by element, in the order of PyTorch.
///
/// - Parameters:
///   - parameters: (N), updated.
///   - firstMoments: (N), updated.
///   - secondMoments: (N), updated.
///   - gradients: (N).
/// - Source: Loshchilov & Hutter 2019, algorithm 2.
public func adamW(
  _ parameters: Floats, firstMoments: Floats, secondMoments: Floats, gradients: Floats,
  _ step: AdamWStep, on compute: Compute
) {
  precondition(
    parameters.count == firstMoments.count && parameters.count == secondMoments.count
      && parameters.count == gradients.count, "equal counts expected")
  let (first, second) = step.corrections
  var call = unsafe ck_adamw()
  unsafe call.count = parameters.count
  unsafe call.parameters = parameters.base
  unsafe call.first = firstMoments.base
  unsafe call.second = secondMoments.base
  unsafe call.gradients = UnsafePointer(gradients.base)
  unsafe call.gradient_scale = step.gradientScale
  unsafe call.keep1 = 1 - step.beta1
  unsafe call.keep2 = 1 - step.beta2
  unsafe call.beta2 = step.beta2
  unsafe call.rate = step.learningRate / first
  unsafe call.root = second.squareRoot()
  unsafe call.eps = step.eps
  unsafe call.kept = 1 - step.learningRate * step.weightDecay
  unsafe ck_adamw_run(compute.pool, &call)
}

/// The naive twin of `adamW`; the same bits.
public func adamWReference(
  _ parameters: Floats, firstMoments: Floats, secondMoments: Floats, gradients: Floats,
  _ step: AdamWStep
) {
  precondition(
    parameters.count == firstMoments.count && parameters.count == secondMoments.count
      && parameters.count == gradients.count, "equal counts expected")
  let (first, second) = step.corrections
  let rate = step.learningRate / first
  let root = second.squareRoot()
  let kept = 1 - step.learningRate * step.weightDecay
  for i in 0..<parameters.count {
    let g = gradients[i] * step.gradientScale
    let m = firstMoments[i].addingProduct(1 - step.beta1, g - firstMoments[i])
    let v = (secondMoments[i] * step.beta2).addingProduct((1 - step.beta2) * g, g)
    firstMoments[i] = m
    secondMoments[i] = v
    let denominator = v.squareRoot() / root + step.eps
    parameters[i] = parameters[i] * kept - rate * m / denominator
  }
}

/// `Σ x²` in f64, in an order fixed by the count alone.
public func sumOfSquares(_ x: Floats, on compute: Compute) -> Double {
  unsafe ck_sum_of_squares(compute.pool, x.base, x.count)
}

/// The naive twin of `sumOfSquares`.
public func sumOfSquaresReference(_ x: Floats) -> Double {
  var sum = 0.0
  for i in 0..<x.count { sum += Double(x[i]) * Double(x[i]) }
  return sum
}
