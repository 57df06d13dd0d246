import Distillation
import Domain
import Scheduling

/// The machine of decisions alone, with as many workers and instructions as wanted: no sockets, no
/// disk, nobody who computes. Its owner takes the time and looks at the memory.
///
/// Every worker does two jobs a second and says so twice a second, in simulated time. Instructions
/// are answered by the teacher and by the student, and judged; a training is left out.
public struct DecisionTrial {
  private var machine: RunMachine
  private let workers: [WorkerID]
  private let pool: [Instruction]
  private var held: [[Assignment]]
  private var now = Moment.zero
  private var beats: UInt64 = 0
  /// Jobs whose results the machine has taken.
  public private(set) var done = 0
  /// Every instruction has been judged.
  public private(set) var isOver = false

  public init(workers count: Int, instructions: Int) {
    workers = (0..<count).map { WorkerID(name: "w\($0)", boot: 1) }
    held = Array(repeating: [], count: count)
    // Six questions about a picture, with words as people ask them.
    pool = (0..<instructions).map { number in
      Instruction(
        id: InstructionID(Int64(number + 1)), image: simulatedDigest("picture", UInt64(number / 6)),
        text:
          "What is the person on the left of picture \(number / 6) holding, and why? (\(number))",
        task: .conversation, lineage: .imported(record: "\(number)", turn: number % 6))
    }
    let role = RoleSampling(temperature: 0, tokensMax: 32)
    let recipe = TrainingRecipe(learningRate: 0, trained: .projector, seed: 1)
    let prompts: PromptSet
    do { prompts = try PromptSet(replacing: [:]) } catch { preconditionFailure("\(error)") }
    machine = RunMachine(
      settings: RunSettings(
        run: "decisions", prompts: prompts, teacherTemplate: .plain, studentTemplate: .plain,
        teacher: role, student: role,
        judge: RoleSampling(temperature: 0, tokensMax: Self.judgementTokens), augmentor: role,
        pretrain: recipe, tune: recipe),
      restored: RestoredRun(), address: { simulatedDigest($0.canonicalBytes) }, at: .zero)
  }

  /// The pool is there and all workers have joined: jobs are handed out.
  public mutating func begin() {
    for worker in workers {
      take(
        .received(
          .hello(
            WorkerHello(
              protocolVersion: protocolVersion, worker: worker, threads: 1, memoryBytes: 0,
              kernelSet: "none", peerEndpoint: "", peerPublicKey: "", models: [])),
          from: worker))
    }
    take(
      .prepared(
        RunInput(
          teacher: simulatedDigest("teacher"), student: simulatedDigest("student"),
          hasCaptions: false, evaluationSets: []), pool: pool))
  }

  /// Half a simulated second: every worker says what it holds and reports a job.
  public mutating func beat() {
    beats += 1
    for place in workers.indices {
      now = now + .milliseconds(500) / workers.count
      take(
        .received(
          .heartbeat(
            Heartbeat(
              sequence: beats, holding: held[place].map(\.job).sorted(),
              credit: creditMax - held[place].count, busyMilliseconds: 0, training: nil,
              standing: nil)), from: workers[place]))
      if place == 0 || place == workers.count / 2 { take(.tick) }
      guard !held[place].isEmpty else { continue }
      let job = held[place].removeFirst()
      take(
        .received(
          .reports([
            JobReport(
              job: job.job, attempt: job.attempt, address: job.address,
              outcome: .success(
                GenerationResult(
                  text: job.request.sampling.tokensMax == Self.judgementTokens
                    ? "8 6" : "A cup of coffee, because it is cold there. (\(job.job))",
                  tokens: Array(repeating: 17, count: 12), stop: .stopToken, promptTokens: 600)))
          ]), from: workers[place]))
      done += 1
    }
  }

  private let creditMax = Limits().creditMax
  private static let judgementTokens = 8

  private mutating func take(_ event: Event) {
    for effect in machine.handle(event, at: now) {
      switch effect {
      case .send(let worker, .assign(let assignments)):
        guard let place = Int(worker.name.dropFirst()) else { continue }
        held[place] += assignments
      case .request(.lookUp(let queries)): take(.lookedUp(asked: queries.map(\.job), found: []))
      case .request(.buildDataset(let training)):
        take(.datasetBuilt(training, dataset: simulatedDigest("samples"), samples: 0))
      case .persist(.phase(.augmenting)): isOver = true
      case .send, .persist, .note, .request: continue
      }
    }
  }
}
