import Domain
import Foundation
import GRDB
import Hashing

#if canImport(Glibc)
  import Glibc
#endif

extension RunStore {
  /// Removes the states that no restart needs any more, which are large: those of trainings that
  /// have their student, and of the present one all but the newest two. While somebody copies the
  /// run they stay.
  public func removeOldStates() throws(StoreError) {
    let old = try naming(folder + "/run.sqlite") { try pool.read { db in try oldStates(db) } }
    if !old.contains(where: blobs.has) { return }
    guard let lock = CopyLock(folder: folder, alone: true) else { return }
    defer { withExtendedLifetime(lock) {} }
    try naming(folder) { for state in old { try blobs.remove(state) } }
  }
}

/// Two, because a worker may just be fetching the last but one.
private let statesKept = 2

private func oldStates(_ db: Database) throws -> Set<Digest> {
  // A state is a manifest and the blobs of its segments, of which one may belong to several states.
  let all = try rows(
    db,
    """
    WITH blobs (blob, training, step) AS (
      SELECT state, training, step FROM checkpoints
      UNION ALL SELECT weights, training, step FROM saved_segments
      UNION ALL SELECT moments, training, step FROM saved_segments)
    SELECT b.blob, t.export_model IS NULL AND
      (SELECT count(*) FROM checkpoints n WHERE n.training = b.training AND n.step > b.step) < ?
    FROM blobs b LEFT JOIN trainings t ON t.iteration = b.training
    """, [statesKept]
  ) { (state: try $0.digest(0), isKept: try $0.integer(1) != 0) }
  return Set(all.map(\.state)).subtracting(all.filter(\.isKept).map(\.state))
}

/// Held, with others, by whoever copies a run, and alone by whoever takes blobs away from it. The
/// kernel lets go of it when the process ends.
final class CopyLock {
  static let name = "copying"
  private let descriptor: Int32

  /// Nil: somebody holds it, or the folder cannot be written.
  ///
  /// - Parameter alone: does not wait; otherwise it is waited for.
  init?(folder: String, alone: Bool) {
    descriptor = open(folder + "/" + Self.name, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return nil }
    guard flock(descriptor, alone ? LOCK_EX | LOCK_NB : LOCK_SH) == 0 else {
      close(descriptor)
      return nil
    }
  }

  deinit {
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
