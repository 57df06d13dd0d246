import Domain
import Protocol
import TestSupport

/// Draws values of the vocabulary, awkward ones among them: empty texts, U+0000, characters of
/// four bytes, ends of number ranges.
struct RandomMessages: RandomValues {
  var random: SeededRandom

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  mutating func upTo(_ bound: Int) -> Int { random.below(bound + 1) }

  mutating func several<Value>(
    _ countMax: Int, _ make: (inout RandomMessages) -> Value
  ) -> [Value] {
    (0..<upTo(countMax)).map { _ in make(&self) }
  }

  mutating func name() -> String { "n" + text() }

  mutating func count() -> Int { pick([0, 1, 7, 4096, Int(UInt32.max)]) }
  mutating func long() -> Int { pick([0, 1, 300, Int.max]) }
  mutating func word() -> UInt64 { pick([0, 1, .max, random.next()]) }
  mutating func job() -> JobID { JobID(pick([1, 2, 128, Int64.max])) }
  mutating func attempt() -> Int { pick([1, 2, Int(UInt32.max)]) }
  mutating func training() -> TrainingID { TrainingID(iteration: upTo(5)) }
  mutating func key() -> String {
    String((0..<40).map { _ in pick(Array("0123456789abcxyzABCXYZ.-:+=^!/*?&<>()[]{}@%$#")) })
  }

  mutating func result() -> GenerationResult {
    GenerationResult(
      text: text(), tokens: several(40) { $0.pick([0, 1, -1, .max, .min, 151_000]) },
      stop: pick([.stopToken, .tokensMax, .contextFull]), promptTokens: count())
  }

  mutating func failure(_ index: Int) -> JobFailure {
    switch index % 5 {
    case 0: .blobUnavailable(digest(), text())
    case 1: .imageUnreadable(digest(), text())
    case 2: .modelUnusable(digest(), text())
    case 3: .promptTooLong(tokens: long(), limit: long())
    default: .outOfMemory(text())
    }
  }

  mutating func report() -> JobReport {
    let index = upTo(5)
    return JobReport(
      job: job(), attempt: attempt(), address: digest(),
      outcome: index == 5 ? .success(result()) : .failure(failure(index)))
  }

  mutating func part() -> PromptPart {
    switch upTo(2) {
    case 0: .text(text())
    case 1: .control(name())
    default: .image(digest())
    }
  }

  mutating func request() -> GenerationRequest {
    GenerationRequest(
      model: digest(), prompt: Prompt(several(6) { $0.part() }),
      sampling: Sampling(
        temperature: pick([0, 0.5, 1000]), topP: pick([0, 0.9, 1]),
        tokensMax: pick([0, 1, 1 << 20]), seed: word(), stops: several(3) { $0.name() }),
      precision: pick(Precision.allCases))
  }

  mutating func checkpoint() -> TrainingCheckpoint {
    TrainingCheckpoint(step: long(), state: digest())
  }

  mutating func standing(_ index: Int) -> TrainingStanding {
    switch index % 4 {
    case 0: .preparing
    case 1, 2: .following(progress(isSummed: index % 4 == 2))
    default: .failed(text())
    }
  }

  mutating func progress(isSummed: Bool) -> TrainingProgress {
    let segments = pick([0, 1, 64, 200])
    return TrainingProgress(
      lineage: word(), elements: long(), step: long(), isWhole: upTo(1) == 0,
      kept: set(of: segments), summed: isSummed ? set(of: segments) : nil)
  }

  mutating func set(of count: Int) -> PieceSet {
    var set = PieceSet(none: count)
    for piece in 0..<count where upTo(1) == 0 { set.insert(piece) }
    return set
  }

  mutating func totals() -> StepTotals {
    StepTotals(
      loss: pick([0, 0.693, .infinity, -0.0]), tokens: Int64(long()),
      sumOfSquares: pick([0, 1e300]))
  }

  mutating func saved() -> SavedSegment {
    SavedSegment(segment: upTo(65_536), weights: digest(), moments: digest())
  }

  mutating func plan() -> TrainingPlan {
    var recipe = TrainingRecipe(
      batch: pick([1, 16, Int(UInt32.max)]), learningRate: pick([0, 2e-5]),
      warmupRatio: pick([0, 0.03, 1]), epochs: 1, weightDecay: 0.1, beta1: 0.9, beta2: 0.999,
      epsilon: 1e-8, clipNorm: pick([0, 1]), trained: pick(TrainedPart.allCases),
      virtualRanks: pick([1, 16, 65_536]), checkpointEvery: count(), seed: word(),
      precision: pick([.f32, .bf16]))
    recipe.recompute = pick([false, true])
    recipe.wire = pick(WirePrecision.allCases)
    recipe.adapters = pick([
      nil, LowRankAdapters(rank: pick([1, 65_536]), alpha: pick([0.5, 32])),
      LowRankAdapters(rank: 8, targets: [pick(AdaptedLayer.allCases), .down]),
    ])
    return TrainingPlan(
      training: training(), model: digest(), dataset: digest(), recipe: recipe,
      stepsTotal: long(), checkpoint: upTo(1) == 0 ? nil : checkpoint())
  }

  mutating func worker() -> WorkerID { WorkerID(name: name(), boot: word()) }

  mutating func step() -> StepPlan {
    let members = (0...upTo(3)).map { _ in
      StepMember(worker: worker(), endpoint: name(), publicKey: key())
    }
    return StepPlan(
      training: training(), epoch: word(), step: long(), members: members,
      rankOwners: several(16) { $0.upTo(members.count - 1) },
      segments: several(16) { messages in
        let first = messages.upTo(members.count - 1)
        return SegmentKeepers(
          [first] + messages.several(3) { $0.upTo(members.count - 1) },
          newcomer: messages.upTo(1) == 0 ? nil : messages.upTo(members.count - 1))
      }, before: upTo(1) == 0 ? nil : totals(),
      base: pick([nil, .beginning, .checkpoint(checkpoint())]))
  }

  static let workerKinds = 8

  mutating func workerMessage(_ kind: Int) -> WorkerMessage {
    switch kind % RandomMessages.workerKinds {
    case 0:
      .hello(
        WorkerHello(
          protocolVersion: pick([1, 2, Int(UInt32.max)]), worker: worker(),
          threads: pick([1, 64, 65_536]), memoryBytes: Int64(long()), kernelSet: name(),
          peerEndpoint: name(), peerPublicKey: key(), models: several(3) { $0.digest() }))
    case 1:
      .heartbeat(
        Heartbeat(
          sequence: word(), holding: several(9) { $0.job() }, credit: count(),
          busyMilliseconds: Int64(long()), training: upTo(1) == 0 ? nil : training(),
          standing: upTo(1) == 0 ? nil : standing(upTo(3))))
    case 2: .reports(several(5) { $0.report() })
    case 3: .standing(training(), standing(upTo(3)))
    case 4:
      .vote(
        StepVote(
          training: training(), epoch: word(), step: long(),
          loss: pick([0, 0.693, .infinity, -0.0]), tokens: Int64(long()),
          sums: several(16) {
            SegmentSum(
              segment: $0.upTo(65_536), sumOfSquares: $0.pick([0, 2.5]), check: $0.word())
          }, computing: .nanoseconds(upTo(1_000_000))))
    case 5: .segmentSaved(training(), step: long(), saved())
    case 6: .exported(TrainingExport(training: training(), model: digest(), weights: digest()))
    default: .goodbye
    }
  }

  static let coordinatorKinds = 13

  mutating func coordinatorMessage(_ kind: Int) -> CoordinatorMessage {
    switch kind % RandomMessages.coordinatorKinds {
    case 0:
      .welcome(
        Welcome(
          run: name(), heartbeatEvery: pick([.nanoseconds(1), .seconds(2), .seconds(86_400)]),
          creditMax: count()))
    case 1: .refused(.protocolVersion(ours: count(), yours: count()))
    case 2: .refused(pick([.revoked, .nameInUse, .kernelSet(ours: name(), yours: name())]))
    case 3: .helloWanted
    case 4:
      .assign(
        several(4) {
          Assignment(
            job: $0.job(), attempt: $0.pick([1, 9]), address: $0.digest(), request: $0.request())
        })
    case 5: .acknowledge(several(20) { JobAttempt($0.job(), attempt: $0.attempt()) })
    case 6: .cancel(several(20) { $0.job() })
    case 7: .prepareTraining(plan())
    case 8: .openStep(step())
    case 9:
      .commitStep(training(), epoch: word(), step: long(), totals(), isSaved: upTo(1) == 0)
    case 10: .export(training())
    case 11: .endTraining(training())
    default: .drain
    }
  }

  static let bulkRequestKinds = 7

  mutating func bulkRequest(_ kind: Int) -> (BulkRequest, payloadBytes: Int) {
    let length = pick([1, 4096, WireLimits.chunkBytesMax])
    return switch kind % RandomMessages.bulkRequestKinds {
    case 0: (.fetch(request: word(), blob: digest(), offset: Int64(long()), length: length), 0)
    case 1:
      (
        .offer(
          request: word(), blob: digest(), size: Int64(long()),
          place: upTo(1) == 0
            ? nil : FilePlace(process: long(), descriptor: long(), offset: Int64(long()))), 0
      )
    case 2: (.find(request: word(), blob: digest()), 0)
    case 3: (.survey(request: word(), blob: digest()), 0)
    case 4:
      (
        .announce(endpoint: name(), publicKey: key(), blobs: several(4) { $0.digest() }), 0
      )
    case 5: (.complain(blob: digest(), piece: long(), source: name()), 0)
    default:
      (.chunk(request: word(), blob: digest(), offset: Int64(long()), length: length), length)
    }
  }

  private mutating func source() -> BlobSource {
    BlobSource(name: name(), endpoint: name(), publicKey: key())
  }

  static let bulkReplyKinds = 13

  mutating func bulkReply(_ kind: Int) -> (BulkReply, payloadBytes: Int) {
    let (number, blob) = (word(), digest())
    func refused(_ refusal: BulkRefusal) -> (BulkReply, payloadBytes: Int) {
      (.refused(request: number, blob: blob, refusal), 0)
    }
    switch kind % RandomMessages.bulkReplyKinds {
    case 0:
      let length = pick([0, 1, 4096])
      let offset = pick([0, 77, 1 << 40])
      return (
        .chunk(
          request: number, blob: blob, size: Int64(offset + length + upTo(1)),
          offset: Int64(offset), length: length), length
      )
    case 1: return (.wanted(request: number, blob: blob, from: Int64(long())), 0)
    case 2: return (.stored(request: number, blob: blob), 0)
    case 3: return refused(.unknownBlob)
    case 4: return refused(.range)
    case 5: return refused(.tooLarge(limit: Int64(long())))
    case 6: return refused(.mismatch)
    case 7: return refused(.busy)
    case 8:
      let sources = several(4) { $0.source() }
      return (
        .found(
          request: number, blob: blob, size: pick([0, 77, 1 << 48]), sources: sources),
        pick([0, 32, 320])
      )
    case 9: return (.holding(request: number, blob: blob), pick([1, 77]))
    case 10: return (.letIn(source(), blob: blob), 0)
    case 11: return (.shutOut(name: name()), 0)
    default: return refused(.storage(text()))
    }
  }

  static let peerKinds = 2

  mutating func peerMessage(_ kind: Int) -> (PeerMessage, payloadBytes: Int) {
    let elements = pick([1, 2, 1000])
    let part = pick(StatePart.allCases)
    switch kind % RandomMessages.peerKinds {
    case 0:
      let kinds: [CellKind] = [.partial(node: upTo(99)), .sum, .state(part), .change]
      let precision = pick(WirePrecision.allCases)
      let cell = VectorCell(
        training: training(), epoch: word(), step: long(), kind: pick(kinds), cell: upTo(1 << 30),
        count: elements, precision: precision,
        ranks: several(4) {
          RankStatistics(
            rank: $0.upTo(65_536), lossSum: $0.pick([0, -1.5]), tokens: Int64($0.long()))
        })
      return (.cell(cell), (precision == .f32 ? 4 : 2) * elements)
    default:
      return (
        .ask(
          training(), step: long(), part: pick([.weights, .firstMoment]), segment: upTo(65_536)),
        0
      )
    }
  }

  mutating func samples() -> [TrainingSample] {
    several(4) { messages in
      TrainingSample(
        messages.several(5) { TrainingPart($0.part(), trained: $0.upTo(1) == 0) })
    }
  }
}
