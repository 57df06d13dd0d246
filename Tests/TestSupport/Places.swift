public import Foundation
public import Testing

/// The folder of the whole project.
public let repository = URL(filePath: #filePath).resolvingSymlinksInPath()
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// The path of a golden file; the scripts beside them made them.
public func fixture(_ name: String) -> String {
  repository.appending(path: "Tests/Fixtures/\(name)").path
}

/// What a test needs and not every machine has; an environment variable says where it is.
public struct Provision: Sendable {
  /// The name of the variable.
  public let variable: String
  let what: String

  /// The public data sets.
  public static let data = Provision(
    variable: "COMD_DATA_DIR", what: "the folder of the public data sets")
  /// Models with real weights.
  public static let models = Provision(
    variable: "COMD_MODELS_DIR", what: "the folder of models with real weights")
  /// The reference.
  public static let python = Provision(
    variable: "COMD_PYTHON", what: "a Python with torch and transformers")

  var isSet: Bool { ProcessInfo.processInfo.environment[variable] != nil }

  /// Where it is. A place that is named and not there is no reason to skip: the test shall fail.
  public func path(_ name: String = "") throws -> String {
    let place = try #require(ProcessInfo.processInfo.environment[variable])
    let path = name.isEmpty ? place : place + "/" + name
    try #require(FileManager.default.fileExists(atPath: path), "\(variable): no \(path)")
    return path
  }
}

extension Trait where Self == ConditionTrait {
  /// The test is skipped, and says so, where the variable of what it needs is not set.
  public static func needs(_ provision: Provision) -> Self {
    .enabled(if: provision.isSet, "set \(provision.variable) to \(provision.what)")
  }
}
