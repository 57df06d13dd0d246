import Domain

// How jobs end.

extension JobBoard {
  /// Takes in a report; afterwards the worker may be told to forget it.
  mutating func report(
    _ report: JobReport, from worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    guard let entry = entries[report.job] else {
      if report.job.number > created || report.job.number < 1 {
        turn.note(.nonsense(worker, .unknownJob(report.job)))
      } else if let past = past[report.job], case .success(let result) = report.outcome,
        past.address == report.address
      {
        compare(result, with: past.result, of: past.attempt, report, from: worker, &turn)
      }
      return
    }
    guard report.address == entry.job.address else {
      turn.note(.nonsense(worker, .addressMismatch(report.job)))
      return
    }
    guard (1...max(1, entry.attempts)).contains(report.attempt), entry.attempts > 0 else {
      turn.note(.nonsense(worker, .attemptNeverMade(report.job, attempt: report.attempt)))
      return
    }
    switch report.outcome {
    case .success(let result): succeeded(entry, result, report, from: worker, at: now, &turn)
    case .failure(let failure): failed(entry, failure, report, from: worker, &turn)
    }
  }

  private mutating func succeeded(
    _ entry: Entry, _ result: GenerationResult, _ report: JobReport, from worker: WorkerID,
    at now: Moment, _ turn: inout Turn
  ) {
    switch entry.state {
    case .done(let accepted, let attempt):
      compare(result, with: accepted, of: attempt, report, from: worker, &turn)
    case .quarantined: return
    case .awaitingLookUp, .waiting, .leased, .following:
      turn.persist(.accepted(report, from: worker))
      counts.accepted += 1
      for lease in entry.leases {
        if lease.worker != worker {
          turn.send(lease.worker, .cancel([report.job]))
        } else if lease.attempt == report.attempt {
          took(now - lease.since, entry.job, on: worker)
        }
      }
      end(report.job, .done(result, attempt: report.attempt))
      turn.settled.append(SettledJob(purpose: entry.job.purpose, result: result))
      for follower in entry.followers { reuse(follower, result, &turn) }
    }
  }

  /// A second result of a job: another attempt's is a free check, the same attempt's a repetition.
  private mutating func compare(
    _ result: GenerationResult, with accepted: GenerationResult, of attempt: Int,
    _ report: JobReport, from worker: WorkerID, _ turn: inout Turn
  ) {
    guard attempt != report.attempt else { return }
    let equal = accepted == result
    counts.duplicatesCompared += 1
    turn.persist(.duplicate(report, from: worker, equal: equal))
    if !equal {
      counts.duplicatesDiffering += 1
      turn.note(.twinDiffers(report.job, from: worker))
    }
  }

  /// A failure is counted whichever attempt it is of, and ends the lease of that attempt alone.
  private mutating func failed(
    _ entry: Entry, _ failure: JobFailure, _ report: JobReport, from worker: WorkerID,
    _ turn: inout Turn
  ) {
    switch entry.state {
    case .done, .quarantined: return
    case .awaitingLookUp, .waiting, .leased, .following: break
    }
    guard !entry.failedAttempts.contains(report.attempt) else { return }
    counts.failures += 1
    turn.persist(.failed(report, from: worker))
    turn.note(.failed(report.job, on: worker, failure))
    var changed = entry
    changed.failedAttempts.insert(report.attempt)
    changed.failures += 1
    if !changed.failedOn.contains(worker.name) { changed.failedOn.append(worker.name) }
    if report.attempt == entry.attempts { changed.holder = nil }
    entries[report.job] = changed
    if changed.failedOn.count >= limits.failedWorkersMax {
      setAside(report.job, .failedOn(workers: changed.failedOn.sorted()), &turn)
    } else if changed.failures >= limits.failuresMax {
      setAside(report.job, .failures(changed.failures), &turn)
    } else {
      switch entry.state {
      case .leased:
        guard let lease = entry.leases.first(where: { $0.attempt == report.attempt }) else {
          return
        }
        giveUpLease(report.job, of: lease.worker)
        if entries[report.job]?.leases.isEmpty == true { putBack(report.job) }
      case .waiting:
        open.remove(report.job)
        putBack(report.job)
      case .awaitingLookUp, .following, .done, .quarantined: return
      }
    }
  }

  mutating func reuse(_ id: JobID, _ result: GenerationResult, _ turn: inout Turn) {
    guard let entry = entries[id] else { return }
    turn.persist(.reused(id, address: entry.job.address))
    counts.reused += 1
    end(id, .done(result, attempt: 0))
    turn.settled.append(SettledJob(purpose: entry.job.purpose, result: result))
    for follower in entry.followers { reuse(follower, result, &turn) }
  }

  mutating func setAside(_ id: JobID, _ reason: QuarantineReason, _ turn: inout Turn) {
    guard let entry = entries[id] else { return }
    turn.persist(.quarantined(id))
    turn.note(.quarantined(id, reason))
    counts.quarantined += 1
    end(id, .quarantined(reason))
    turn.settled.append(SettledJob(purpose: entry.job.purpose, result: nil))
    for follower in entry.followers { setAside(follower, .sameRequest(as: id), &turn) }
  }

  mutating func end(_ id: JobID, _ state: State) {
    for lease in entries[id]?.leases ?? [] { giveUpLease(id, of: lease.worker) }
    open.remove(id)
    entries[id]?.state = state
    entries[id]?.followers = []
    counts.unsettled -= 1
    counts.settled += 1
    counts.waiting = open.count
  }

  private mutating func giveUpLease(_ id: JobID, of worker: WorkerID) {
    held[worker]?.remove(id)
    guard let place = entries[id]?.leases.firstIndex(where: { $0.worker == worker }) else {
      return
    }
    entries[id]?.leases.remove(at: place)
    if entries[id]?.leases.isEmpty == true { counts.leased -= 1 }
  }

  /// A lease ended without a word of its worker. A second worker that has the job goes on.
  mutating func takeBack(_ id: JobID, from worker: WorkerID, _ turn: inout Turn) {
    giveUpLease(id, of: worker)
    counts.reassigned += 1
    guard entries[id]?.leases.isEmpty == true else { return }
    if let lost = entries[id]?.lostAlone, lost >= limits.lostAloneMax {
      setAside(id, .lostWorkers(lost), &turn)
    } else if let attempts = entries[id]?.attempts, attempts >= limits.attemptsMax {
      setAside(id, .attempts(attempts), &turn)
    } else {
      putBack(id)
    }
  }

  mutating func putBack(_ id: JobID) {
    guard var entry = entries[id] else { return }
    entry.state = .waiting
    entries[id] = entry
    open.insert(
      entry.job, failedOn: entry.failedOn + entry.stuckOn, isAlone: isSuspect(id))
    counts.waiting = open.count
  }
}

// After a restart.

extension JobBoard {
  /// Takes jobs in as the store knows them, before anything else happens; in id order.
  ///
  /// A lease is honoured for one lease's duration, so that its worker can come back and say that it
  /// holds the job. Jobs that waited for a look-up wait for it again.
  /// - Returns: the jobs that had ended, in id order.
  mutating func restore(
    _ jobs: [RestoredJob], lookUp: Bool, at now: Moment, _ turn: inout Turn
  ) -> [SettledJob] {
    var settled: [SettledJob] = []
    var queries: [AddressQuery] = []
    for restored in jobs {
      let job = restored.job
      var entry = Entry(job: job, attempts: restored.attempts, state: .awaitingLookUp)
      entry.failures = restored.failedOn.count
      for name in restored.failedOn where !entry.failedOn.contains(name) {
        entry.failedOn.append(name)
      }
      entries[job.id] = entry
      counts.unsettled += 1
      switch restored.state {
      case .done(let result):
        end(job.id, .done(result, attempt: 0))
        settled.append(SettledJob(purpose: job.purpose, result: result))
      case .quarantined:
        end(job.id, .quarantined(.failures(entry.failures)))
        settled.append(SettledJob(purpose: job.purpose, result: nil))
      case .leased(let worker):
        hold(job.id, worker, attempt: restored.attempts, at: now)
      case .open:
        guard !joinEarlier(job, &turn) else { continue }
        if lookUp, restored.attempts == 0 {
          queries.append(AddressQuery(job: job.id, address: job.address))
        } else {
          putBack(job.id)
        }
      }
      if byAddress[job.address] == nil { byAddress[job.address] = job.id }
    }
    if !queries.isEmpty { turn.effects.append(.request(.lookUp(queries))) }
    return settled
  }
}
