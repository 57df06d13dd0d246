import Distillation
import Foundation
import Settings
import TestSupport
import Testing

@Suite("An example that is shipped")
struct ShippedExamplesTests {
  @Test(
    "has settings and prompts that can be read",
    arguments: ["real-small.yaml", "shapes/cluster.yaml"])
  func example(_ name: String) throws {
    let file = repository.appending(path: "Examples/\(name)")
    let settings = try ClusterSettings.load(file: file.path, inputs: .unchecked)
    let prompts = try settings.loadPrompts()
    // The one brings words of its own, the other has those that are built in.
    let isWorld = settings.run == "shapes"
    #expect((prompts != (try PromptSet(replacing: [:]))) == isWorld)
    #expect(settings.data.captions != nil && settings.evaluate.map(\.name) == [.exactMatch])
    for model in [settings.models.teacher, settings.models.student] where isWorld {
      #expect(FileManager.default.fileExists(atPath: model.path + "/config.json"))
    }
  }

  @Test("at the top is what `comd init` writes")
  func template() throws {
    let file = repository.appending(path: "cluster.yaml")
    let wanted = ClusterSettings.template()
    #expect(
      try String(contentsOf: file, encoding: .utf8) == wanted,
      "write it anew: comd init --dir NEW, then its cluster.yaml")
  }

  @Test("is among those that are read here")
  func all() throws {
    let examples = repository.appending(path: "Examples").path
    let names = try FileManager.default.subpathsOfDirectory(atPath: examples)
    #expect(
      names.filter { $0.hasSuffix(".yaml") }.sorted()
        == ["real-small.yaml", "shapes/cluster.yaml"])
  }
}
