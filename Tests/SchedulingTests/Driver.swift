import Distillation
import Domain
import Scheduling

/// A machine with a clock beside it, and the few things that tests say to it.
struct Driver {
  var machine: RunMachine
  var now = Moment.zero
  private var sequences: [WorkerID: UInt64] = [:]
  private var stored = StoredResults()

  init(
    instructions: Int = 3, pictures: Int = 2, restored: RestoredRun = RestoredRun(),
    input: RunInput = testInput(), reuse: Bool = false,
    change: (inout RunSettings) -> Void = { _ in }
  ) {
    var settings = testSettings()
    settings.reuse = reuse
    change(&settings)
    machine = RunMachine(
      settings: settings, restored: restored, address: testAddress, at: .zero)
    _ = machine.handle(.prepared(input, pool: testPool(instructions, pictures)), at: .zero)
  }

  /// What follows; what the machine asks of the store about results is answered at once.
  mutating func handle(_ event: Event) -> [Effect] {
    var effects = machine.handle(event, at: now)
    stored.note(effects)
    for case .recall(let report, let worker) in effects.requests {
      guard let accepted = stored.results[report.job] else { continue }
      effects += handle(.recalled(report, from: worker, accepted))
    }
    return effects
  }

  mutating func say(_ message: WorkerMessage, _ worker: WorkerID) -> [Effect] {
    handle(.received(message, from: worker))
  }

  mutating func join(_ worker: WorkerID, kernelSet: String = "k") -> [Effect] {
    say(.hello(testHello(worker, kernelSet: kernelSet)), worker)
  }

  mutating func beat(
    _ worker: WorkerID, holding: [JobID] = [], credit: Int = 2, busy: Int64 = 0,
    _ training: TrainingID? = nil, _ standing: TrainingStanding? = nil
  ) -> [Effect] {
    sequences[worker, default: 0] += 1
    return say(
      .heartbeat(
        Heartbeat(
          sequence: sequences[worker, default: 0], holding: holding, credit: credit,
          busyMilliseconds: busy, training: training, standing: standing)), worker)
  }

  /// Lets time pass in the shell's ticks, while these workers keep beating.
  mutating func pass(_ duration: Duration, holding: [WorkerID: [JobID]] = [:]) -> [Effect] {
    var effects: [Effect] = []
    let end = now + duration
    var beats = 0
    while now < end {
      now = now + .milliseconds(250)
      beats += 1
      if beats % 4 == 0 {
        for worker in holding.keys.sorted() {
          effects += beat(worker, holding: holding[worker] ?? [])
        }
      }
      effects += handle(.tick)
    }
    return effects
  }

  mutating func report(
    _ assignment: Assignment, _ text: String, from worker: WorkerID
  ) -> [Effect] {
    say(.reports([success(assignment, text)]), worker)
  }

  mutating func fail(_ assignment: Assignment, on worker: WorkerID) -> [Effect] {
    let failure = JobFailure.promptTooLong(tokens: 9, limit: 8)
    return say(
      .reports([
        JobReport(
          job: assignment.job, attempt: assignment.attempt, address: assignment.address,
          outcome: .failure(failure))
      ]), worker)
  }
}

/// What a store would know about jobs that have ended.
private struct StoredResults {
  private var givenTo: [JobID: [String]] = [:]
  private(set) var results: [JobID: AcceptedResult] = [:]

  mutating func note(_ effects: [Effect]) {
    for change in effects.persisted {
      switch change {
      case .leased(let job, _, let worker): givenTo[job, default: []].append(worker.name)
      case .accepted(let report, _):
        guard case .success(let result) = report.outcome else { continue }
        results[report.job] = AcceptedResult(
          address: report.address, attempt: report.attempt, givenTo: givenTo[report.job] ?? [],
          result: result)
      default: continue
      }
    }
  }
}

let alice = WorkerID(name: "alice", boot: 1)
let bob = WorkerID(name: "bob", boot: 1)
let carol = WorkerID(name: "carol", boot: 1)

func success(_ assignment: Assignment, _ text: String) -> JobReport {
  JobReport(
    job: assignment.job, attempt: assignment.attempt, address: assignment.address,
    outcome: .success(testResult(text)))
}

func testResult(_ text: String) -> GenerationResult {
  GenerationResult(text: text, tokens: [1], stop: .stopToken, promptTokens: 1)
}

func digest(_ number: UInt64) -> Digest { Digest(words: (number, 1, 2, 3)) }

/// Told apart by everything in them, as SHA-256 would.
let testAddress: @Sendable (GenerationRequest) -> Digest = { request in
  var random = SeededRandom(
    seed: request.canonicalBytes.reduce(14_695_981_039_346_656_037) { hash, byte in
      (hash ^ UInt64(byte)) &* 1_099_511_628_211
    })
  return Digest(words: (random.next(), random.next(), random.next(), random.next()))
}

func testHello(_ worker: WorkerID, kernelSet: String = "k", version: Int = protocolVersion)
  -> WorkerHello
{
  WorkerHello(
    protocolVersion: version, worker: worker, threads: 1, memoryBytes: 1, kernelSet: kernelSet,
    peerEndpoint: "tcp://\(worker.name)", peerPublicKey: "k", models: [])
}

func testInput(captions: Bool = false, items: Int = 0) -> RunInput {
  RunInput(
    teacher: digest(100), student: digest(200), hasCaptions: captions,
    evaluationSets: items == 0
      ? []
      : [
        EvaluationSet(
          name: "set", items: (0..<items).map { EvaluationItem(image: nil, text: "item \($0)") },
          sampling: RoleSampling(temperature: 0, tokensMax: 8))
      ])
}

func testPool(_ count: Int, _ pictures: Int) -> [Instruction] {
  (0..<count).map { place in
    Instruction(
      id: InstructionID(Int64(place + 1)), image: digest(UInt64(place % pictures)),
      text: "question \(place)", task: .conversation,
      lineage: .imported(record: "r", turn: place))
  }
}

func testSettings() -> RunSettings {
  let role = RoleSampling(temperature: 0.5, tokensMax: 16)
  let recipe = TrainingRecipe(batch: 2, learningRate: 1, trained: .all, virtualRanks: 4, seed: 0)
  do {
    return RunSettings(
      run: "test", method: Method(iterations: 1), prompts: try PromptSet(),
      teacherTemplate: .plain, studentTemplate: .plain, teacher: role, student: role,
      judge: role, augmentor: role, pretrain: recipe, tune: recipe)
  } catch {
    preconditionFailure("the default prompts are sound: \(error)")
  }
}

extension [Effect] {
  var persisted: [Change] {
    compactMap { if case .persist(let change) = $0 { change } else { nil } }
  }
  var requests: [Request] {
    compactMap { if case .request(let request) = $0 { request } else { nil } }
  }
  var notes: [Note] { compactMap { if case .note(let note) = $0 { note } else { nil } } }

  func messages(to worker: WorkerID) -> [CoordinatorMessage] {
    compactMap { effect in
      guard case .send(worker, let message) = effect else { return nil }
      return message
    }
  }

  func assignments(to worker: WorkerID) -> [Assignment] {
    messages(to: worker).flatMap { message -> [Assignment] in
      if case .assign(let assignments) = message { assignments } else { [] }
    }
  }
}
