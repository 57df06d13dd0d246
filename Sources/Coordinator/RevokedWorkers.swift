import Foundation
import Store

/// The workers whose keys were taken away; kept with the run, so that a restart forgets none.
struct RevokedWorkers: Sendable {
  private static let fact = "revoked_workers"
  let store: RunStore

  func names() throws -> Set<String> {
    guard let text = try store.fact(Self.fact) else { return [] }
    return Set(try JSONDecoder().decode([String].self, from: Data(text.utf8)))
  }

  func add(_ worker: String) throws {
    let all = try names().union([worker]).sorted()
    try store.setFact(
      Self.fact, String(decoding: try JSONEncoder().encode(all), as: UTF8.self))
  }
}
