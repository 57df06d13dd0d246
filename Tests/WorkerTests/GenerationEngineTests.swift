import ClusterFixtures
import Domain
import Foundation
import Hashing
import Kernels
import Logging
import Testing
import Transformer
import Transport

@testable import Worker

/// A worker's library whose cache has a small model and two pictures, one of which is none.
private struct Workshop {
  let cluster: TinyCluster
  let cache: BlobCache
  let library: ModelLibrary
  let model: Digest
  let picture: Digest
  let noPicture: Digest

  init(cacheBytes: Int64? = nil) throws {
    cluster = try TinyCluster(instructions: 2)
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    cache = try BlobCache(path: cluster.folder + "/blobs", bytesMax: cacheBytes, log: log)
    // Nobody is there: what is not in the cache cannot be had.
    let nobody = try MessageClient(endpoint: "tcp://127.0.0.1:1", security: .plainForBenchmarks)
    let peering = BlobPeering(
      name: "w1", endpoint: "tcp://127.0.0.1:1", keys: try .generate(), guests: AllowList())
    let models = cluster.folder + "/models"
    try FileManager.default.createDirectory(atPath: models, withIntermediateDirectories: true)
    library = ModelLibrary(
      blobs: BlobClient(client: nobody, cache: cache, peering: peering, log: log), cache: cache,
      folder: models, loadedMax: 1)
    model = try Self.keep(cluster.folder + "/teacher", in: cache)
    picture = try cache.put(file: cluster.picture)
    noPicture = try cache.put(Array("not a picture".utf8))
  }

  /// Puts a model's folder into the cache.
  static func keep(_ folder: String, in cache: BlobCache) throws -> Digest {
    let manifest = try ModelManifest(scanning: folder)
    for file in manifest.files { _ = try cache.put(file: folder + "/" + file.path) }
    return try cache.put(manifest.canonicalBytes)
  }

  func request(_ parts: [PromptPart], stops: [String] = [], model other: Digest? = nil)
    -> GenerationRequest
  {
    GenerationRequest(
      model: other ?? model, prompt: Prompt(parts),
      sampling: Sampling(temperature: 0.5, tokensMax: 5, seed: 3, stops: stops))
  }

  func engine() throws -> GenerationEngine {
    GenerationEngine(library: library, compute: try Compute(threads: 1))
  }

  func assignment(_ job: Int64, _ request: GenerationRequest) -> Assignment {
    Assignment(job: JobID(job), attempt: 2, address: Digest(of: request), request: request)
  }

  /// What becomes of these requests together.
  func outcomes(_ requests: [GenerationRequest]) async throws -> [JobOutcome?] {
    let engine = try engine()
    var reports: [JobReport] = []
    for (place, request) in requests.enumerated() {
      let assignment = assignment(Int64(place), request)
      if let failure = await engine.use(request.served) {
        reports.append(JobReport(assignment, .failure(failure)))
      } else {
        reports += await engine.take([assignment])
      }
    }
    while true {
      let (ended, goesOn) = await engine.step()
      reports += ended
      if !goesOn { break }
    }
    #expect(reports.count == requests.count)
    #expect(reports.allSatisfy { $0.attempt == 2 })
    return requests.enumerated().map { place, request in
      reports.first { $0.job == JobID(Int64(place)) && $0.address == Digest(of: request) }?.outcome
    }
  }
}

@Suite("Jobs under way")
struct GenerationEngineTests {
  @Test("are done but for those that cannot be, each of which says why and spoils no other")
  func oneBad() async throws {
    let workshop = try Workshop()
    defer { workshop.cluster.remove() }
    let seen = workshop.request([.control("<s>"), .image(workshop.picture), .text("red circle")])
    let blind = workshop.request([.control("<s>"), .text("how many")], stops: ["</s>"])
    let long = String(repeating: "red ", count: 300)
    let outcomes = try await workshop.outcomes([
      seen,
      workshop.request([.image(workshop.noPicture), .text("red")]),
      workshop.request([.text(long)]),
      workshop.request([.control("<nowhere>"), .text("red")]),
      workshop.request([.text("red")], stops: ["<nowhere>"]),
      blind,
    ])
    for (place, request) in [(0, seen), (5, blind)] {
      guard case .success(let result) = outcomes[place] else {
        Issue.record("\(String(describing: outcomes[place]))")
        continue
      }
      #expect((1...5).contains(result.tokens.count))
      #expect(try await workshop.outcomes([request]) == [outcomes[place]])
    }
    guard case .failure(.imageUnreadable(workshop.noPicture, _)) = outcomes[1] else {
      Issue.record("\(String(describing: outcomes[1]))")
      return
    }
    #expect(outcomes[2] == .failure(.promptTooLong(tokens: 300, limit: 256)))
    for outcome in outcomes[3...4] {
      guard case .failure(.modelUnusable(workshop.model, let reason)) = outcome else {
        Issue.record("\(String(describing: outcome))")
        continue
      }
      #expect(reason.contains("<nowhere>"))
    }
  }

  @Test("that are given together begin together, whatever steps are made meanwhile")
  func together() async throws {
    let workshop = try Workshop()
    defer { workshop.cluster.remove() }
    let engine = try workshop.engine()
    var requests: [GenerationRequest] = []
    for text in ["red", "how many", "red circle", "how many red", "circle", "many red"] {
      var request = workshop.request([.control("<s>"), .image(workshop.picture), .text(text)])
      request.sampling.tokensMax = 1
      // Without a picture they share no beginning that one would wait for.
      request.prompt.parts.remove(at: 1)
      requests.append(request)
    }
    #expect(await engine.use(ServedModel(workshop.model)) == nil)
    let count = requests.count
    let stepping = Task {
      var ended: [Int] = []
      while ended.reduce(0, +) < count {
        try Task.checkCancellation()
        let reports = await engine.step().reports
        if !reports.isEmpty { ended.append(reports.count) }
      }
      return ended
    }
    let assignments = requests.enumerated().map { workshop.assignment(Int64($0), $1) }
    #expect(await engine.take(assignments).isEmpty)
    #expect(try await stepping.value == [count])
  }

  @Test("join and leave at any token, one that is dropped without a report")
  func joining() async throws {
    let workshop = try Workshop()
    defer { workshop.cluster.remove() }
    let engine = try workshop.engine()
    func request(_ text: String, tokensMax: Int) -> GenerationRequest {
      var request = workshop.request([.control("<s>"), .image(workshop.picture), .text(text)])
      request.sampling.tokensMax = tokensMax
      return request
    }
    let requests = [
      request("red circle", tokensMax: 9), request("how many", tokensMax: 4),
      request("red", tokensMax: 30), request("how many red", tokensMax: 2),
    ]
    let alone = try await workshop.outcomes(requests)
    #expect(await engine.use(ServedModel(workshop.model)) == nil)
    #expect(await engine.step() == ([], false))
    var ended: [Int64: JobOutcome] = [:]
    for step in 0..<40 {
      if step < 3 {
        let assignment = workshop.assignment(Int64(step), requests[step])
        #expect(await engine.take([assignment]).isEmpty)
      }
      // Job 2 is given up on its way, and wanted again.
      if step == 5 { await engine.drop([JobID(2), JobID(77)]) }
      if step == 6 {
        #expect(await engine.take([workshop.assignment(3, requests[3])]).isEmpty)
        #expect(await engine.take([workshop.assignment(2, requests[2])]).isEmpty)
      }
      let (reports, goesOn) = await engine.step()
      for report in reports { ended[report.job.number] = report.outcome }
      if step == 5 { #expect(ended.keys.sorted() == [1]) }
      if !goesOn { break }
    }
    #expect((0..<4).map { ended[$0] } == alone)
    // What is dropped computes no further.
    #expect(await engine.take([workshop.assignment(5, requests[2])]).isEmpty)
    #expect(await engine.step() == ([], true))
    await engine.drop([JobID(5)])
    #expect(await engine.step() == ([], false))
    // Nobody waits for a job whose model gives way to another.
    #expect(await engine.take([workshop.assignment(4, requests[2])]).isEmpty)
    let student = try Workshop.keep(workshop.cluster.folder + "/student", in: workshop.cache)
    #expect(await engine.use(ServedModel(student)) == nil)
    #expect(await engine.step() == ([], false))
  }

  @Test("of a model that does not fit the memory fail with what it needs")
  func tooLarge() async throws {
    let workshop = try Workshop()
    defer { workshop.cluster.remove() }
    let engine = GenerationEngine(
      library: workshop.library, compute: try Compute(), memoryBytes: 1 << 20)
    guard case .outOfMemory(let reason) = await engine.use(ServedModel(workshop.model)) else {
      Issue.record("it was not refused")
      return
    }
    #expect(reason.contains("weights") && reason.contains("--memory"))
  }

  @Test("of a model that is broken, or is no model, fail with the reason, job by job")
  func brokenModel() async throws {
    let workshop = try Workshop()
    defer { workshop.cluster.remove() }
    let broken = workshop.cluster.folder + "/broken"
    try FileManager.default.createDirectory(atPath: broken, withIntermediateDirectories: true)
    try Data("{}".utf8).write(to: URL(filePath: broken + "/config.json"))
    for (model, reason) in [
      (try Workshop.keep(broken, in: workshop.cache), "config.json"),
      (workshop.noPicture, "no model manifest"),
    ] {
      let request = workshop.request([.text("red")], model: model)
      for outcome in try await workshop.outcomes([request, request]) {
        guard case .failure(.modelUnusable(model, let found)) = outcome else {
          Issue.record("\(String(describing: outcome))")
          continue
        }
        #expect(found.contains(reason))
      }
    }
  }
}

@Suite("A worker's models")
struct ModelLibraryTests {
  @Test("are loaded once, given up for newer ones, and on disk from then on")
  func loading() async throws {
    let workshop = try Workshop()
    defer { workshop.cluster.remove() }
    let student = try Workshop.keep(workshop.cluster.folder + "/student", in: workshop.cache)
    // Marked in memory, where the same model has the same weights.
    let weights = try await workshop.library.model(workshop.model, for: .anything).parameters
    weights[0] = 1_234
    #expect(try await workshop.library.model(workshop.model, for: .anything).parameters[0] == 1_234)
    // Who changes it has it alone.
    let own = try await workshop.library.newModel(workshop.model).parameters
    #expect(own[0] != 1_234)
    own[0] = 5_678
    #expect(try await workshop.library.newModel(workshop.model).parameters[0] != 5_678)
    #expect(try await workshop.library.model(workshop.model, for: .anything).parameters[0] == 1_234)
    #expect(await workshop.library.onDisk == [workshop.model])
    _ = try await workshop.library.model(student, for: .anything)
    #expect(try await workshop.library.model(workshop.model, for: .anything).parameters[0] != 1_234)
    #expect(await workshop.library.onDisk == [workshop.model, student].sorted())
  }
}

@Suite("What a model reads")
struct PromptReaderTests {
  @Test("has control tokens where the prompt says so, and none by what its text says")
  func controls() throws {
    let cluster = try TinyCluster(instructions: 2)
    defer { cluster.remove() }
    let reader = try PromptReader(try Model.load(cluster.folder + "/teacher"))
    let (begin, end) = (Piece.token(2), Piece.token(3))
    let written = try reader.read(Prompt([.control("<s>"), .text("red"), .control("</s>")])).pieces
    #expect(written.first == begin && written.last == end && written.count == 3)
    let said = try reader.read(Prompt([.text("<s> red </s> <image>")])).pieces
    #expect(!said.contains(begin) && !said.contains(end) && !said.contains(.token(4)))
    #expect(said.contains(written[1]))
  }

  @Test("has each picture once, in the order in which they come")
  func pictures() throws {
    let cluster = try TinyCluster(instructions: 2)
    defer { cluster.remove() }
    let reader = try PromptReader(try Model.load(cluster.folder + "/teacher"))
    let (a, b) = (Digest(hashing: "a".utf8), Digest(hashing: "b".utf8))
    let read = try reader.read(Prompt([.image(b), .image(a), .image(b)]))
    #expect(read.images == [b, a])
    #expect(read.pieces == [.image(0), .image(1), .image(0)])
  }

  @Test("is trained on exactly where the sample says so")
  func mask() throws {
    let cluster = try TinyCluster(instructions: 2)
    defer { cluster.remove() }
    let reader = try PromptReader(try Model.load(cluster.folder + "/student"))
    let sample = TrainingSample([
      TrainingPart(.text("how many red"), trained: false),
      TrainingPart(.text("two"), trained: true),
      TrainingPart(.control("</s>"), trained: true),
    ])
    #expect(try reader.read(sample).pieces.map(\.trained) == [false, false, false, true, true])
  }
}

@Suite("A worker's models", .timeLimit(.minutes(5)))
struct ModelsInUseTests {
  @Test("stay on the disk while they are in use, whatever else is fetched, and go afterwards")
  func inUse() async throws {
    let bytes = try {
      let workshop = try Workshop()
      defer { workshop.cluster.remove() }
      return try workshop.cache.folder.contents().reduce(0) { $0 + $1.size }
    }()
    // Room for a model in use, one that is to be, and something to go round.
    let workshop = try Workshop(cacheBytes: 3 * bytes)
    defer { workshop.cluster.remove() }
    _ = try await workshop.library.path(of: workshop.model)
    #expect(await workshop.library.onDisk == [workshop.model])
    // What is used once goes round in the rest of the cache.
    for number in 0..<10 {
      _ = try workshop.cache.put(Array(repeating: UInt8(number), count: Int(bytes / 2)))
    }
    #expect(await workshop.library.onDisk == [workshop.model])
    let other = try Workshop.keep(workshop.cluster.folder + "/student", in: workshop.cache)
    _ = try await workshop.library.path(of: other)
    for number in 10..<20 {
      _ = try workshop.cache.put(Array(repeating: UInt8(number), count: Int(bytes / 2)))
    }
    #expect(await workshop.library.onDisk == [other])
  }
}
