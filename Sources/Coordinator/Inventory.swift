import Datasets
import Domain
import Foundation
import Hashing
import Synchronization

/// Files that stay where the user has them, served as blobs: models and pictures.
///
/// Their digests are computed once and remembered in `RUN/inventory.tsv` with size and time of
/// change, so that a restart reads no file again that has not changed. The last line is `end` with
/// the number of the others: without it a restart looks at all files again.
final class Inventory: Sendable {
  struct Entry: Hashable, Sendable {
    var digest: Digest
    var size: Int64
    /// Seconds since 1970 of the file's last change.
    var changed: Double
  }

  private struct State {
    var byPath: [String: Entry] = [:]
    var paths: [Digest: String] = [:]
    var unsaved = false
  }

  private let path: String
  private let state: Mutex<State>
  /// Whether all was there that had been saved, so that every file of before can be served.
  let isWhole: Bool

  init(path: String) {
    self.path = path
    var initial = State()
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: "\t", maxSplits: 3)
      // A torn or foreign line costs a file's hashing, nothing else.
      guard fields.count == 4, let digest = Digest(hex: fields[0]), let size = Int64(fields[1]),
        let changed = Double(fields[2])
      else { continue }
      let file = String(fields[3])
      initial.byPath[file] = Entry(digest: digest, size: size, changed: changed)
      initial.paths[digest] = file
    }
    isWhole = text.split(separator: "\n").last.map { $0 + "\n" } == Self.end(initial.byPath.count)
    state = Mutex(initial)
  }

  private static func end(_ count: Int) -> String { "end\t\(count)\n" }

  /// The digest of a file, hashed unless it is known and unchanged.
  func digest(ofFile file: String) throws -> Digest {
    let attributes = try FileManager.default.attributesOfItem(atPath: file)
    let size = (attributes[.size] as? NSNumber)?.int64Value ?? 0
    let changed = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
    let known = state.withLock { state -> Digest? in
      guard let entry = state.byPath[file], entry.size == size, entry.changed == changed else {
        return nil
      }
      state.paths[entry.digest] = file
      return entry.digest
    }
    if let known { return known }
    let digest = try hash(file: file)
    state.withLock { state in
      state.byPath[file] = Entry(digest: digest, size: size, changed: changed)
      state.paths[digest] = file
      state.unsaved = true
    }
    return digest
  }

  /// The digest of a picture.
  ///
  /// - Throws: `imageOutside`, or `imageMissing` for a file that cannot be read.
  func digest(ofPicture name: String, in folder: ImageFolder) throws(DataProblem.Kind) -> Digest {
    let file = try folder.file(name)
    do {
      return try digest(ofFile: file)
    } catch {
      throw .imageMissing(name)
    }
  }

  /// Where a blob lies outside the run's folder, and its size.
  func file(of digest: Digest) -> (path: String, size: Int64)? {
    state.withLock { state in
      guard let file = state.paths[digest], let entry = state.byPath[file] else { return nil }
      return (file, entry.size)
    }
  }

  /// Writes what is new, aside and then in place.
  func save() throws {
    let text = state.withLock { state -> String? in
      guard state.unsaved else { return nil }
      state.unsaved = false
      return state.byPath.sorted { $0.key < $1.key }
        .map { "\($1.digest.hex)\t\($1.size)\t\($1.changed)\t\($0)\n" }.joined()
        + Self.end(state.byPath.count)
    }
    guard let text else { return }
    try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
  }

  private func hash(file: String) throws -> Digest {
    let handle = try FileHandle(forReadingFrom: URL(filePath: file))
    defer { try? handle.close() }
    var hash = IncrementalHash()
    while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty {
      hash.update([UInt8](chunk))
    }
    return hash.finish()
  }
}
