import Formats
import Foundation
import TestSupport

/// Path of a golden file.
func fixture(_ name: String) -> String { TestSupport.fixture("Formats/" + name) }

func fixtureBytes(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture(name))))
}

/// Writes bytes into a folder and returns their path.
func write(_ bytes: some Sequence<UInt8>, _ folder: String, _ name: String) throws -> String {
  let path = folder + "/" + name
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  return path
}

/// The error that `body` throws; nil when it throws none, or another.
func formatError(_ body: () throws -> Void) -> FormatError? {
  do {
    try body()
    return nil
  } catch {
    return error as? FormatError
  }
}
