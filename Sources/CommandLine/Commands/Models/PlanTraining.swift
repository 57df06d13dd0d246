import ArgumentParser
import Scheduling
import Transformer

struct PlanTraining: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "What training takes of each of so many workers: memory, traffic, losses.",
    discussion: """
      The plans are those that a coordinator would make for workers that are equally quick; told \
      is the most that any of them has. The activations of a pass, and what else a model needs, \
      `comd model info --train` tells.

      Example:
        comd plan --parameters 6738415616 --workers 1,2,4,8,16 --gigabits 10
        comd plan --model models/llava-7b --workers 8 --replication 3
      """)

  @Option(help: "How many parameters are trained.")
  var parameters: Int?
  @Option(help: "A Hugging Face folder (config.json is enough) or a GGUF file: all is trained.")
  var model: String?
  @Option(help: "Numbers of workers, with commas.")
  var workers = NumberList([1, 2, 4, 8, 16, 32, 64])
  @Option(help: "The settings' virtual_ranks.")
  var virtualRanks = 64
  @Option(help: "The settings' replication; 0: all.")
  var replication = 2
  @Option(help: "The settings' wire: f32 or bf16.")
  var wire = Wire.f32
  @Option(help: "What each worker's link carries each way, in Gbit/s.")
  var gigabits = 10.0
  @OptionGroup var facts: FactOptions

  func validate() throws {
    if (parameters == nil) == (model == nil) {
      throw ValidationError("Give either --parameters or --model.")
    }
    if let parameters { try require("--parameters", parameters, in: 1...1_000_000_000_000) }
    if let model { try requireFile("--model", model) }
    for count in workers.numbers { try require("--workers", count, in: 1...1_024) }
    try require("--virtual-ranks", virtualRanks, in: 1...1_024)
    try require("--replication", replication, in: 0...1_024)
    if gigabits <= 0 || !gigabits.isFinite {
      throw ValidationError("--gigabits takes a number above 0; \(gigabits) given")
    }
  }

  func run() throws {
    if facts.json {
      try printJSON(try forecasts().map { Plan($0, gigabits: gigabits) })
    } else {
      printFact(try tables())
    }
  }

  func tables() throws -> String { forecastTables(try forecasts(), gigabits: gigabits) }

  private func forecasts() throws -> [TrainingForecast] {
    let trained = try parameters ?? ModelOutline(model ?? "").parameterCount
    return workers.numbers.map {
      TrainingForecast(
        parameters: trained, members: Int($0), virtualRanks: virtualRanks,
        replication: replication, wire: wire.precision)
    }
  }

  private struct Plan: Encodable {
    var parameters: Int
    var workers: Int
    var ranks: Int
    var weightBytes: Int
    var gradientBytes: Int
    var momentBytes: Int
    var sumBytes: Int
    var bytes: Int
    var sentBytes: Int
    var trafficExcess: Double
    var sendingSeconds: Double
    var lossMovedBytes: Int?
    var lossSteps: Int?
    var joinMovedBytes: Int
    var joinSteps: Int
    var fatalPairs: Double

    init(_ forecast: TrainingForecast, gigabits: Double) {
      (parameters, workers) = (forecast.parameters, forecast.members)
      ranks = forecast.ranksMax
      weightBytes = forecast.memory.weights
      gradientBytes = forecast.memory.gradients
      momentBytes = forecast.memory.moments
      sumBytes = forecast.memory.sums
      bytes = forecast.memory.all
      sentBytes = forecast.sentBytes
      trafficExcess = forecast.excess
      sendingSeconds = seconds(forecast.sentBytes, gigabits: gigabits)
      (lossMovedBytes, lossSteps) = (forecast.loss?.bytes, forecast.loss?.steps)
      (joinMovedBytes, joinSteps) = (forecast.join.bytes, forecast.join.steps)
      fatalPairs = forecast.fatalPairs
    }
  }
}

private func seconds(_ bytes: Int, gigabits: Double) -> Double {
  Double(bytes) * 8 / (gigabits * 1e9)
}

/// Three tables: memory, traffic, and what changes of members cost.
private func forecastTables(_ forecasts: [TrainingForecast], gigabits: Double) -> String {
  func size(_ bytes: Int) -> String { short(Double(bytes) / 0x1p20) }
  let memory = markdownTable(
    ["workers", "ranks", "weights", "gradients", "moments", "sums", "all, MiB a worker"],
    forecasts.map {
      [
        "\($0.members)", "\($0.ranksMax)", size($0.memory.weights), size($0.memory.gradients),
        size($0.memory.moments), size($0.memory.sums), size($0.memory.all),
      ]
    })
  let traffic = markdownTable(
    [
      "workers", "sent, MiB a worker and step", "above the least",
      "s at \(short(gigabits)) Gbit/s",
    ],
    forecasts.map {
      [
        "\($0.members)", size($0.sentBytes), "\(Int(($0.excess * 100).rounded())) %",
        short(seconds($0.sentBytes, gigabits: gigabits)),
      ]
    })
  let changes = markdownTable(
    [
      "workers", "one is lost: moments moved, MiB", "in steps", "one joins: weights, MiB",
      "moments moved, MiB", "in steps", "pairs whose loss goes back",
    ],
    forecasts.map {
      [
        "\($0.members)", $0.loss.map { size($0.bytes) } ?? "back to the checkpoint",
        $0.loss.map { "\($0.steps)" } ?? "", size($0.memory.weights), size($0.join.bytes),
        "\($0.join.steps)", "\(Int(($0.fatalPairs * 100).rounded())) %",
      ]
    })
  return [memory, traffic, changes].joined(separator: "\n\n")
}

private func markdownTable(_ head: [String], _ rows: [[String]]) -> String {
  ([head, head.map { _ in "---:" }] + rows)
    .map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
}
