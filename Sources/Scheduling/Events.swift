public import Domain

/// What happens to a run, as its machine sees it.
///
/// The shell turns sockets, timers, the store and the operator into these and hands them over one
/// at a time, each with the moment at which it happened.
public enum Event: Hashable, Sendable {
  /// What the run is about has been read and stored. Always the first event, also after a restart.
  ///
  /// `pool` is the imported pool, ids from 1 without gaps; after a restart, when the restored run
  /// has its instructions already, it is ignored.
  case prepared(RunInput, pool: [Instruction])
  /// A message. The transport has made sure that the sender's name is the owner of its key.
  case received(WorkerMessage, from: WorkerID)
  /// The connection of a worker has ended; all that came over it was handed over before.
  case disconnected(WorkerID)
  /// Time passed. The shell sends one at least every `timing.tickEvery`; without it nothing that
  /// waits for time moves.
  case tick
  /// The answer to `Request.lookUp`: the results that are known; jobs left out are not.
  case lookedUp(asked: [JobID], found: [KnownResult])
  /// The answer to `Request.recall`; there is none for a job without a result.
  case recalled(JobReport, from: WorkerID, AcceptedResult)
  /// The answer to `Request.buildDataset`: the encoded samples are a blob. No samples: the
  /// training is left out, and the student stays as it is.
  case datasetBuilt(TrainingID, dataset: Digest, samples: Int)
  /// The answer to `Request.writeManifest`.
  case manifestWritten(TrainingID, TrainingCheckpoint)
  /// The answer to `Request.scoreEvaluation`.
  case evaluationScored(EvaluationScore)
  case command(Command)
}

/// A result that was known before anybody computed it here.
public struct KnownResult: Hashable, Sendable {
  public var job: JobID
  public var result: GenerationResult
  public init(job: JobID, result: GenerationResult) {
    self.job = job
    self.result = result
  }
}

/// What an operator may ask for at any time.
public enum Command: Hashable, Codable, Sendable {
  /// Hand out no more work and begin no more steps; what runs is finished.
  case pause
  case resume
  /// The worker finishes what it holds, takes nothing new, and leaves.
  case drain(worker: String)
  /// The worker is out now; what it held goes to others, what it says is not heard.
  case revoke(worker: String)
  /// The worker may come back after a revocation.
  case pardon(worker: String)
}

/// What the shell has to do, in this order: commit every `.persist` of the turn in one transaction,
/// then everything else in the order given.
public enum Effect: Hashable, Sendable {
  case persist(Change)
  case send(WorkerID, CoordinatorMessage)
  case request(Request)
  /// Something worth a line in the log and on the dashboard; nothing follows from it.
  case note(Note)
}

/// Work that only the shell can do. Each may be asked for again after a restart, and answering the
/// same one twice does no harm.
public enum Request: Hashable, Sendable {
  /// Are there results for these addresses, from this run or an earlier one? Answered by
  /// `.lookedUp`; until then the jobs are not handed out. Asked only when `settings.reuse` is on.
  case lookUp([AddressQuery])
  /// A result of a job that has one came again: what does the store have? Answered by `.recalled`.
  case recall(JobReport, from: WorkerID)
  /// Build the samples of a training from the store (`pretraining`: the filtered captions; tuning
  /// `i`: the instructions of tuning pool `i` with their accepted teacher answers, in id order),
  /// store them as a blob, and answer with `.datasetBuilt`.
  case buildDataset(TrainingID)
  /// All segments of a checkpoint are stored: store its manifest, which names them, and answer with
  /// `.manifestWritten`.
  case writeManifest(TrainingID, step: Int, [SavedSegment])
  /// All answers of this subject to this set are in the store: score them.
  case scoreEvaluation(EvaluationSubject, set: Int, iteration: Int)
  /// The run is over and its phase is durable: write the report, tell the workers, stop.
  case finish(Completion)
}

public struct AddressQuery: Hashable, Sendable {
  public var job: JobID
  public var address: Digest
  public init(job: JobID, address: Digest) {
    self.job = job
    self.address = address
  }
}

/// Why a run is over.
public enum Completion: Hashable, Sendable, CustomStringConvertible {
  /// All iterations are done.
  case allIterations
  /// The augmentor's proposals of this iteration were all turned down, so the next tuning pool is
  /// empty: the student would not change, nor would anything that follows from it.
  case nothingNew(afterIteration: Int)

  public var description: String {
    switch self {
    case .allIterations: "all iterations are done"
    case .nothingNew(let iteration):
      "iteration \(iteration) admitted no new instruction, so there is nothing left to learn from"
    }
  }
}
