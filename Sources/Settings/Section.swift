import Yams

/// Collects what is wrong while a file is read, so that all of it is told at once.
final class ProblemLog {
  let file: String
  private(set) var problems: [SettingsProblem] = []

  init(file: String) { self.file = file }

  func note(_ problem: SettingsProblem) { problems.append(problem) }

  func note(_ kind: SettingsProblem.Kind, line: Int, key: String) {
    note(SettingsProblem(file: file, line: line, key: key, kind: kind))
  }
}

/// One mapping of the file while its keys are taken out of it.
///
/// A key is known when it was asked for; `close` reports all others. So the list of known keys and
/// the reading of them are one.
final class Section {
  struct Entry {
    var line: Int
    var node: Node
  }

  /// The way here: empty for the whole file, else like `models.teacher`.
  let path: String
  let line: Int
  let log: ProblemLog
  private(set) var asked: [String] = []
  private let entries: [(key: String, entry: Entry)]
  /// Stands for a mapping that was reported as absent or wrong: what lacks in it is no news.
  private let isStandIn: Bool

  init(_ mapping: Node.Mapping, path: String, line: Int, log: ProblemLog, isStandIn: Bool = false) {
    self.path = path
    self.line = line
    self.log = log
    self.isStandIn = isStandIn
    entries = mapping.map { key, value in
      (key.scalar?.string ?? "?", Entry(line: key.mark?.line ?? line, node: value))
    }
  }

  func path(to key: String) -> String { path.isEmpty ? key : path + "." + key }

  /// The value of a key, if it is there; from now on the key is known.
  func entry(_ key: String) -> Entry? {
    if !asked.contains(key) { asked.append(key) }
    return entries.first { $0.key == key }?.entry
  }

  /// The line of a key that is there, else the section's.
  func line(of key: String) -> Int { entries.first { $0.key == key }?.entry.line ?? line }

  /// The value of an optional scalar; nil when it is absent or was reported as wrong.
  func value<Value>(_ key: String, _ form: Form<Value>) -> Value? {
    guard let entry = entry(key) else { return nil }
    return read(entry.node, form, line: entry.line, key: path(to: key))
  }

  /// Reads a scalar into its place, which keeps its default when the key is absent or wrong.
  func take<Value>(_ key: String, _ form: Form<Value>, into place: inout Value) {
    if let value = value(key, form) { place = value }
  }

  /// As `value`, and reports an absent key.
  func required<Value>(_ key: String, _ form: Form<Value>) -> Value? {
    if entry(key) == nil { noteMissing(key, allowed: form.allowed) }
    return value(key, form)
  }

  /// Reads the mapping under a key; an empty one stands in when it is absent or no mapping.
  func section<Value>(
    _ key: String, required: Bool = false, _ reading: (Section) -> Value
  ) -> Value {
    guard let entry = entry(key) else {
      if required { noteMissing(key, allowed: Self.allowed) }
      return reading(standIn(path: path(to: key), line: line))
    }
    return section(entry.node, path: path(to: key), line: entry.line, reading)
  }

  /// Reads each mapping of the list under a key; an absent list is an empty one.
  func list<Value>(_ key: String, _ reading: (Section) -> Value) -> [Value] {
    guard let entry = entry(key), !entry.node.isEmptyScalar else { return [] }
    guard let items = entry.node.sequence else {
      let given = entry.node.shortText
      note(.badValue(given: given, allowed: "a list of mappings"), key, line: entry.line)
      return []
    }
    return items.enumerated().map { index, item in
      let line = item.mark?.line ?? entry.line
      return section(item, path: path(to: key) + "[\(index)]", line: line, reading)
    }
  }

  /// Reads the list of exactly `count` scalars under a key; nil when absent or reported.
  func values<Value>(_ key: String, count: Int, _ form: Form<Value>) -> [Value]? {
    guard let entry = entry(key) else { return nil }
    let allowed = "a list of \(count), each \(form.allowed)"
    guard let items = entry.node.sequence, items.count == count else {
      note(.badValue(given: entry.node.shortText, allowed: allowed), key, line: entry.line)
      return nil
    }
    let values = items.enumerated().compactMap { index, item in
      read(
        item, form, line: item.mark?.line ?? entry.line, key: path(to: key) + "[\(index)]")
    }
    return values.count == count ? values : nil
  }

  /// Reads the list of words under a key, at least one; nil when absent or reported.
  func words(_ key: String, of allowed: [String]) -> [String]? {
    guard let entry = entry(key) else { return nil }
    guard let items = entry.node.sequence, !items.isEmpty else {
      let words = "a list of one or more of: " + allowed.joined(separator: ", ")
      note(.badValue(given: entry.node.shortText, allowed: words), key, line: entry.line)
      return nil
    }
    let words = items.enumerated().compactMap { index, item -> String? in
      if let word = item.scalar?.string, allowed.contains(word) { return word }
      let kind = SettingsProblem.Kind.unknownWord(
        given: item.shortText, nearest: nearest(to: item.shortText, among: allowed),
        allowed: allowed)
      log.note(kind, line: item.mark?.line ?? entry.line, key: path(to: key) + "[\(index)]")
      return nil
    }
    return words.count == items.count ? words : nil
  }

  func note(_ kind: SettingsProblem.Kind, _ key: String, line: Int) {
    log.note(kind, line: line, key: path(to: key))
  }

  /// Reports every key that nobody asked for.
  func close() {
    for (key, entry) in entries where !asked.contains(key) {
      let kind = SettingsProblem.Kind.unknownKey(
        nearest: nearest(to: key, among: asked), allowed: asked)
      note(kind, key, line: entry.line)
    }
  }

  private static let allowed = "a mapping of keys to values"

  private func noteMissing(_ key: String, allowed: String) {
    if !isStandIn { note(.missing(allowed: allowed), key, line: line) }
  }

  private func standIn(path: String, line: Int) -> Section {
    Section([:], path: path, line: line, log: log, isStandIn: true)
  }

  private func section<Value>(
    _ node: Node, path: String, line: Int, _ reading: (Section) -> Value
  ) -> Value {
    guard let mapping = node.isEmptyScalar ? [:] : node.mapping else {
      let kind = SettingsProblem.Kind.badValue(given: node.shortText, allowed: Self.allowed)
      log.note(kind, line: line, key: path)
      return reading(standIn(path: path, line: line))
    }
    let section = Section(mapping, path: path, line: line, log: log)
    let value = reading(section)
    section.close()
    return value
  }

  private func read<Value>(_ node: Node, _ form: Form<Value>, line: Int, key: String) -> Value? {
    if let scalar = node.scalar, let value = form.read(scalar.string) { return value }
    log.note(.badValue(given: node.shortText, allowed: form.allowed), line: line, key: key)
    return nil
  }
}

extension Node {
  /// A key with nothing behind it.
  var isEmptyScalar: Bool { scalar.map { $0.string.isEmpty && $0.style == .plain } ?? false }

  /// What stands there, short enough for a message.
  var shortText: String {
    switch self {
    case .scalar(let scalar):
      scalar.string.count > 60 ? scalar.string.prefix(60) + "…" : scalar.string
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias(let alias): "*" + alias.anchor.rawValue
    }
  }
}
