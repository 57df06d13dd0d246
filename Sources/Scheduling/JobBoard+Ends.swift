import Domain

// How jobs end.

extension JobBoard {
  /// Takes in a report; afterwards the worker may be told to forget it.
  mutating func report(_ report: JobReport, from worker: WorkerID, _ turn: inout Turn) {
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
    case .success(let result): succeeded(entry, result, report, from: worker, &turn)
    case .failure(let failure): failed(entry, failure, report, from: worker, &turn)
    }
  }

  private mutating func succeeded(
    _ entry: Entry, _ result: GenerationResult, _ report: JobReport, from worker: WorkerID,
    _ turn: inout Turn
  ) {
    switch entry.state {
    case .done(let accepted, let attempt):
      compare(result, with: accepted, of: attempt, report, from: worker, &turn)
    case .quarantined: return
    case .awaitingLookUp, .waiting, .leased, .following:
      turn.persist(.accepted(report, from: worker))
      counts.accepted += 1
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

  /// A failure of an older attempt is counted, but does not touch the lease of the present one.
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
    let isPresent = report.attempt == entry.attempts
    if isPresent { changed.holder = nil }
    entries[report.job] = changed
    if changed.failedOn.count >= limits.failedWorkersMax {
      setAside(report.job, .failedOn(workers: changed.failedOn.sorted()), &turn)
    } else if changed.failures >= limits.failuresMax {
      setAside(report.job, .failures(changed.failures), &turn)
    } else {
      switch entry.state {
      case .leased:
        guard isPresent else { return }
        giveUpLease(report.job)
        putBack(report.job)
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
    giveUpLease(id)
    open.remove(id)
    entries[id]?.state = state
    entries[id]?.followers = []
    counts.unsettled -= 1
    counts.settled += 1
    counts.waiting = open.count
  }

  private mutating func giveUpLease(_ id: JobID) {
    guard case .leased(let worker, _, _) = entries[id]?.state else { return }
    held[worker]?.remove(id)
    counts.leased -= 1
  }

  /// A lease ended without a word of its worker.
  mutating func takeBack(_ id: JobID, _ turn: inout Turn) {
    giveUpLease(id)
    counts.reassigned += 1
    if let attempts = entries[id]?.attempts, attempts >= limits.attemptsMax {
      setAside(id, .attempts(attempts), &turn)
    } else {
      putBack(id)
    }
  }

  mutating func putBack(_ id: JobID) {
    guard var entry = entries[id] else { return }
    entry.state = .waiting
    entries[id] = entry
    open.insert(entry.job, failedOn: entry.failedOn)
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
        entries[job.id]?.holder = worker
        entries[job.id]?.state = .leased(to: worker, until: now + leaseDuration, since: now)
        held[worker, default: []].insert(job.id)
        counts.leased += 1
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
