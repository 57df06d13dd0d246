import Foundation

/// Writes a line of facts to standard output.
func printFact(_ line: String) {
  // Output that nobody reads any more (a closed pipe) is no reason to fail.
  try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
}

/// Writes a line of what goes on to standard error.
func log(_ line: String) { liveLine.write(line) }

/// Writes one JSON object on one line to standard output, its keys in snake case and sorted.
func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  printFact(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Overwrites or makes a file as a whole: written aside, then renamed.
func write(_ data: Data, toFile path: String) throws {
  let url = URL(fileURLWithPath: path)
  try FileManager.default.createDirectory(
    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
  try data.write(to: url, options: .atomic)
}
