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
      } else if report.isSuccess {
        turn.effects.append(.request(.recall(report, from: worker)))
      }
      return
    }
    guard report.address == entry.job.address else {
      turn.note(.nonsense(worker, .addressMismatch(report.job)))
      return
    }
    guard wasGiven(report, to: worker, entry.givenTo, &turn) else { return }
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
    case .quarantined: return
    case .awaitingLookUp, .waiting, .leased, .following:
      turn.persist(.accepted(report, from: worker))
      counts.accepted += 1
      for lease in leases(of: report.job) {
        if lease.worker != worker {
          turn.send(lease.worker, .cancel([report.job]))
        } else if lease.attempt == report.attempt {
          took(now - lease.since, entry.job, on: worker)
        }
      }
      finish(report.job)
      turn.settled.append(SettledJob(purpose: entry.job.purpose, text: result.text))
      for follower in entry.followers { reuse(follower, result, &turn) }
    }
  }

  /// What the store has of a job whose result was reported once more: another attempt's result is a
  /// free check, the same attempt's a repetition.
  mutating func recalled(
    _ report: JobReport, from worker: WorkerID, _ accepted: AcceptedResult, _ turn: inout Turn
  ) {
    guard report.address == accepted.address else {
      turn.note(.nonsense(worker, .addressMismatch(report.job)))
      return
    }
    guard wasGiven(report, to: worker, accepted.givenTo, &turn) else { return }
    guard case .success(let result) = report.outcome, report.attempt != accepted.attempt else {
      return
    }
    let equal = accepted.result == result
    counts.duplicatesCompared += 1
    turn.persist(.duplicate(report, from: worker, equal: equal))
    if !equal {
      counts.duplicatesDiffering += 1
      turn.note(.twinDiffers(report.job, from: worker))
    }
  }

  /// Whether the reported attempt was made, and by this worker: another boot of it may report what
  /// its spool kept.
  private func wasGiven(
    _ report: JobReport, to worker: WorkerID, _ givenTo: [String], _ turn: inout Turn
  ) -> Bool {
    guard (1...max(1, givenTo.count)).contains(report.attempt), !givenTo.isEmpty else {
      turn.note(.nonsense(worker, .attemptNeverMade(report.job, attempt: report.attempt)))
      return false
    }
    guard givenTo[report.attempt - 1] == worker.name else {
      turn.note(.nonsense(worker, .notGiven(report.job, attempt: report.attempt)))
      return false
    }
    return true
  }

  /// A failure is counted whichever attempt it is of, and ends the lease of that attempt alone.
  private mutating func failed(
    _ entry: Entry, _ failure: JobFailure, _ report: JobReport, from worker: WorkerID,
    _ turn: inout Turn
  ) {
    switch entry.state {
    case .quarantined: return
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
        let lease = leases(of: report.job).first { $0.attempt == report.attempt }
        guard let lease else { return }
        giveUpLease(report.job, of: lease.worker)
        if entries[report.job]?.holders.isEmpty == true { putBack(report.job) }
      case .waiting:
        open.remove(report.job)
        putBack(report.job)
      case .awaitingLookUp, .following, .quarantined: return
      }
    }
  }

  mutating func reuse(_ id: JobID, _ result: GenerationResult, _ turn: inout Turn) {
    guard let entry = entries[id] else { return }
    turn.persist(.reused(id, address: entry.job.address))
    counts.reused += 1
    finish(id)
    turn.settled.append(SettledJob(purpose: entry.job.purpose, text: result.text))
    for follower in entry.followers { reuse(follower, result, &turn) }
  }

  mutating func setAside(_ id: JobID, _ reason: QuarantineReason, _ turn: inout Turn) {
    guard let entry = entries[id] else { return }
    turn.persist(.quarantined(id))
    turn.note(.quarantined(id, reason))
    counts.quarantined += 1
    settle(id)
    entries[id]?.state = .quarantined(reason)
    entries[id]?.followers = []
    turn.settled.append(SettledJob(purpose: entry.job.purpose, text: nil))
    for follower in entry.followers { setAside(follower, .sameRequest(as: id), &turn) }
  }

  /// The job has its result: the board knows it no more.
  private mutating func finish(_ id: JobID) {
    settle(id)
    guard let entry = entries.removeValue(forKey: id) else { return }
    if byAddress[entry.job.address] == id { byAddress[entry.job.address] = nil }
  }

  private mutating func settle(_ id: JobID) {
    for worker in entries[id]?.holders ?? [] { giveUpLease(id, of: worker) }
    open.remove(id)
    suspects.remove(id)
    counts.unsettled -= 1
    counts.settled += 1
    counts.waiting = open.count
  }

  private mutating func giveUpLease(_ id: JobID, of worker: WorkerID) {
    guard held[worker]?.removeValue(forKey: id) != nil else { return }
    if held[worker]?.isEmpty == true { held[worker] = nil }
    entries[id]?.holders.removeAll { $0 == worker }
    if entries[id]?.holders.isEmpty == true { counts.leased -= 1 }
  }

  /// A lease ended without a word of its worker. A second worker that has the job goes on.
  mutating func takeBack(_ id: JobID, from worker: WorkerID, _ turn: inout Turn) {
    giveUpLease(id, of: worker)
    counts.reassigned += 1
    guard entries[id]?.holders.isEmpty == true else { return }
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
  ///
  /// - Parameter ended: how many there are beside those, with results.
  /// - Returns: the jobs that had been set aside, in id order.
  mutating func restore(
    _ jobs: [RestoredJob], ended: Int, lookUp: Bool, at now: Moment, _ turn: inout Turn
  ) -> [SettledJob] {
    counts.settled += ended
    var settled: [SettledJob] = []
    var queries: [AddressQuery] = []
    for restored in jobs {
      let job = restored.job
      var entry = Entry(job: job, givenTo: restored.givenTo, state: .awaitingLookUp)
      entry.failures = restored.failedOn.count
      for name in restored.failedOn where !entry.failedOn.contains(name) {
        entry.failedOn.append(name)
      }
      entries[job.id] = entry
      counts.unsettled += 1
      switch restored.state {
      case .quarantined:
        settle(job.id)
        entries[job.id]?.state = .quarantined(.failures(entry.failures))
        settled.append(SettledJob(purpose: job.purpose, text: nil))
      case .leased(let worker):
        hold(job.id, worker, attempt: restored.givenTo.count, at: now)
      case .open:
        guard !joinEarlier(job, &turn) else { continue }
        if lookUp, restored.givenTo.isEmpty {
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
