import Kernels
public import Transformer

/// How the learning rate goes: up over `warmup` steps, level, and down to nearly nothing over the
/// last share of the steps.
public struct TrapezoidSchedule: Hashable, Sendable {
  public var peak: Double
  public var warmup: Int
  public var total: Int
  public var decayShare: Double

  public init(peak: Double, warmup: Int = 100, total: Int, decayShare: Double = 0.4) {
    precondition(total > 0 && warmup >= 0, "a training has steps")
    self.peak = peak
    self.warmup = warmup
    self.total = total
    self.decayShare = decayShare
  }

  /// - Parameter step: from 0.
  public func rate(step: Int) -> Double {
    let rise = min(1, Double(step + 1) / Double(max(1, warmup)))
    let left = Double(total - step) / (decayShare * Double(total))
    return peak * rise * min(1, max(0.02, left))
  }
}

/// One training: what it is called, how long it goes, what a step is.
public struct TrainingCourse: Hashable, Sendable {
  public var name: String
  public var schedule: TrapezoidSchedule
  /// Samples of a step, cut into `parts` equal parts whose gradients are added in order.
  public var batch: Int
  public var parts: Int

  public init(name: String, schedule: TrapezoidSchedule, batch: Int = 8, parts: Int = 2) {
    precondition(batch % parts == 0, "a batch of equal parts expected")
    self.name = name
    self.schedule = schedule
    self.batch = batch
    self.parts = parts
  }
}

/// A line of progress.
public struct TrainingProgress: Sendable {
  public var course: String
  public var step: Int
  public var stepsTotal: Int
  /// Mean loss of a token since the last report.
  public var loss: Double
  public var samplesPerSecond: Double
  public var secondsLeft: Double
}

/// AdamW as the world's models are trained with it.
let optimizerSettings = AdamWOptimizer.Settings(
  beta1: 0.9, beta2: 0.98, weightDecay: 0.05, clipNorm: 1)

/// Where and how a training keeps its state and tells of its progress.
public struct TrainingShell {
  /// The file of the state, read when it is there; nil keeps none.
  public var checkpoint: String?
  /// At most so much work is lost.
  public var checkpointEvery: Duration
  public var report: (TrainingProgress) -> Void

  public init(
    checkpoint: String?, checkpointEvery: Duration = .seconds(120),
    report: @escaping (TrainingProgress) -> Void
  ) {
    self.checkpoint = checkpoint
    self.checkpointEvery = checkpointEvery
    self.report = report
  }
}

/// Trains `model` in place on what `sample` gives for each number.
///
/// A model of `wordReadingModel` learns its language model only, the slots being its embedding. The
/// result depends on the course and the samples alone, not on threads or interruptions.
/// - Throws: `FormatError` for the state of another model; `InputError`; `KernelError`;
///   `CancellationError` when the task is cancelled, after the state has been written.
public func train(
  _ model: Model, _ trained: TrainedParts, _ course: TrainingCourse, shell: TrainingShell,
  sample: @escaping @Sendable (UInt64) -> TrainingInput
) async throws {
  let workers = try (0..<course.parts).map { _ in
    try LanguageWorker(model: model, trained: trained, sample: sample)
  }
  let reader = WordReader(model)
  let gradientRange = model.layout.range(of: trained)
  let trainedRange =
    reader == nil ? gradientRange : model.layout.range(of: ParameterLayout.Part.language)
  let change = ParameterChange(
    parameters: model.parameters[trainedRange],
    offset: trainedRange.lowerBound - gradientRange.lowerBound,
    before: { reader?.foldGradient($0, from: gradientRange.lowerBound) },
    after: { reader?.shareEmbedding() })
  try await train(change, course, workers, shell)
}

/// Which parameters a training changes, and what else is done at each step.
struct ParameterChange {
  var parameters: Floats
  /// Where their gradient begins in what the workers compute.
  var offset: Int
  /// Sees the whole gradient before it is used, and the new parameters.
  var before: (Floats) -> Void = { _ in }
  var after: () -> Void = {}
}

func train(
  _ change: ParameterChange, _ course: TrainingCourse, _ workers: [any GradientWorker],
  _ shell: TrainingShell
) async throws {
  let parameters = change.parameters
  let count = parameters.count
  var optimizer = AdamWOptimizer(count: count, settings: optimizerSettings)
  if let path = shell.checkpoint, let state = try TrainingState.read(path, count: count) {
    parameters.copy(from: state.parameters)
    change.after()
    optimizer = AdamWOptimizer(
      settings: optimizerSettings, firstMoments: state.firstMoments,
      secondMoments: state.secondMoments, stepsDone: state.step)
  }
  func save() throws {
    guard let path = shell.checkpoint else { return }
    try TrainingState(
      step: optimizer.stepsDone, parameters: parameters, firstMoments: optimizer.firstMoments,
      secondMoments: optimizer.secondMoments
    ).write(path)
  }

  let compute = try Compute(threads: 2)
  let clock = ContinuousClock()
  var meter = ProgressMeter(course: course, now: clock.now)
  var saved = clock.now
  while optimizer.stepsDone < course.schedule.total {
    let step = optimizer.stepsDone
    let (gradient, sum) = try await summedGradient(course, step: step, workers, on: compute)
    change.before(gradient)
    _ = optimizer.step(
      parameters: parameters, gradient: gradient[change.offset..<change.offset + count],
      tokens: sum.tokens, learningRate: course.schedule.rate(step: step), on: compute)
    change.after()
    if let line = meter.count(sum, stepsDone: step + 1, now: clock.now) { shell.report(line) }
    if Task.isCancelled || clock.now - saved > shell.checkpointEvery {
      try save()
      saved = clock.now
      try Task.checkCancellation()
    }
  }
  try save()
}

/// The gradient over a whole batch: the parts side by side, their sums added in the order of parts.
private func summedGradient(
  _ course: TrainingCourse, step: Int, _ workers: [any GradientWorker], on compute: Compute
) async throws -> (gradient: Floats, sum: LossSum) {
  let partSize = UInt64(course.batch / course.parts)
  let first = UInt64(step * course.batch)
  let parts = try await withThrowingTaskGroup(of: (Int, Floats, LossSum).self) { group in
    for (number, worker) in workers.enumerated() {
      let start = first + UInt64(number) * partSize
      group.addTask {
        let (gradient, sum) = try await worker.gradient(of: start..<start + partSize)
        return (number, gradient, sum)
      }
    }
    var parts: [(Int, Floats, LossSum)] = []
    for try await part in group { parts.append(part) }
    return parts.sorted { $0.0 < $1.0 }
  }
  var total = LossSum(loss: 0, tokens: 0)
  for (number, gradient, sum) in parts {
    if number > 0 { add(into: parts[0].1, gradient, on: compute) }
    total.loss += sum.loss
    total.tokens += sum.tokens
  }
  return (parts[0].1, total)
}

/// Means between reports.
private struct ProgressMeter {
  let course: TrainingCourse
  var since: ContinuousClock.Instant
  var sum = LossSum(loss: 0, tokens: 0)
  var steps = 0

  init(course: TrainingCourse, now: ContinuousClock.Instant) {
    self.course = course
    since = now
  }

  mutating func count(
    _ step: LossSum, stepsDone: Int, now: ContinuousClock.Instant
  ) -> TrainingProgress? {
    sum.loss += step.loss
    sum.tokens += step.tokens
    steps += 1
    let total = course.schedule.total
    guard now - since > .seconds(20) || stepsDone == total else { return nil }
    let seconds = (now - since) / .seconds(1)
    let line = TrainingProgress(
      course: course.name, step: stepsDone, stepsTotal: total, loss: sum.mean,
      samplesPerSecond: Double(steps * course.batch) / seconds,
      secondsLeft: seconds / Double(steps) * Double(total - stepsDone))
    (since, sum, steps) = (now, LossSum(loss: 0, tokens: 0), 0)
    return line
  }
}
