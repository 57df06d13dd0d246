import Distillation
import Foundation
import Settings
import TestSupport
import Testing

@Suite("A folder of prompts")
struct PromptTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Settings in this folder that name it as their folder of prompts, with the given files in it.
  private func load(_ files: [String: String]) throws -> PromptSet {
    for (name, text) in files { try folder.write(name, text) }
    let settings = try ClusterSettings.parse(
      least + "prompts: .\n", file: folder.path("cluster.yaml"))
    return try settings.loadPrompts()
  }

  @Test("replaces the texts for which it has a file, and leaves the others")
  func replaces() throws {
    let prompts = try load(["system.txt": "Be brief.\n", "README.md": "words"])
    #expect(prompts.system == "Be brief.")
    #expect(prompts.judge == (try PromptSet().judge))
  }

  @Test("with a file that is no prompt's names the nearest one")
  func unknownFile() {
    let error = #expect(throws: SettingsError.self) { try load(["judeg.txt": "x"]) }
    #expect(error?.problems.map(\.file) == [folder.path("judeg.txt")])
    guard case .unknownPrompt("judge.txt", _) = error?.problems.first?.kind else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("with a judge that is not told the answers is refused")
  func incomplete() {
    let error = #expect(throws: SettingsError.self) { try load(["judge.txt": "Judge {question}"]) }
    #expect(error?.problems.map(\.kind) == [.prompt(.missing(.firstAnswer, .judge))])
  }
}
