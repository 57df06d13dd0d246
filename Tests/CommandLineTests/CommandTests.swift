import ArgumentParser
import Foundation
import Testing

@testable import CommandLineTool

/// Every command below a root, with the words that lead to it.
private func commands(
  below root: any ParsableCommand.Type, path: [String] = []
) -> [(path: [String], command: any ParsableCommand.Type)] {
  root.configuration.allSubcommands.flatMap { command in
    let path = path + [command._commandName]
    return [(path, command)] + commands(below: command, path: path)
  }
}

@Suite("A command")
struct CommandTests {
  @Test("has a help with what it does and an example that names it")
  func help() {
    let all = commands(below: Comd.self)
    #expect(all.count > 20)
    for (path, command) in all {
      let help = Comd.helpMessage(for: command, columns: 100)
      let name = (["comd"] + path).joined(separator: " ")
      #expect(!command.configuration.abstract.isEmpty, "\(name)")
      #expect(help.contains("Example:"), "\(name)")
      // `generate` and `convert` stand at two places, under one name in their example.
      #expect(help.contains("comd \(path.last ?? "")") || help.contains(name), "\(name)")
    }
  }

  @Test("of the manual is there under its name")
  func manual() {
    let names = commands(below: Comd.self).map { $0.path.joined(separator: " ") }
    let expected = [
      "init", "run", "coordinator", "worker", "status", "explain", "drain", "revoke", "pause",
      "resume", "backup", "report", "model info", "model generate", "model convert",
      "model assemble", "generate", "convert", "parity logits", "parity gradients", "parity tokens",
      "parity image", "parity training", "plan", "export",
      "data check", "data captions", "eval", "bench train", "bench prefill", "bench decode",
      "bench vision", "bench judge", "bench allreduce", "bench dispatch", "simulate",
      "shapes build",
      "shapes sample", "shapes show",
    ]
    for name in expected { #expect(names.contains(name), "\(name)") }
  }

  @Test("prints the tables that a document has of it")
  func documents() throws {
    let document = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/training.md")
    let blocks = try String(contentsOf: document, encoding: .utf8)
      .components(separatedBy: "<!-- comd ").dropFirst()
    #expect(blocks.count == 4)
    for block in blocks {
      let parts = block.components(separatedBy: " -->\n")
      let command = try Comd.parseAsRoot(parts[0].split(separator: " ").map(String.init))
      let plan = try #require(command as? PlanTraining)
      #expect(try parts[1] == plan.tables() + "\n<!-- end", "`make docs` writes it anew")
    }
  }

  @Test("whose words are wrong ends with exit code 2, help and version with 0")
  func exitCodes() async {
    #expect(await execute(["--help"]) == .done)
    #expect(await execute(["--version"]) == .done)
    #expect(await execute(["bench", "train", "--help"]) == .done)
    for wrong in [
      ["statsu"], ["bench", "trian"], ["run"], ["run", "--workers", "2"],
      ["init", "--workers", "0"],
      ["worker", "--access", "a", "--threads", "many"], ["simulate", "--seeds", "2..1"],
      ["simulate"], ["simulate", "--seeds", "1", "--replay", "r"],
      ["simulate", "--seeds", "1", "--to", "3:40"],
      ["simulate", "--replay", "r", "--to", "noon"],
      ["report", "--no-such"], ["worker", "--access", "a", "--memory", "8 gigs"],
    ] {
      #expect(await execute(wrong) == .usage, "\(wrong)")
    }
  }

  @Test("that fails at its work ends with exit code 1")
  func failures() async {
    #expect(await execute(["report", "--dir", "/not/there"]) == .failed)
    #expect(await execute(["status", "--dir", "/not/there"]) == .failed)
    #expect(await execute(["simulate", "--replay", "/not/there"]) == .failed)
  }

  @Test("with settings that are wrong ends with exit code 2")
  func settings() async throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(
      "comd-\(UUID().uuidString).yaml")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data("run: x\nmodles: {}\n".utf8).write(to: file)
    #expect(await execute(["run", "--config", file.path, "--dir", file.path + "-run"]) == .usage)
    #expect(await execute(["data", "check", "--config", file.path]) == .usage)
  }

  @Test("that is mistyped is told the nearest one")
  func suggestion() {
    #expect(
      unknownCommand(in: ["statsu"], root: Comd.self)?.description.contains(
        "did you mean 'status'?") == true)
    #expect(
      unknownCommand(in: ["bench", "prefil", "--model", "m"], root: Comd.self)?.description
        .contains("did you mean 'prefill'?") == true)
    #expect(unknownCommand(in: ["eval", "scienceqa"], root: Comd.self) == nil)
    #expect(unknownCommand(in: ["--version"], root: Comd.self) == nil)
    #expect(unknownCommand(in: [], root: Comd.self) == nil)
  }
}
