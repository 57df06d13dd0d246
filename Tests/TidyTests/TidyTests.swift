import Foundation
import TestSupport
import Testing

/// What the compiler does not enforce: ARCHITECTURE.md's doors and the style's limits.
@Suite("The source tree")
struct TidyTests {
  struct SourceFile {
    var path: String
    var lines: [Substring]
  }

  /// Every file of ours with one of the endings below `folder`, in path order; generated ones left
  /// out.
  static func files(_ folder: String, endings: [String] = [".swift", ".c", ".h"]) throws
    -> [SourceFile]
  {
    let base = repository.appending(path: folder)
    let all = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
    return
      try all
      .filter { path in endings.contains { path.hasSuffix($0) } }
      .filter { !$0.hasPrefix("CProtocol/") }
      .sorted()
      .map { path in
        let text = try String(contentsOf: base.appending(path: path), encoding: .utf8)
        return SourceFile(
          path: "\(folder)/\(path)",
          lines: text.split(separator: "\n", omittingEmptySubsequences: false))
      }
  }

  static func imports(of file: SourceFile) -> [Substring] {
    file.lines.compactMap { line in
      let words = line.split(separator: " ")
      guard let place = words.firstIndex(of: "import"), place <= 1, words.count > place + 1 else {
        return nil
      }
      return words[place + 1]
    }
  }

  @Test(
    "keeps clocks, files and sockets out of the rooms that decide",
    arguments: ["Domain", "Distillation", "Scheduling", "Simulation"])
  func pureRooms(room: String) throws {
    let allowed: Set<Substring> = [
      "Domain", "Distillation", "Scheduling", "Collections", "HeapModule", "DequeModule",
      "OrderedCollections",
    ]
    let files = try Self.files("Sources/\(room)")
    try #require(!files.isEmpty, "no sources found in \(room)")
    for file in files {
      for name in Self.imports(of: file) where !allowed.contains(name) {
        Issue.record("\(file.path) imports \(name)")
      }
      for (number, line) in file.lines.enumerated() {
        for word in Self.impure where line.contains(word) {
          Issue.record("\(file.path):\(number + 1) uses \(word)")
        }
        // Drawn from the system's generator, unless another one is named.
        for word in [".random(in:", ".shuffled()", ".shuffle()", ".randomElement()"]
        where line.contains(word) && !line.contains("using:") {
          Issue.record("\(file.path):\(number + 1) draws with \(word) from the system")
        }
      }
    }
  }

  private static let impure = [
    "Task {", "Task.detached", "SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock",
  ]

  @Test("keeps lines within 100 columns and files within 400 lines")
  func sizes() throws {
    // A table or a wire contract may be long where its parts are of no use alone.
    let mayBeLonger: Set<String> = ["Sources/Formats/Tokenizer/TokenizerReading.swift"]
    let files = try Self.files("Sources") + Self.files("Tests")
    try #require(files.count > 10)
    for file in files {
      if file.lines.count > 401, !mayBeLonger.contains(file.path) {
        Issue.record("\(file.path) has \(file.lines.count - 1) lines")
      }
      for (number, line) in file.lines.enumerated() where line.count > 100 {
        // What a test reads stays in one piece.
        let start = line.drop { $0 == " " }
        let isLiteral = start.hasPrefix("#\"") || start.hasPrefix("\"")
        if isLiteral, file.path.hasPrefix("Tests/") { continue }
        Issue.record("\(file.path):\(number + 1) has \(line.count) columns")
      }
    }
  }

  @Test("holds no unfinished work, and nothing that ends the program in place of an error")
  func unfinished() throws {
    let marks = ["TO" + "DO", "FIX" + "ME", "try" + "!", "fatal" + "Error(", "Thread." + "sleep"]
    for file in try Self.files("Sources") + Self.files("Tests") {
      for (number, line) in file.lines.enumerated() {
        for mark in marks where line.contains(mark) {
          Issue.record("\(file.path):\(number + 1) contains \(mark)")
        }
      }
    }
  }
}
