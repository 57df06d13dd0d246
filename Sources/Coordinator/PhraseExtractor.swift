import Distillation
import Foundation
import Settings

/// Why the configured noun-phrase process is of no use.
struct PhraseExtractorError: Error, CustomStringConvertible {
  var command: String
  var what: String
  var description: String {
    "noun_phrases: `\(command)`: \(what); it must answer each line (a caption) with one line, "
      + "a JSON array of its noun phrases"
  }
}

/// Finds the noun phrases of captions: by the built-in chunker, or by a process such as spaCy's.
final class PhraseExtractor {
  private struct Running {
    var command: String
    var process: Process
    var input: FileHandle
    var output: FileHandle
  }
  private let running: Running?
  private var unread = Data()

  init(_ source: NounPhraseSource) throws {
    guard case .spacy(let command) = source else {
      running = nil
      return
    }
    let process = Process()
    let input = Pipe()
    let output = Pipe()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", command]
    process.standardInput = input
    process.standardOutput = output
    do {
      try process.run()
    } catch {
      throw PhraseExtractorError(command: command, what: "it cannot be started: \(error)")
    }
    running = Running(
      command: command, process: process, input: input.fileHandleForWriting,
      output: output.fileHandleForReading)
  }

  /// The noun phrases of each caption, lower-cased and trimmed as the chunker's are.
  func phrases(of captions: [String]) throws -> [[String]] {
    guard let running else { return captions.map { nounPhrases(in: $0) } }
    let lines = captions.map { caption in
      String(caption.map { $0.isNewline ? " " : $0 }) + "\n"
    }.joined()
    // Written from another thread: the process may answer before it has read everything. Where it
    // has ended, SIGPIPE goes to the thread that writes, and would end the whole program.
    let input = running.input
    Thread.detachNewThread {
      var brokenPipe = sigset_t()
      sigemptyset(&brokenPipe)
      sigaddset(&brokenPipe, SIGPIPE)
      pthread_sigmask(SIG_BLOCK, &brokenPipe, nil)
      try? input.write(contentsOf: Data(lines.utf8))
    }
    return try captions.map { _ in
      let line = try readLine(running)
      guard let phrases = try? JSONDecoder().decode([String].self, from: line) else {
        throw PhraseExtractorError(
          command: running.command,
          what: "it answered \(String(decoding: line.prefix(80), as: UTF8.self))")
      }
      return phrases.map { $0.lowercased().trimmingCharacters(in: .whitespaces) }
        .filter { !$0.isEmpty }
    }
  }

  /// Lets the process end.
  func finish() throws {
    guard let running else { return }
    try? running.input.close()
    running.process.waitUntilExit()
    if running.process.terminationStatus != 0 {
      throw PhraseExtractorError(
        command: running.command, what: "it ended with \(running.process.terminationStatus)")
    }
  }

  private func readLine(_ running: Running) throws -> Data {
    while true {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        let line = unread[unread.startIndex..<end]
        unread = unread[unread.index(after: end)...]
        return Data(line)
      }
      let more = running.output.availableData
      if more.isEmpty {
        throw PhraseExtractorError(command: running.command, what: "it ended too early")
      }
      unread.append(more)
    }
  }
}
