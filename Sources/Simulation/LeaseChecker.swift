import Domain
import Scheduling

/// Keeps its own book of who holds which job, from what goes into the machine and what comes out:
/// two live leases of one job are a violation.
///
/// Its times are the coordinator's own; the machine may only end leases later than that, when it
/// does not count its own stalls.
struct LeaseChecker {
  private struct Lease {
    var worker: WorkerID
    var until: Moment
  }
  private var leases: [JobID: Lease] = [:]
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
      leases[stored.job.id] = Lease(worker: worker, until: now + duration)
    }
  }

  mutating func observe(_ event: Event, _ effects: [Effect], at now: Moment) {
    if case .received(.heartbeat(let heartbeat), let worker) = event,
      let newest = members[worker], heartbeat.sequence > newest
    {
      members[worker] = heartbeat.sequence
      for job in heartbeat.holding where leases[job]?.worker == worker {
        leases[job]?.until = now + duration
      }
    }
    for case .persist(let change) in effects {
      switch change {
      case .leased(let job, _, let worker):
        if let lease = leases[job], lease.until > now {
          violations.append(.twoLiveLeases(job, lease.worker, worker))
        }
        leases[job] = Lease(worker: worker, until: now + duration)
      case .accepted(let report, _): leases[report.job] = nil
      case .quarantined(let job), .reused(let job, _): leases[job] = nil
      case .failed(let report, let worker):
        // Only its holder can end a lease by failing.
        if leases[report.job]?.worker.name == worker.name { leases[report.job] = nil }
      case .workerLeft(let worker, _):
        members[worker] = nil
        leases = leases.filter { $0.value.worker != worker }
      case .workerJoined(let worker, _):
        members[worker] = 0
        leases = leases.filter {
          $0.value.worker.name != worker.name || $0.value.worker == worker
        }
      case .phase, .instructionsAdded, .jobsCreated, .duplicate, .assessed, .proposed,
        .trainingPlanned, .epochOpened, .stepCommitted, .checkpointed, .trainingFinished,
        .evaluated, .workerBusy:
        break
      }
    }
  }
}
