import Domain
import Scheduling
import Simulation
import Testing

@testable import Journal

@Suite("A simulated history, recorded,")
struct SimulatedRunTests {
  @Test(
    "is read back as it was, event for event, and decides the same when it is handed over again",
    arguments: 0..<10)
  func replay(block: UInt64) throws {
    for seed in (block * 30 + 1)...(block * 30 + 30) {
      let lives = recordedLives(seed: seed, faults: .all)
      let stored = stored(lives)
      #expect(!lives.isEmpty)
      for life in lives {
        let decoded = try roundTrip(life, stored)
        try #require(decoded.count == life.turns.count)
        var machine = life.machine
        var hash = EffectsHash()
        var original = EffectsHash()
        for (turn, record) in zip(life.turns, decoded) {
          try #require(record == .event(turn.event, at: turn.moment), "seed \(seed)")
          guard case .event(let event, let moment) = record else { continue }
          let effects = machine.handle(event, at: moment)
          try #require(effects == turn.effects, "seed \(seed)")
          hash.combine(effects)
          original.combine(turn.effects)
        }
        #expect(hash == original)
        let standing = machine.standing(effects: hash)
        #expect(standing.difference(fromRun: standing) == nil)
      }
    }
  }

  /// What is left out is all that is large.
  @Test("holds no word of an answer that is in the store")
  func small() throws {
    let lives = recordedLives(seed: 1, faults: [])
    let life = try #require(lives.first)
    var encoder = RecordEncoder()
    for turn in life.turns { try encoder.add(turn.event, at: turn.moment, turn.effects) }
    let bytes = encoder.take()
    let texts = life.turns.flatMap { turn in
      turn.effects.compactMap { effect -> String? in
        guard case .persist(.accepted(let report, _)) = effect,
          case .success(let result) = report.outcome
        else { return nil }
        return result.text
      }
    }.filter { $0.count > 8 }
    #expect(texts.count > 10)
    let all = String(decoding: bytes, as: UTF8.self)
    // The words of a second answer to a job are kept nowhere else.
    let twins = life.turns.flatMap { turn -> [String] in
      guard case .received(.reports(let reports), _) = turn.event else { return [] }
      let accepted = turn.effects.compactMap { effect -> JobReport? in
        if case .persist(.accepted(let report, _)) = effect { report } else { nil }
      }
      return reports.filter { !accepted.contains($0) }.compactMap { report in
        if case .success(let result) = report.outcome { result.text } else { nil }
      }
    }
    #expect(texts.filter { all.contains($0) && !twins.contains($0) } == [])
  }

  @Test("whose store has lost a result, or has another one, says so")
  func missing() throws {
    let life = try #require(recordedLives(seed: 1, faults: []).first)
    let whole = stored([life])
    let empty = StoredParts(result: { _ in nil }, pool: whole.pool)
    #expect {
      try roundTrip(life, empty)
    } throws: { error in
      if case JournalError.resultMissing = error { true } else { false }
    }
    let other = StoredParts(
      result: { job in
        var accepted = try whole.result(job)
        accepted?.result.text += "!"
        return accepted
      }, pool: whole.pool)
    #expect {
      try roundTrip(life, other)
    } throws: { error in
      if case JournalError.resultDiffers = error { true } else { false }
    }
  }

  @discardableResult
  private func roundTrip(
    _ life: RecordedLife, _ stored: StoredParts
  ) throws -> [JournalRecord] {
    var encoder = RecordEncoder()
    for turn in life.turns { try encoder.add(turn.event, at: turn.moment, turn.effects) }
    return try decodeRecords(encoder.take(), stored)
  }

  /// What the coordinators' store has at the end.
  private func stored(_ lives: [RecordedLife]) -> StoredParts {
    var results: [JobID: AcceptedResult] = [:]
    var pool: [Instruction] = []
    var recalled: [JobID: AcceptedResult] = [:]
    for turn in lives.flatMap(\.turns) {
      switch turn.event {
      case .prepared(_, let imported): if !imported.isEmpty { pool = imported }
      case .recalled(let report, _, let accepted): recalled[report.job] = accepted
      case .lookedUp(_, let found):
        for known in found {
          results[known.job] = AcceptedResult(
            address: Digest(words: (0, 0, 0, 0)), attempt: 0, givenTo: [], result: known.result)
        }
      case .received, .disconnected, .tick, .datasetBuilt, .manifestWritten, .evaluationScored,
        .command:
        break
      }
      for case .persist(.accepted(let report, _)) in turn.effects {
        guard case .success(let result) = report.outcome else { continue }
        results[report.job] = AcceptedResult(
          address: report.address, attempt: report.attempt, givenTo: [], result: result)
      }
    }
    let all = results.merging(recalled) { $1 }
    let instructions = pool
    return StoredParts(
      result: { all[$0] },
      pool: { $0 <= instructions.count ? Array(instructions.prefix($0)) : nil })
  }
}
