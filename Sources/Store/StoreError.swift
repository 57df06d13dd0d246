public import Domain
import GRDB
public import Hashing

/// Why the store cannot do what it was asked for. The world's fault, not the program's.
public enum StoreError: Error, Hashable, Sendable {
  /// Another process holds the run's folder.
  case locked(folder: String, holder: Int32?)
  /// The folder was written by a newer release.
  case newerVersion(folder: String)
  case corrupt(path: String, reason: String)
  case diskFull(path: String)
  case io(path: String, reason: String)
  /// A job was to be finished by a result that is not here.
  case missingResult(JobID, address: Digest)
  case blob(BlobError)
}

extension StoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .locked(let folder, let holder):
      "\(folder) is in use by \(holder.map { "process \($0)" } ?? "another process"); stop that "
        + "one, or choose another folder"
    case .newerVersion(let folder):
      "\(folder) was written by a newer version of this program: use that one"
    case .corrupt(let path, let reason):
      "\(path) is damaged (\(reason)); restore it from a copy, or start in a new folder"
    case .diskFull(let path): "\(path): no space left on the device; make room and start again"
    case .io(let path, let reason): "\(path): \(reason)"
    case .missingResult(let job, let address):
      "\(job): result \(address) is to be used again but is not in the store"
    case .blob(let error): error.description
    }
  }
}

/// Runs `body`, whose errors are SQLite's, and names the file in what it throws.
func naming<Value>(
  _ path: String, _ body: () throws -> Value
) throws(StoreError) -> Value {
  do {
    return try body()
  } catch let error as StoreError {
    throw error
  } catch let error as BlobError {
    throw .blob(error)
  } catch let error as DatabaseError {
    switch error.resultCode {
    case .SQLITE_FULL: throw .diskFull(path: path)
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      throw .corrupt(path: path, reason: error.message ?? "\(error.resultCode)")
    case .SQLITE_BUSY, .SQLITE_LOCKED: throw .locked(folder: path, holder: nil)
    default: throw .io(path: path, reason: error.message ?? "\(error.resultCode)")
    }
  } catch {
    throw .io(path: path, reason: "\(error)")
  }
}

/// Locks a run's folder for this process.
func holding(_ folder: String) throws(StoreError) -> FolderLock {
  do {
    return try FolderLock(folder: folder)
  } catch {
    switch error {
    case .held(let holder): throw .locked(folder: folder, holder: holder)
    case .io(let path, let reason): throw .io(path: path, reason: reason)
    }
  }
}
