import Domain

// Jobs that take longer than is usual.

extension JobBoard {
  /// A job has ended after so long on this worker.
  mutating func took(_ time: Duration, _ job: Job, on worker: WorkerID) {
    let tokens = job.request.sampling.tokensMax
    for name in [worker.name, nil] {
      paces[PaceKey(worker: name, model: job.request.model), default: Pace()]
        .add(time, tokens: tokens)
    }
  }

  /// The longest time that is usual for a job on this worker; nil: not known yet.
  func usual(_ job: Job, on worker: WorkerID) -> Duration? {
    paces[PaceKey(worker: worker.name, model: job.request.model)]?.usualPerToken
      .map { $0 * max(job.request.sampling.tokensMax, 1) }
  }

  /// Jobs that take longer than is usual anywhere, once most of the phase is settled and none
  /// waits: a second worker may be quicker. The latest first.
  func late(at now: Moment) -> [JobID] {
    let most = counts.settled * 4 >= (counts.settled + counts.unsettled) * 3
    guard open.isEmpty, most else { return [] }
    var usual: [Digest: Duration] = [:]
    for (key, pace) in paces where key.worker == nil { usual[key.model] = pace.usualPerToken }
    var late: [(id: JobID, by: Duration)] = []
    for leases in held.values {
      for (id, lease) in leases where now - lease.since > timing.speculateAfter {
        guard let entry = entries[id], entry.holders.count == 1, !isSuspect(id),
          let perToken = usual[entry.job.request.model]
        else { continue }
        let time = perToken * max(entry.job.request.sampling.tokensMax, 1)
        let by = now - lease.since - max(time, timing.speculateAfter)
        if by > .zero { late.append((id, by)) }
      }
    }
    return late.sorted { ($1.by, $0.id) < ($0.by, $1.id) }.map(\.id)
  }

  /// Gives a late job to a second worker as well, unless it has it or has failed at it.
  mutating func speculate(
    _ id: JobID, on worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) -> Assignment? {
    guard let entry = entries[id], let first = leases(of: id).first, entry.holders.count == 1,
      first.worker.name != worker.name, !entry.failedOn.contains(worker.name),
      !entry.stuckOn.contains(worker.name)
    else { return nil }
    counts.speculated += 1
    turn.note(.speculated(id, on: worker, beside: first.worker, after: now - first.since))
    return give(id, to: worker, at: now, &turn)
  }
}
