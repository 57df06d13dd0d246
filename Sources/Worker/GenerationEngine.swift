import Domain
import Executors
import Formats
import Kernels
import Transformer

/// Answers batches of assignments that share a model, on a thread of its own.
actor GenerationEngine {
  private let executor = ThreadExecutor(label: "generation")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private struct Ready {
    var assignment: Assignment
    var input: GenerationInput
  }

  private let library: ModelLibrary
  private let compute: Compute
  private var current: (model: Digest, generator: Generator, reader: PromptReader, Model)?

  init(library: ModelLibrary, compute: Compute) {
    self.library = library
    self.compute = compute
  }

  /// One report for each assignment; a job that cannot be done is a failure with its reason.
  func run(_ batch: [Assignment]) async -> [JobReport] {
    guard let model = batch.first?.request.model else { return [] }
    do {
      try await use(model)
    } catch {
      return batch.map { report($0, .failure(failure(error, model: model))) }
    }
    var reports: [JobReport] = []
    var ready: [Ready] = []
    for assignment in batch {
      do {
        ready.append(Ready(assignment: assignment, input: try await input(assignment.request)))
      } catch {
        reports.append(report(assignment, .failure(failure(error, model: model))))
      }
    }
    return reports + generate(ready, model: model)
  }

  private func use(_ model: Digest) async throws {
    if current?.model == model { return }
    current = nil
    let loaded = try await library.model(model, generatingOn: compute)
    current = (
      model, Generator(model: loaded, compute: compute), try PromptReader(loaded), loaded
    )
  }

  private func input(_ request: GenerationRequest) async throws -> GenerationInput {
    guard let (_, _, reader, model) = current else {
      preconditionFailure("a model is in use while its batch is read")
    }
    let (pieces, images) = try reader.read(request.prompt)
    var shown: [ModelImage] = []
    for image in images {
      let bytes: [UInt8]
      do {
        bytes = try await library.picture(image)
      } catch {
        throw PictureError.unavailable(image, "\(error)")
      }
      guard let processor = model.imageProcessor else { throw PromptReader.Mismatch.noVision }
      let pixels: PixelValues
      do {
        pixels = try processor.pixelValues(bytes, name: image.hex)
      } catch {
        throw PictureError.unreadable(image, "\(error)")
      }
      shown.append(ModelImage(pixels, key: image.hex))
    }
    let sampling = request.sampling
    let stops = try sampling.stops.map { name in
      guard let token = reader.tokenizer.controlToken(name) else {
        throw PromptReader.Mismatch.unknownControl(name)
      }
      return token
    }
    return GenerationInput(
      ModelInput(pieces: pieces, images: shown),
      sampling: SamplingParameters(
        temperature: sampling.temperature, topP: sampling.topP, seed: sampling.seed),
      tokensMax: sampling.tokensMax, stops: stops)
  }

  /// Generates all at once; when that fails, one by one, so that a job can only fail itself.
  private func generate(_ ready: [Ready], model: Digest) -> [JobReport] {
    guard let (_, generator, reader, _) = current, !ready.isEmpty else { return [] }
    func success(_ answer: GeneratedAnswer) -> JobOutcome {
      .success(
        GenerationResult(
          text: reader.tokenizer.decode(answer.tokens), tokens: answer.tokens,
          stop: StopReason(answer.stop), promptTokens: answer.promptTokens))
    }
    do {
      let answers = try generator.run(ready.map(\.input))
      return zip(ready, answers).map { report($0.assignment, success($1)) }
    } catch {
      if ready.count == 1 {
        return [report(ready[0].assignment, .failure(failure(error, model: model)))]
      }
      return ready.flatMap { generate([$0], model: model) }
    }
  }

  private func report(_ assignment: Assignment, _ outcome: JobOutcome) -> JobReport {
    JobReport(
      job: assignment.job, attempt: assignment.attempt, address: assignment.address,
      outcome: outcome)
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
    case InputError.overMemory: .outOfMemory("\(error)")
    case BlobTransferError.refused(let digest, let reason):
      .blobUnavailable(digest, "\(reason)")
    default: .modelUnusable(model, "\(error)")
    }
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
