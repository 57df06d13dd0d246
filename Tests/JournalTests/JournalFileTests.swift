import Distillation
import Domain
import Foundation
import Scheduling
import TestSupport
import Testing

@testable import Journal

@Suite("A journal's files")
struct JournalFileTests {
  @Test("cut off at any byte of the last record tell all that was handed over before")
  func torn() throws {
    try withTemporaryFolder { folder in
      var journal = try JournalWriter(folder: folder, bytesMax: 1 << 20, storeKnew: 0)
      try journal.begin(start())
      for second in 1...5 { try journal.add(.tick, at: at(second), []) }
      try journal.flush()
      let path = folder + "/00000001-start.events"
      let before = try Data(contentsOf: URL(filePath: path)).count
      try journal.add(.command(.drain(worker: "w1")), at: at(6), [])
      try journal.flush()
      let whole = try Data(contentsOf: URL(filePath: path))
      #expect(try events(in: folder).count == 6)
      for length in before..<whole.count {
        try whole.prefix(length).write(to: URL(filePath: path))
        #expect(try events(in: folder).count == 5)
        // A coordinator that starts now goes on behind it.
        var next = try JournalWriter(folder: folder, bytesMax: 1 << 20, storeKnew: 5)
        #expect(next.events == 5 && next.isWhole)
        try next.close()
        try FileManager.default.removeItem(atPath: folder + "/00000001-start.events.z")
        // What a disk may have in place of bytes that never reached it.
        try (whole.prefix(length) + Data(count: whole.count - length))
          .write(to: URL(filePath: path))
        #expect(try events(in: folder).count == 5)
      }
    }
  }

  @Test("that lost their end with the power do not pass for whole")
  func lostEnd() throws {
    try withTemporaryFolder { folder in
      try record(20, in: folder)
      let next = try JournalWriter(folder: folder, bytesMax: 1 << 20, storeKnew: 23)
      #expect(!next.isWhole)
      #expect(next.events == 23)
    }
  }

  /// Of the deflated form a few bits say nothing: without them the same is read.
  @Test("with a flipped bit are refused, or lack their last record", arguments: [true, false])
  func flipped(closed: Bool) throws {
    try withTemporaryFolder { folder in
      try record(12, in: folder, closes: closed)
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
        let url = URL(filePath: folder + "/" + name)
        let whole = try Data(contentsOf: url)
        // A start is long: of its settings every fifth byte will do.
        for place in whole.indices where place % 5 == 0 || place > whole.count - 300 {
          var bytes = whole
          bytes[place] ^= 1 << UInt8(place % 8)
          try bytes.write(to: url)
          guard let found = try? events(in: folder) else { continue }
          #expect(found.count < 12 || closed, "byte \(place)")
          #expect(found == (1...12).prefix(found.count).map { at($0) }, "byte \(place)")
        }
        try whole.write(to: url)
      }
      #expect(try events(in: folder).count == 12)
    }
  }

  @Test("of which one is missing are refused")
  func hole() throws {
    try withTemporaryFolder { folder in
      try record(400, in: folder, segmentBytesMax: 256)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      #expect(names.count > 3)
      try FileManager.default.removeItem(atPath: folder + "/" + names[1])
      #expect {
        try events(in: folder)
      } throws: { error in
        if case JournalError.damaged = error { true } else { false }
      }
    }
  }

  @Test("are deflated when they are full, and are one journal over many starts")
  func segments() throws {
    try withTemporaryFolder { folder in
      try record(300, in: folder, segmentBytesMax: 256)
      try record(200, in: folder, segmentBytesMax: 256)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(names.count > 6)
      #expect(names.allSatisfy { $0.hasSuffix(".events.z") })
      let found = try events(in: folder)
      #expect(found == (1...300).map { at($0) } + (1...200).map { at($0) })
      let reader = try JournalReader(folder: folder)
      #expect(reader.starts.map(\.before) == [0, 300])
      #expect(reader.events == 500)
      #expect(reader.lastMoment == at(200))
    }
  }

  @Test("end at their limit, and say so")
  func limit() throws {
    try withTemporaryFolder { folder in
      var journal = try JournalWriter(folder: folder, bytesMax: 6_000, storeKnew: 0)
      try journal.begin(start())
      var recorded = 0
      let full = JournalError.full(folder: folder, bytesMax: 6_000)
      #expect(throws: full) {
        while true {
          try journal.add(.command(.drain(worker: "w\(recorded)")), at: at(recorded), [])
          try journal.flush()
          recorded += 1
        }
      }
      #expect(recorded > 10)
      let bytes = try FileManager.default.contentsOfDirectory(atPath: folder).reduce(0) {
        $0 + (try Data(contentsOf: URL(filePath: folder + "/" + $1)).count)
      }
      #expect((5_000...6_000).contains(bytes))
      #expect(try events(in: folder).count == recorded)
      var end: JournalRecord?
      try JournalReader(folder: folder).read(.none, storeKnows: 0) { record, _ in
        end = record
        return true
      }
      guard case .ended(let reason) = end else {
        Issue.record("no end")
        return
      }
      #expect(reason.contains("6000 bytes"))
      // With no more room another start records nothing.
      var next = try JournalWriter(
        folder: folder, bytesMax: 6_000, storeKnew: Int64(recorded) + 9)
      #expect(!next.isWhole)
      #expect(throws: full) { try next.begin(start()) }
    }
  }

  @Test("made of any bytes are refused, and nothing breaks")
  func hostile() throws {
    var random = SeededRandom(seed: 1, "hostile")
    for _ in 0..<200_000 {
      let bytes = (0..<random.below(60)).map { _ in
        UInt8(random.below(random.below(3) == 0 ? 256 : 16))
      }
      _ = try? decodeRecords(bytes)
    }
  }

  /// A thousand workers, four days: what a heartbeat takes on the disk decides how long that is.
  @Test("take a few bytes for a heartbeat of one of a thousand workers")
  func heartbeats() throws {
    try withTemporaryFolder { folder in
      var random = SeededRandom(seed: 2, "heartbeats")
      var journal = try JournalWriter(folder: folder, bytesMax: 1 << 30, storeKnew: 0)
      try journal.begin(start())
      let rounds = 60
      for round in 0..<rounds {
        for number in 0..<1000 {
          let nanoseconds = round * 500_000_000 + number * 500_000 + random.below(400_000)
          // Its 16 jobs take it some seconds each.
          let first = Int64(number * 100_000 + round * 4)
          try journal.add(
            .received(
              .heartbeat(
                Heartbeat(
                  sequence: UInt64(round + 1), holding: (0..<16).map { JobID(first + $0) },
                  credit: 0, busyMilliseconds: Int64(round * 480 + random.below(20)),
                  training: nil, standing: nil)),
              from: WorkerID(name: "w\(number)", boot: UInt64(number) &* 0x9e37_79b9_7f4a_7c15)),
            at: Moment(sinceStart: .nanoseconds(nanoseconds)), [])
          if number % 500 == 499 { try journal.flush() }
        }
      }
      try journal.close()
      let bytes = try FileManager.default.contentsOfDirectory(atPath: folder).reduce(0) {
        $0 + (try Data(contentsOf: URL(filePath: folder + "/" + $1)).count)
      }
      let each = Double(bytes) / Double(rounds * 1000)
      print("\(each) bytes a heartbeat")
      #expect(each < 14)
    }
  }

  private func record(
    _ count: Int, in folder: String, segmentBytesMax: Int = 1 << 20, closes: Bool = true
  ) throws {
    let told = Segment.all(in: folder).isEmpty ? 0 : try JournalReader(folder: folder).events
    var journal = try JournalWriter(
      folder: folder, bytesMax: 1 << 20, segmentBytesMax: segmentBytesMax, storeKnew: told)
    try journal.begin(start())
    for second in 1...count {
      try journal.add(.tick, at: at(second), [])
      try journal.flush()
    }
    if closes { try journal.close() }
  }

  private func at(_ second: Int) -> Moment { Moment(sinceStart: .seconds(second)) }

  /// The moments of all events.
  private func events(in folder: String) throws -> [Moment] {
    var moments: [Moment] = []
    try JournalReader(folder: folder).read(.none, storeKnows: 0) { record, _ in
      if case .event(_, let moment) = record { moments.append(moment) }
      return true
    }
    return moments
  }

  private func start() throws -> CoordinatorStart {
    let role = RoleSampling(temperature: 0.1, tokensMax: 4)
    var recipe = TrainingRecipe(learningRate: 2e-5, trained: .all, seed: UInt64.max)
    recipe.adapters = LowRankAdapters()
    return CoordinatorStart(
      startedAt: 1_700_000_000_123,
      settings: RunSettings(
        run: "recorded", prompts: try PromptSet(), teacherTemplate: .vicunaV1,
        studentTemplate: .plain, teacher: role, student: role, judge: role, augmentor: role,
        pretrain: recipe, tune: recipe, kernelSet: "k"),
      revoked: ["w7"], storeKnew: 0, hasStoreCopy: false, version: "1")
  }

  @Test("give a start back as it was: settings to the last bit")
  func starts() throws {
    try withTemporaryFolder { folder in
      try record(1, in: folder)
      #expect(try JournalReader(folder: folder).starts.map(\.start) == [start()])
    }
  }
}
