import ArgumentParser
import Foundation
import Kernels
import Settings
import Transport
import Worker

struct Work: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "Work for a coordinator: answer, judge, train.",
    discussion: """
      A worker needs its access file and nothing else: models, pictures and settings reach it over \
      the wire. It reconnects by itself, and ends when its run ends or it is drained.

      Example:
        comd worker --access w1.access --dir /var/tmp/comd-w1 --memory 8GiB \
          --cache 50GiB --threads 8
      """)

  @Option(help: "The worker's access file, from `comd init`.")
  var access: String
  @Option(
    name: .customLong("dir"),
    help: ArgumentHelp("The folder of its cache and spool.", valueName: "folder"))
  var folder = "comd-worker"
  @Option(help: "What it may use of the memory (default: what the machine has).")
  var memory: Bytes?
  @Option(
    help: ArgumentHelp(
      "What its cache may hold on the disk (default: most of what is free).",
      discussion: "Models and pictures that were used longest ago go first."))
  var cache: Bytes?
  @Option(help: "Threads that compute.")
  var threads = ProcessInfo.processInfo.activeProcessorCount
  @Flag(
    name: .customLong("pin"),
    help: ArgumentHelp(
      "Keep each thread on a core of its own.",
      discussion: "Where nothing else computes; several workers of a machine need `taskset` first.")
  )
  var pinsThreads = false
  @Option(help: ArgumentHelp("The process that started this one.", visibility: .hidden))
  var exitWith: Int32?

  func validate() throws { try require("--threads", threads, in: 1...256) }

  func run() async throws {
    keepFreedMemory()
    let service = WorkerService(
      WorkerOptions(
        access: try AccessFile(reading: access), folder: folder, threads: threads,
        pinsThreads: pinsThreads, memoryBytes: memory?.count, cacheBytes: cache?.count),
      log: makeLogger("worker"))
    let parent = exitWith
    let end = try await untilStopped {
      if let parent { return try await whileLives(parent) { try await service.run() } }
      return try await service.run()
    }
    switch end {
    case .drained: log("comd: the coordinator let this worker go")
    case .stopped: throw CommandError.stopped("stopped; the same command goes on")
    }
  }
}

/// Runs work that is cancelled when the process that started this one is gone; it may be already.
private func whileLives<Result: Sendable>(
  _ parent: Int32, _ work: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask { try await work() }
    group.addTask {
      while getppid() == parent { try await Task.sleep(for: .seconds(1)) }
      return nil
    }
    defer { group.cancelAll() }
    while let end = try await group.next() {
      if let end { return end }
      log("comd: the process that started this worker is gone; finishing")
      group.cancelAll()
    }
    throw CancellationError()
  }
}
