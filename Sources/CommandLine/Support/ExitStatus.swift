import ArgumentParser
import Settings
import Transformer

/// The exit codes of every command.
enum ExitStatus: Int32 {
  case done = 0
  /// The work failed; what, where and what to do was said on standard error.
  case failed = 1
  /// Wrong usage or settings.
  case usage = 2
  /// Stopped by the user; the same command goes on where it stood.
  case stopped = 130
}

/// An end of a command that is neither success nor an error of some room.
struct CommandError: Error, CustomStringConvertible {
  var status: ExitStatus
  var description: String

  static func usage(_ message: String) -> CommandError {
    CommandError(status: .usage, description: message)
  }

  static func failed(_ message: String) -> CommandError {
    CommandError(status: .failed, description: message)
  }

  static func stopped(_ message: String) -> CommandError {
    CommandError(status: .stopped, description: message)
  }

  static func notAvailable(_ what: String) -> CommandError {
    .usage("\(what): not available in this version")
  }
}

/// Says what happened on the right stream and gives the code for it.
func report(_ error: any Error) -> ExitStatus {
  switch error {
  case let error as CommandError:
    log("comd: \(error.description)")
    return error.status
  case let error as InputError:
    log("comd: \(error)")
    return .usage
  case let error as SettingsError:
    log(error.description)
    return .usage
  case is CancellationError:
    log("comd: stopped")
    return .stopped
  default:
    return reportParsing(error)
  }
}

/// Help and versions go to standard output; everything else is an error of usage or of the work.
private func reportParsing(_ error: any Error) -> ExitStatus {
  let text = Comd.fullMessage(for: error)
  switch Comd.exitCode(for: error) {
  case .success:
    printFact(text)
    return .done
  case .validationFailure:
    log(text)
    return .usage
  case _:
    log("comd: \(error)")
    return .failed
  }
}
