import Foundation
import Yams

extension ClusterSettings {
  /// What is asked of the files and folders that the settings name.
  public enum Inputs: Hashable, Sendable { case mustExist, unchecked }

  /// The most bytes that a settings file may have.
  static let fileBytesMax = 1 << 20

  /// Reads and checks a settings file; relative paths are taken from the file's folder.
  ///
  /// - Throws: all that is wrong at once, each with line, key and what is allowed.
  public static func load(
    file: String, inputs: Inputs = .unchecked
  ) throws(SettingsError) -> ClusterSettings {
    let problem: String
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
      let data = try handle.read(upToCount: fileBytesMax + 1) ?? Data()
      if data.count <= fileBytesMax, let text = String(data: data, encoding: .utf8) {
        return try parse(text, file: file, inputs: inputs)
      }
      problem = "a text in UTF-8 of at most \(fileBytesMax) bytes is expected"
    } catch let error as SettingsError {
      throw error
    } catch {
      let problem = SettingsProblem(file: file, line: 0, key: "", kind: .notFound(path: file))
      throw SettingsError(problems: [problem])
    }
    let kind = SettingsProblem.Kind.syntax(problem)
    throw SettingsError(problems: [SettingsProblem(file: file, line: 0, key: "", kind: kind)])
  }

  /// Reads and checks the text of a settings file. `file` names it in problems, and its folder is
  /// where relative paths start.
  public static func parse(
    _ text: String, file: String, inputs: Inputs = .unchecked
  ) throws(SettingsError) -> ClusterSettings {
    let log = ProblemLog(file: file)
    let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
    guard let root = compose(text, log: log) else { throw SettingsError(problems: log.problems) }
    let places = Places(folder: folder, inputs: inputs)
    let settings = readCluster(root, places)
    root.close()
    guard let settings, log.problems.isEmpty else { throw SettingsError(problems: log.problems) }
    return settings
  }
}

/// The mapping of a whole file; nil when there is none, and the log then says why.
private func compose(_ text: String, log: ProblemLog) -> Section? {
  do {
    let node = try Yams.compose(yaml: text)
    if let mapping = node?.mapping { return Section(mapping, path: "", line: 1, log: log) }
    let given = node?.shortText ?? "nothing"
    log.note(.badValue(given: given, allowed: "a mapping of keys to values"), line: 1, key: "")
  } catch let error as YamlError {
    log.note(error)
  } catch {
    log.note(.syntax("\(error)"), line: 0, key: "")
  }
  return nil
}

extension ProblemLog {
  fileprivate func note(_ error: YamlError) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      note(.syntax(problem), line: mark.line, key: "")
    case .duplicatedKeysInMapping(let duplicates, let context):
      for key in Set(duplicates).sorted() {
        note(.duplicateKey, line: context.mark.line, key: key)
      }
    case .no, .memory, .reader, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
      note(.syntax("\(error)"), line: 0, key: "")
    }
  }
}

/// Where relative paths start, and whether their ends must exist.
struct Places {
  let folder: URL
  let inputs: ClusterSettings.Inputs

  /// The absolute path that a key names; nil when absent or reported.
  func path(_ section: Section, _ key: String, required: Bool = false) -> String? {
    let written = required ? section.required(key, .text) : section.value(key, .text)
    guard let written else { return nil }
    let path = URL(fileURLWithPath: written, relativeTo: folder).standardizedFileURL.path
    if inputs == .mustExist, !FileManager.default.fileExists(atPath: path) {
      section.note(.notFound(path: path), key, line: section.line(of: key))
    }
    return path
  }
}
