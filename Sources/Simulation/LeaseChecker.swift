import Domain
import Scheduling

/// Keeps its own book of who holds which job, from what goes into the machine and what comes out:
/// two live leases of one job are a violation, unless the second one is said to be a speculation;
/// so is a third one.
///
/// Its times are the coordinator's own; the machine may only end leases later than that, when it
/// does not count its own stalls.
struct LeaseChecker {
  private struct Lease {
    var worker: WorkerID
    var until: Moment
  }
  private var leases: [JobID: [Lease]] = [:]
  /// Members, with the newest heartbeat heard of each: older ones renew nothing.
  private var members: [WorkerID: UInt64] = [:]
  private let duration: Duration
  private(set) var violations: [Violation] = []

  init(duration: Duration) { self.duration = duration }

  /// A coordinator has started: what the disk says is leased stays so for one lease's duration.
  mutating func restarted(with store: StoreModel, at now: Moment) {
    leases = [:]
    members = [:]
    for stored in store.jobs {
      guard case .leased(let worker) = stored.state else { continue }
      leases[stored.job.id] = [Lease(worker: worker, until: now + duration)]
    }
  }

  mutating func observe(_ event: Event, _ effects: [Effect], at now: Moment) {
    if case .received(.heartbeat(let heartbeat), let worker) = event,
      let newest = members[worker], heartbeat.sequence > newest
    {
      members[worker] = heartbeat.sequence
      for job in heartbeat.holding {
        for place in leases[job, default: []].indices
        where leases[job]?[place].worker == worker {
          leases[job]?[place].until = now + duration
        }
      }
    }
    var speculated: Set<JobID> = []
    for effect in effects {
      switch effect {
      case .persist(let change): observe(change, speculated, at: now)
      case .note(.speculated(let job, _, _, _)): speculated.insert(job)
      // The machine has given up on this one.
      case .note(.stuck(let job, let worker, _, _)):
        leases[job]?.removeAll { $0.worker == worker }
      // Told to drop it, the worker has no lease any more: a second one has the job.
      case .send(let worker, .cancel(let jobs)):
        for job in jobs { leases[job]?.removeAll { $0.worker == worker } }
      case .note, .send, .request: continue
      }
    }
  }

  private mutating func observe(_ change: Change, _ speculated: Set<JobID>, at now: Moment) {
    switch change {
    case .leased(let job, _, let worker):
      var live = leases[job, default: []].filter { $0.until > now }
      if let first = live.first, live.count > 1 || !speculated.contains(job) {
        violations.append(.twoLiveLeases(job, first.worker, worker))
      }
      live.append(Lease(worker: worker, until: now + duration))
      leases[job] = live
    case .accepted(let report, _): leases[report.job] = nil
    case .quarantined(let job), .reused(let job, _): leases[job] = nil
    case .failed(let report, let worker):
      // Only its holder can end a lease by failing.
      leases[report.job]?.removeAll { $0.worker.name == worker.name }
    case .workerLeft(let worker, _):
      members[worker] = nil
      for job in leases.keys { leases[job]?.removeAll { $0.worker == worker } }
    case .workerJoined(let worker, _):
      members[worker] = 0
      for job in leases.keys {
        leases[job]?.removeAll { $0.worker.name == worker.name && $0.worker != worker }
      }
    case .phase, .instructionsAdded, .jobsCreated, .duplicate, .assessed, .proposed,
      .trainingPlanned, .epochOpened, .stepCommitted, .segmentSaved, .checkpointed,
      .trainingFinished,
      .evaluated, .workerBusy:
      break
    }
  }
}
