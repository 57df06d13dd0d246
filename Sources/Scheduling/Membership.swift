import Domain

/// A worker that has been let in.
struct Member: Sendable {
  enum Health: Hashable, Sendable { case alive, suspect }

  let id: WorkerID
  var hello: WorkerHello
  let joinedAt: Moment
  private(set) var heardAt: Moment
  private(set) var health = Health.alive
  /// When its connection ended, if it has not been heard since.
  private(set) var disconnectedAt: Moment?
  /// The longest silence that it came back from, less and less with the time since: the measure of
  /// how long it may be silent this time.
  private(set) var slowestGap = Duration.zero
  var sequence: UInt64 = 0
  /// Jobs that it is willing to hold in all, as its latest heartbeat said.
  var capacity = 0
  var draining = false
  var busyMilliseconds: Int64 = 0
  /// As far as the store knows.
  var busyPersisted: Int64 = 0
  /// The model of the job that it was given last: it is in its memory.
  var warm: Digest?
  var accepted = 0
  /// Leases in a row that ran out without the worker ever listing the job.
  var missedLeases = 0
  var heldBackUntil = Moment.zero

  init(id: WorkerID, hello: WorkerHello, joinedAt: Moment) {
    self.id = id
    self.hello = hello
    self.joinedAt = joinedAt
    heardAt = joinedAt
  }

  /// A sign of life.
  mutating func heard(at now: Moment) {
    let gap = now - heardAt
    slowestGap = max(gap, slowestGap - gap * Self.gapForgotten)
    heardAt = now
    health = .alive
    disconnectedAt = nil
  }

  mutating func suspect() { health = .suspect }

  mutating func disconnected(at now: Moment) {
    health = .suspect
    disconnectedAt = now
  }

  /// What of the slowest gap is forgotten in a second; not with each message, of which a busy
  /// worker sends hundreds.
  private static let gapForgotten = 0.3
  /// A worker is silent for too long beyond so many of its slowest gaps, when that is more than
  /// the settings ask for; but not for ever.
  private static let gapsAllowed = 2.0
  private static let silenceMax = Duration.seconds(30)

  /// How long it may be silent, where the settings say `limit`.
  func patience(_ limit: Duration) -> Duration {
    max(limit, min(slowestGap * Self.gapsAllowed, Self.silenceMax))
  }
}

/// What a hello came to.
enum HelloOutcome: Hashable, Sendable {
  case refused(Refusal)
  /// A member said hello again, after its connection was renewed.
  case again
  case joined(replacing: WorkerID?)
}

/// How the sender of a message stands.
enum Sender: Hashable, Sendable {
  case member(recovered: Bool)
  /// Another boot of the same name took its place.
  case fenced
  case revoked
  case unknown
}

/// Who takes part. One live boot per name; the newest wins, and older ones are told so.
struct Membership: Sendable {
  private(set) var members: [String: Member] = [:]
  /// Sorted.
  private(set) var names: [String] = []
  private(set) var revoked: Set<String>
  private(set) var kernelSet: String?
  private var fenced: [String: [UInt64]] = [:]

  /// Boots of one name that are remembered as replaced.
  private static let fencedBootsMax = 8

  init(revoked: Set<String>, kernelSet: String?) {
    self.revoked = revoked
    self.kernelSet = kernelSet
  }

  /// The member under this exact identity, or nil.
  subscript(_ id: WorkerID) -> Member? {
    guard let member = members[id.name], member.id == id else { return nil }
    return member
  }

  var ids: [WorkerID] { names.compactMap { members[$0]?.id } }

  mutating func update(_ id: WorkerID, _ change: (inout Member) -> Void) {
    guard var member = self[id] else { return }
    change(&member)
    members[id.name] = member
  }

  mutating func hello(_ hello: WorkerHello, at now: Moment) -> HelloOutcome {
    let id = hello.worker
    if hello.protocolVersion != protocolVersion {
      return .refused(.protocolVersion(ours: protocolVersion, yours: hello.protocolVersion))
    }
    if revoked.contains(id.name) { return .refused(.revoked) }
    if let kernelSet, kernelSet != hello.kernelSet {
      return .refused(.kernelSet(ours: kernelSet, yours: hello.kernelSet))
    }
    if fenced[id.name, default: []].contains(id.boot) { return .refused(.nameInUse) }
    let earlier = members[id.name]
    if let earlier, earlier.id == id {
      update(id) { member in
        member.hello = hello
        member.heard(at: now)
      }
      return .again
    }
    if let earlier { fence(earlier.id) }
    kernelSet = hello.kernelSet
    members[id.name] = Member(id: id, hello: hello, joinedAt: now)
    names.append(id.name)
    names.sort()
    return .joined(replacing: earlier?.id)
  }

  /// Notes a sign of life.
  mutating func heard(_ id: WorkerID, at now: Moment) -> Sender {
    if revoked.contains(id.name) { return .revoked }
    guard let member = self[id] else {
      return fenced[id.name, default: []].contains(id.boot) ? .fenced : .unknown
    }
    let recovered = member.health == .suspect
    update(id) { $0.heard(at: now) }
    return .member(recovered: recovered)
  }

  /// Notes that a member's connection has ended; false when it is no member.
  mutating func disconnected(_ id: WorkerID, at now: Moment) -> Bool {
    guard self[id] != nil else { return false }
    update(id) { $0.disconnected(at: now) }
    return true
  }

  /// Members by what their silence makes of them: newly suspect, and gone (not yet removed).
  mutating func judgeSilence(
    at now: Moment, timing: Timing, patience: Double
  ) -> (suspected: [(WorkerID, Duration)], gone: [(WorkerID, Departure)]) {
    var suspected: [(WorkerID, Duration)] = []
    var gone: [(WorkerID, Departure)] = []
    for name in names {
      guard let member = members[name] else { continue }
      let silence = now - member.heardAt
      if let cut = member.disconnectedAt, now - cut >= timing.reconnectPatience * patience {
        gone.append((member.id, .disconnected))
      } else if silence >= member.patience(timing.goneAfter) * patience {
        gone.append((member.id, .silent(silence)))
      } else if silence >= member.patience(timing.suspectAfter) * patience,
        member.health == .alive
      {
        members[name]?.suspect()
        suspected.append((member.id, silence))
      }
    }
    return (suspected, gone)
  }

  mutating func remove(_ id: WorkerID) {
    guard self[id] != nil else { return }
    members[id.name] = nil
    names.removeAll { $0 == id.name }
  }

  mutating func revoke(_ name: String) { revoked.insert(name) }

  mutating func pardon(_ name: String) { revoked.remove(name) }

  private mutating func fence(_ id: WorkerID) {
    remove(id)
    fenced[id.name, default: []].append(id.boot)
    if fenced[id.name, default: []].count > Membership.fencedBootsMax {
      fenced[id.name]?.removeFirst()
    }
  }
}
