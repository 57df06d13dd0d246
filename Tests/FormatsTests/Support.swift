import Formats
import Foundation

/// Path of a golden file; the scripts beside them made them.
func fixture(_ name: String) -> String {
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/Formats/\(name)").path
}

func fixtureBytes(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture(name))))
}

/// The folder of real models, when this machine has one (COMD_MODELS_DIR).
let modelsFolder = ProcessInfo.processInfo.environment["COMD_MODELS_DIR"]

/// A folder of its own that is gone afterwards.
func withTemporaryFolder<R>(_ body: (String) throws -> R) throws -> R {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "formats-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path)
}

/// Writes bytes into a folder and returns their path.
func write(_ bytes: some Sequence<UInt8>, _ folder: String, _ name: String) throws -> String {
  let path = folder + "/" + name
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  return path
}

/// Equal bit by bit: zeros of different sign differ, equal NaNs do not.
func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

/// The error that `body` throws; nil when it throws none, or another.
func formatError(_ body: () throws -> Void) -> FormatError? {
  do {
    try body()
    return nil
  } catch {
    return error as? FormatError
  }
}
