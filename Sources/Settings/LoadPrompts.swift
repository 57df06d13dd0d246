public import Distillation
import Foundation

extension ClusterSettings {
  /// The built-in prompts, those replaced for which the folder `prompts` has a file.
  ///
  /// - Throws: a problem for each file that is no prompt's, cannot be read, or lacks what its role
  ///   needs.
  public func loadPrompts() throws(SettingsError) -> PromptSet {
    try Settings.loadPrompts(folder: prompts)
  }
}

/// Bytes that one prompt may have.
private let promptBytesMax = 64 << 10

func loadPrompts(folder: String?) throws(SettingsError) -> PromptSet {
  var texts: [PromptRole: String] = [:]
  var problems: [SettingsProblem] = []
  if let folder {
    for name in textFiles(in: folder) {
      let file = URL(fileURLWithPath: folder).appendingPathComponent(name)
      let kind: SettingsProblem.Kind
      if let role = PromptRole.allCases.first(where: { $0.fileName == name }) {
        if let text = promptText(file) {
          texts[role] = text
          continue
        }
        kind = .unreadable("a text in UTF-8 of at most \(promptBytesMax) bytes is expected")
      } else {
        let allowed = PromptRole.allCases.map(\.fileName)
        kind = .unknownPrompt(nearest: nearest(to: name, among: allowed), allowed: allowed)
      }
      problems.append(SettingsProblem(file: file.path, line: 0, key: "", kind: kind))
    }
  }
  do throws(PromptError) {
    let prompts = try PromptSet(replacing: texts)
    if problems.isEmpty { return prompts }
  } catch {
    problems.append(
      SettingsProblem(file: folder ?? "", line: 0, key: "", kind: .prompt(error)))
  }
  throw SettingsError(problems: problems)
}

/// Names of the folder's `.txt` files, sorted; others, like a README, are left alone.
private func textFiles(in folder: String) -> [String] {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  return names.filter { $0.hasSuffix(".txt") }.sorted()
}

private func promptText(_ file: URL) -> String? {
  guard let handle = try? FileHandle(forReadingFrom: file),
    let data = try? handle.read(upToCount: promptBytesMax + 1), data.count <= promptBytesMax
  else { return nil }
  return String(data: data, encoding: .utf8)
}
