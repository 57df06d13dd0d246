import Domain
import Executors
import Foundation
import Scheduling
import Synchronization
import Transport

/// What an operator may tell a live coordinator.
public enum AdminCommand: Hashable, Codable, Sendable {
  case pause
  case resume
  case drain(worker: String)
  case revoke(worker: String)
  /// Stops the coordinator as SIGTERM does; the run can go on later.
  case stop
}

/// What `comd status` and its like ask over the operator's key.
enum AdminRequest: Codable, Sendable {
  case status
  case explain(String?)
  case perform(AdminCommand)
}

enum AdminReply: Codable, Sendable {
  case status(StatusReport)
  case explanation([String])
  case done
  case failed(String)
}

/// Why an operator got no answer.
public enum AdminError: Error, CustomStringConvertible {
  case notRunning(folder: String)
  case noAnswer(endpoint: String)
  case failed(String)

  public var description: String {
    switch self {
    case .notRunning(let folder):
      "no coordinator runs on \(folder); `comd run --config … --dir \(folder)` starts or resumes it"
    case .noAnswer(let endpoint):
      "the coordinator at \(endpoint) does not answer; is its process still there?"
    case .failed(let reason): reason
    }
  }
}

/// Speaks to the live coordinator of a run with the operator's key.
public final class AdminClient: Sendable {
  private let access: AccessFile
  private let endpoint: String

  /// - Parameter runFolder: a run's folder on this machine, its coordinator running.
  public init(runFolder: String) throws {
    let folder = RunFolder(path: runFolder)
    guard let bytes = FileManager.default.contents(atPath: folder.presence),
      let presence = try? JSONDecoder().decode(Presence.self, from: bytes),
      kill(presence.pid, 0) == 0
    else { throw AdminError.notRunning(folder: runFolder) }
    let ring = try KeyRing(reading: presence.keys)
    access = try AccessFile(reading: ring.adminAccessPath)
    endpoint = presence.control
  }

  public func status() async throws -> StatusReport {
    guard case .status(let report) = try await ask(.status) else {
      throw AdminError.noAnswer(endpoint: endpoint)
    }
    return report
  }

  /// Why something waits. `subject`: a job's number, a worker's name, or nil for the run.
  public func explain(_ subject: String?) async throws -> [String] {
    guard case .explanation(let lines) = try await ask(.explain(subject)) else {
      throw AdminError.noAnswer(endpoint: endpoint)
    }
    return lines
  }

  public func perform(_ command: AdminCommand) async throws {
    _ = try await ask(.perform(command))
  }

  private func ask(_ request: AdminRequest) async throws -> AdminReply {
    let frame = Frame([UInt8](try JSONEncoder().encode(request)))
    // A connection of its own for every question: operators ask seldom.
    let client = try MessageClient(
      endpoint: endpoint,
      security: .curve(access.keys, serverKey: access.coordinatorPublicKey))
    let outcome: Result<AdminReply, any Error>
    do {
      outcome = .success(try await answer(to: frame, over: client))
    } catch {
      outcome = .failure(error)
    }
    await client.close()
    let reply = try outcome.get()
    if case .failed(let reason) = reply { throw AdminError.failed(reason) }
    return reply
  }

  private func answer(to frame: Frame, over client: MessageClient) async throws -> AdminReply {
    let endpoint = endpoint
    return try await withThrowingTaskGroup(of: AdminReply.self) { group in
      group.addTask {
        var asked = false
        while let event = await client.events.next() {
          switch event {
          case .connected:
            if !asked { try await client.sendWaiting([frame]) }
            asked = true
          case .disconnected, .refused: continue
          case .message(let frames):
            guard let bytes = frames.first?.bytes else { continue }
            return try JSONDecoder().decode(AdminReply.self, from: Data(bytes))
          }
        }
        throw AdminError.noAnswer(endpoint: endpoint)
      }
      group.addTask {
        try await Task.sleep(for: .seconds(10))
        throw AdminError.noAnswer(endpoint: endpoint)
      }
      defer { group.cancelAll() }
      guard let reply = try await group.next() else {
        throw AdminError.noAnswer(endpoint: endpoint)
      }
      return reply
    }
  }
}

extension ExplanationSubject {
  /// What an operator means: `17` and `job 17` are a job, `w2` and `worker w2` a worker, `phase`,
  /// `run` and nothing at all the run.
  init(words: String?) {
    let words = words?.trimmingCharacters(in: .whitespaces) ?? ""
    let isJob = words.allSatisfy(\.isNumber) || words.lowercased().hasPrefix("job")
    if ["", "phase", "run"].contains(words) {
      self = .phase
    } else if isJob, let number = Int64(words.drop { !$0.isNumber }) {
      self = .job(JobID(number))
    } else {
      let name = words.hasPrefix("worker ") ? words.dropFirst("worker ".count) : words[...]
      self = .worker(name.trimmingCharacters(in: .whitespaces))
    }
  }
}

/// Answers operators on the coordinator's side.
struct AdminDesk: Sendable {
  let loop: ClusterLoop
  let blobs: BlobServer
  let control: MessageServer
  let keys: KeyRing
  let allowList: AllowList
  let revoked: RevokedWorkers
  let stop: Signal

  func answer(_ incoming: Incoming) async {
    var reply: AdminReply
    do {
      let bytes = incoming.frames.first?.bytes ?? []
      reply = try await answer(JSONDecoder().decode(AdminRequest.self, from: Data(bytes)))
    } catch {
      reply = .failed("\(error)")
    }
    if let bytes = try? JSONEncoder().encode(reply) {
      // An operator who has gone needs no answer.
      try? control.send([Frame([UInt8](bytes))], to: incoming.connection)
    }
  }

  private func answer(_ request: AdminRequest) async throws -> AdminReply {
    switch request {
    case .status: return .status(await loop.status())
    case .explain(let words):
      return .explanation([await loop.explain(ExplanationSubject(words: words)).description])
    case .perform(.pause): try await loop.turn(.command(.pause))
    case .perform(.resume): try await loop.turn(.command(.resume))
    case .perform(.drain(let worker)):
      try known(worker)
      try await loop.turn(.command(.drain(worker: worker)))
    case .perform(.revoke(let worker)):
      try known(worker)
      try revoked.add(worker)
      allowList.revoke(name: worker)
      await blobs.shutOut(worker)
      try await loop.turn(.command(.revoke(worker: worker)))
    case .perform(.stop): stop.raise()
    }
    return .done
  }

  private func known(_ worker: String) throws {
    guard keys.allowed[worker] != nil, worker != KeyRing.admin else {
      let names = keys.allowed.keys.filter { $0 != KeyRing.admin }.sorted()
      throw AdminError.failed(
        "no worker \(worker) has a key here; there are \(names.joined(separator: ", "))")
    }
  }
}
