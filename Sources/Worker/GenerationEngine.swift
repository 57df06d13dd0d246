import Domain
import Executors
import Formats
import Kernels
import Transformer

/// Computes assignments that share a model, on a thread of its own. They join and leave at every
/// token: while pictures of a new one are fetched, the others go on.
actor GenerationEngine {
  private let executor = ThreadExecutor(label: "generation")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private struct Current {
    var served: ServedModel
    var model: Model
    var generator: Generator
    var reader: PromptReader
  }

  private let library: ModelLibrary
  private let compute: Compute
  private let limits: GenerationLimits
  /// Nil: what the machine has when a model is loaded.
  private let memoryBytes: Int?
  private var current: Current?
  /// Under way, by the generator's id.
  private var assignments: [Int: Assignment] = [:]
  private var nextID = 0

  init(
    library: ModelLibrary, compute: Compute, limits: GenerationLimits = GenerationLimits(),
    memoryBytes: Int? = nil
  ) {
    self.library = library
    self.compute = compute
    self.limits = limits
    self.memoryBytes = memoryBytes
  }

  /// Prepares for assignments of a model; those of another are dropped.
  /// - Returns: why it cannot be used.
  func use(_ served: ServedModel) async -> JobFailure? {
    if current?.served == served { return nil }
    current = nil
    assignments.removeAll()
    do {
      let precision = GenerationPrecision(served.precision)
      let outline = try ModelOutline(try await library.path(of: served.digest), precision)
      let fitting = try outline.fitting(
        limits, into: memoryBytes ?? availableMemoryBytes(), on: compute)
      let loaded = try await library.model(
        served.digest, for: .generation(precision, on: compute))
      current = Current(
        served: served, model: loaded,
        generator: Generator(model: loaded, compute: compute, limits: fitting),
        reader: try PromptReader(loaded))
      return nil
    } catch {
      return failure(error, model: served.digest)
    }
  }

  /// Takes assignments in, whose ends `step` will report. Those that come together begin together,
  /// so that passes are few and large.
  /// - Returns: reports of those that cannot be computed.
  func take(_ taken: [Assignment]) async -> [JobReport] {
    var read: [(assignment: Assignment, input: GenerationInput)] = []
    var failed: [JobReport] = []
    func fail(_ assignment: Assignment, _ error: any Error) {
      let failure = failure(error, model: assignment.request.model)
      failed.append(JobReport(assignment, .failure(failure)))
    }
    await library.fetchPictures(taken.flatMap(\.request.prompt.pictures))
    for assignment in taken {
      do {
        read.append((assignment, try await input(assignment.request)))
      } catch {
        fail(assignment, error)
      }
    }
    // From here on nothing is waited for, so no step comes in between.
    for (assignment, input) in read {
      guard let current, current.served == assignment.request.served else {
        preconditionFailure("an assignment of a model that is not in use")
      }
      do {
        try current.generator.admit(input, id: nextID)
        assignments[nextID] = assignment
        nextID += 1
      } catch {
        fail(assignment, error)
      }
    }
    return failed
  }

  /// Computes the next token of each.
  /// - Returns: the reports of those that ended, and whether others go on.
  func step() -> (reports: [JobReport], goesOn: Bool) {
    guard let current else { return ([], false) }
    let reports = current.generator.step().compactMap { id, result -> JobReport? in
      guard let assignment = assignments.removeValue(forKey: id) else { return nil }
      // Nothing was admitted with a deadline, which alone makes a request fail here.
      guard case .success(let answer) = result else { preconditionFailure("\(result)") }
      return JobReport(
        assignment,
        .success(
          GenerationResult(
            text: current.reader.tokenizer.decode(answer.tokens), tokens: answer.tokens,
            stop: StopReason(answer.stop), promptTokens: answer.promptTokens)))
    }
    return (reports, current.generator.activeCount > 0)
  }

  /// Gives jobs up that nobody wants any more; those that are not here are no error.
  func drop(_ jobs: [JobID]) {
    let unwanted = Set(jobs)
    for (id, assignment) in assignments where unwanted.contains(assignment.job) {
      current?.generator.cancel(id)
      assignments[id] = nil
    }
  }

  private func input(_ request: GenerationRequest) async throws -> GenerationInput {
    guard let (reader, model) = current.map({ ($0.reader, $0.model) }) else {
      preconditionFailure("a model is in use while its assignments are read")
    }
    let (pieces, images) = try reader.read(request.prompt)
    let sampling = request.sampling
    let stops = try sampling.stops.map { name in
      guard let token = reader.tokenizer.controlToken(name) else {
        throw PromptReader.Mismatch.unknownControl(name)
      }
      return token
    }
    var shown: [ModelImage] = []
    for image in images { shown.append(try await self.image(image, of: model)) }
    return GenerationInput(
      ModelInput(pieces: pieces, images: shown),
      sampling: SamplingParameters(
        temperature: sampling.temperature, topP: sampling.topP, seed: sampling.seed),
      tokensMax: sampling.tokensMax, stops: stops)
  }

  /// A picture that is decoded only when its features are not known yet.
  private func image(_ digest: Digest, of model: Model) async throws -> ModelImage {
    guard let processor = model.imageProcessor else { throw PromptReader.Mismatch.noVision }
    let bytes: [UInt8]
    do {
      bytes = try await library.picture(digest)
    } catch {
      throw PictureError.unavailable(digest, "\(error)")
    }
    return ModelImage(key: digest.hex) {
      do {
        return try processor.pixelValues(bytes, name: digest.hex)
      } catch {
        throw PictureError.unreadable(digest, "\(error)")
      }
    }
  }

  private enum PictureError: Error {
    case unavailable(Digest, String)
    case unreadable(Digest, String)
  }

  private func failure(_ error: any Error, model: Digest) -> JobFailure {
    switch error {
    case PictureError.unavailable(let digest, let reason): .blobUnavailable(digest, reason)
    case PictureError.unreadable(let digest, let reason): .imageUnreadable(digest, reason)
    case InputError.tooLong(let positions, let limit):
      .promptTooLong(tokens: positions, limit: limit)
    case InputError.overMemory, is MemoryShortage: .outOfMemory("\(error)")
    case BlobTransferError.refused(let digest, let reason):
      .blobUnavailable(digest, "\(reason)")
    default: .modelUnusable(model, "\(error)")
    }
  }
}

extension JobReport {
  init(_ assignment: Assignment, _ outcome: JobOutcome) {
    self.init(
      job: assignment.job, attempt: assignment.attempt, address: assignment.address,
      outcome: outcome)
  }
}

extension StopReason {
  init(_ stop: GenerationStop) {
    self =
      switch stop {
      case .stopToken: .stopToken
      case .tokensMax: .tokensMax
      case .contextFull: .contextFull
      }
  }
}

extension GenerationPrecision {
  init(_ precision: Precision) {
    self =
      switch precision {
      case .f32: .f32
      case .bf16: .bf16
      case .int8: .int8
      }
  }
}
