import ClusterFixtures
import Foundation
import Testing

@testable import CommandLineTool

@Suite("A run whose processes are killed", .timeLimit(.minutes(5)))
struct KilledProcessTests {
  @Test("goes on where it was when its coordinator is started again, and repeats nothing")
  func coordinator() async throws {
    let trial = try Trial(instructions: 64)
    defer { trial.cluster.remove() }
    let expected = try await trial.undisturbed()
    let keys = try await trial.makeKeys()
    let workers = [try trial.worker("w1", keys: keys), try trial.worker("w2", keys: keys)]
    var history = RunHistory()
    var killedIn: [String] = []
    // Among jobs, among the steps of a training, and among jobs once more. A coordinator that was
    // killed late may have left the next of these behind.
    for (phase, event) in [
      ("answering 1", "accepted"), ("tuning 1", "tuning 1 checkpoint at step 2"),
      ("assessing 1", "accepted"),
    ] where !history.phases.contains(Substring(phase)) {
      let texts = ["durable: phase \(phase)", event]
      let process = try trial.coordinator(Reaction(texts: texts) { kill($0, SIGKILL) })
      let status = await process.end().status
      let said = await process.said()
      if status == -SIGKILL { killedIn.append(phase) }
      #expect(status == -SIGKILL || status == 0, "\(phase): \(said.suffix(3))")
      add(said, to: &history)
    }
    let last = try trial.coordinator()
    #expect(await last.end().status == 0)
    add(await last.said(), to: &history)
    #expect(killedIn.contains("tuning 1"), "killed in \(killedIn)")
    #expect(!history.accepted.isEmpty && !history.steps.isEmpty)
    #expect(history.accepted.values.allSatisfy { $0 == 1 })
    #expect(history.steps.values.allSatisfy { $0 == 1 })
    // What became durable and was not said any more is one turn of each coordinator that was
    // killed, at most.
    let report = try ReportFile(runFolder: trial.run)
    let steps = try #require(report.iterations.first?.tuning?.steps)
    let missing = steps - history.stepCount(of: "tuning 1")
    #expect(missing >= 0 && missing <= killedIn.count, "\(missing) of \(steps)")
    #expect(report.jobs?.lost == 0)
    #expect(try Student(of: trial.run) == expected)
    // The end of the run is theirs, too.
    for worker in workers { #expect(await worker.end().status == 0) }
    let past = try await trial.replayed()
    #expect(past.differs == nil && past.lacking == 0)
    #expect(past.comparisons > 0)
    #expect(past.happenings.count { $0.what == "a coordinator started" } == killedIn.count + 1)
  }

  /// Takes in what one more coordinator said; what was accepted before it must not be asked for.
  private func add(_ lines: [String], to history: inout RunHistory) {
    #expect(Set(RunHistory(lines).leased.keys).isDisjoint(with: history.accepted.keys))
    history.add(lines)
  }

  @Test("with one of three workers lost in the middle of tuning makes the same student")
  func worker() async throws {
    let trial = try Trial(instructions: 64)
    defer { trial.cluster.remove() }
    let expected = try await trial.undisturbed()
    let folder = trial.run
    // It has had a part in a step that counts.
    let texts = ["durable: phase tuning 1", "opened for w2", "durable: tuning 1 step"]
    let run = try trial.wholeRun(
      workers: 3, reaction: Reaction(texts: texts) { _ in killWorker("w2", of: folder) })
    #expect(await run.end().status == 0)
    let said = await run.said()
    let lost = try #require(
      said.firstIndex { $0.contains("w2") && $0.contains("ended by signal 9") })
    #expect(said[lost...].contains { $0.contains("durable: tuning 1 gave model") })
    let tuning = RunHistory(said).members.filter { $0.key.hasPrefix("tuning 1") }
    #expect(tuning.values.contains { $0.contains("w2") && $0.count > 1 }, "\(tuning)")
    #expect(tuning.values.contains { !$0.contains("w2") }, "\(tuning)")
    #expect(try Student(of: trial.run) == expected)
    let past = try await trial.replayed()
    #expect(past.differs == nil && past.comparisons > 0)
    #expect(past.happenings.contains { $0.what.contains("w2#") && $0.what.contains(" left: ") })
  }

  @Test("takes in a worker that comes in the middle of tuning, and makes the same student")
  func joining() async throws {
    // Enough steps for the new one to be let in, whatever else the machine does.
    let trial = try Trial(instructions: 240)
    defer { trial.cluster.remove() }
    let expected = try await trial.undisturbed()
    let late = Shared()
    // The others stand still until the new one has its model and its samples: there is a training
    // to join however long that takes.
    let others: @Sendable (Int32) -> Void = { signal in
      for name in ["w1", "w2"] { signalWorker(name, of: trial.run, signal) }
    }
    let texts = ["durable: phase tuning 1", "tuning 1 step 2 committed"]
    let run = try trial.wholeRun(
      workers: 2,
      reaction: Reaction(texts: texts) { _ in
        others(SIGSTOP)
        late.start {
          try trial.worker(
            "w3", keys: trial.run + "/keys",
            reaction: Reaction(texts: ["tuning 1: ready at step"]) { _ in others(SIGCONT) })
        }
      })
    #expect(await run.end().status == 0)
    let joined = try #require(late.started)
    #expect(await joined.end().status == 0)
    let loaded = await joined.said().compactMap { line in
      line.firstMatch(of: /tuning 1: ready at step (\d+)/).flatMap { Int($0.1) }
    }
    // What it began to compute with are the weights of a step in the middle, from the others.
    #expect(loaded.contains { $0 > 2 }, "\(loaded)")
    let members = RunHistory(await run.said()).members
    #expect(members.values.contains { $0.contains("w3") && $0.count > 1 }, "\(members)")
    #expect(try Student(of: trial.run) == expected)
  }

  @Test("takes back its only worker, killed as it was about to report, and repeats nothing")
  func restarted() async throws {
    let trial = try Trial(instructions: 32)
    defer { trial.cluster.remove() }
    let expected = try await trial.undisturbed()
    let keys = try await trial.makeKeys()
    let coordinator = try trial.coordinator()
    let pid = coordinator.pid
    let texts = ["joined", "results kept"]
    let killed = try trial.worker(
      "w1", keys: keys, log: "debug",
      reaction: Reaction(texts: texts) { worker in
        kill(pid, SIGSTOP)
        kill(worker, SIGKILL)
      })
    #expect(await killed.end().status == -SIGKILL)
    let again = try trial.worker(
      "w1", keys: keys,
      reaction: Reaction(texts: ["waiting for the coordinator"]) { _ in kill(pid, SIGCONT) })
    #expect(await coordinator.end().status == 0)
    #expect(await again.end().status == 0)
    let said = await coordinator.said()
    #expect(said.count { $0.contains("durable: w1#") && $0.hasSuffix(" joined") } == 2)
    #expect(RunHistory(said).accepted.values.allSatisfy { $0 == 1 })
    #expect(try ReportFile(runFolder: trial.run).jobs?.lost == 0)
    #expect(try Student(of: trial.run) == expected)
  }

  @Test("leaves no worker behind, not even one that begins when its starter is gone")
  func orphan() async throws {
    let trial = try Trial(instructions: 12)
    defer { trial.cluster.remove() }
    let keys = try await trial.makeKeys()
    // This process is its parent, and not the one that it is told.
    let orphan = try trial.start(
      "worker", "--access", "\(keys)/workers/w1.access", "--dir", trial.run + "/w1",
      "--exit-with", "\(Int32.max)")
    #expect(await orphan.end().status == 130)
    #expect(await orphan.said().contains { $0.contains("is gone") })
  }

  @Test("asked twice to stop ends at once, without waiting for a worker that stands still")
  func askedTwice() async throws {
    let trial = try Trial(instructions: 12)
    defer { trial.cluster.remove() }
    let folder = trial.run
    let joined = Reaction(texts: ["joined"]) { run in
      signalWorker("w1", of: folder, SIGSTOP)
      kill(run, SIGTERM)
    }
    let stopping = Reaction(texts: ["finishing what is under way"]) { kill($0, SIGTERM) }
    let run = try trial.start(
      "run", "--config", trial.cluster.config, "--dir", folder, "--workers", "1",
      reaction: joined.then(stopping))
    #expect(await run.end().status == 130)
    let worker = try #require(try workerProcesses(of: folder)["w1"])
    // Only a stop that waits sees the worker end; the system ends it when nobody is left to let it
    // go on.
    #expect(await !run.said().contains { $0.contains("w1") && $0.contains("ended") })
    kill(worker, SIGKILL)
  }
}
