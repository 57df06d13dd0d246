import Distillation
import Domain

// The phases of the method: what each asks for, what it gathers, when it is over.

extension RunMachine {
  /// Starts a phase: creates its jobs, or asks for its data.
  mutating func begin(_ phase: RunPhase, at now: Moment, _ turn: inout Turn) {
    board.retire()
    rates = RateMeter()
    state.enter(phase)
    turn.persist(.phase(phase))
    turn.note(.phase(phase))
    open(phase, at: now, &turn)
    hungry.formUnion(membership.names)
  }

  /// Asks for what the phase needs and has not asked for yet.
  private mutating func open(_ phase: RunPhase, at now: Moment, _ turn: inout Turn) {
    guard let input else { return }
    switch phase {
    case .preparing: break
    case .pretraining:
      if input.hasCaptions {
        openTraining(.pretraining, at: now, &turn)
      } else {
        state.trainingDone = true
      }
    case .tuning(let iteration):
      openTraining(TrainingID(iteration: iteration), at: now, &turn)
    case .answering:
      let unanswered = state.pools.tuning.filter { state.teacherAnswers[$0.id] == nil }
      askLater(unanswered.map { .teacherAnswer($0.id) })
    case .evaluating(let iteration): openEvaluation(iteration, of: input)
    case .assessing(let iteration):
      let judgeable = state.pools.cache.filter { instruction in
        if case .text = state.teacherAnswers[instruction.id] { true } else { false }
      }
      askLater(judgeable.map { .studentAnswer($0.id, iteration: iteration) })
    case .augmenting(let iteration):
      let choice = chooseForAugmentation(
        state.assessments.map { ($0.key, $0.value) },
        seed: state.seeds.easySample(iteration: iteration))
      askLater(choice.all.map { .newInstruction(from: $0, iteration: iteration) })
    case .finished:
      for worker in membership.ids { persistBusy(worker, &turn) }
      let iterations = state.begunIterations
      for worker in membership.ids { turn.send(worker, .drain) }
      turn.effects.append(.request(.finish(state.completion(tuningIterations: iterations))))
    }
  }

  /// Leaves the jobs that do not exist yet to be created when others run short.
  private mutating func askLater(_ purposes: [Purpose]) {
    backlog = Backlog(purposes.filter { !state.asked.contains($0) })
  }

  /// Creates more of the phase's jobs when few are left that no worker has.
  /// - Returns: whether it did.
  mutating func askMore(_ turn: inout Turn) -> Bool {
    if backlog.isEmpty { return false }
    let limits = settings.limits
    let most = max(limits.askedAheadMax, 2 * limits.creditMax * membership.names.count)
    let room = most - (board.counts.unsettled - board.counts.leased)
    // A quarter at a time: one by one would be a transaction for each.
    guard room >= min(backlog.count, (most + 3) / 4) else { return false }
    ask(backlog.take(room), &turn)
    return true
  }

  /// Creates the jobs that do not exist yet.
  private mutating func ask(_ purposes: [Purpose], _ turn: inout Turn) {
    guard let input else { return }
    var jobs: [Job] = []
    for purpose in purposes where !state.asked.contains(purpose) {
      guard let request = request(for: purpose, of: input) else { continue }
      jobs.append(
        Job(id: board.nextID(), purpose: purpose, address: address(request), request: request))
    }
    board.add(jobs, lookUp: settings.reuse, &turn)
  }

  private mutating func openEvaluation(_ iteration: Int, of input: RunInput) {
    for set in input.evaluationSets.indices {
      let items = input.evaluationSets[set].items.count
      for subject in EvaluationSubject.allCases {
        // The teacher does not change, so it is examined once.
        if subject == .teacher, iteration > 0 { continue }
        let examination = Examination(subject: subject, set: set)
        guard items > 0, !state.hasScore(examination, iteration: iteration) else { continue }
        state.answersMissing[examination] = items
      }
    }
    askLater(
      state.answersMissing.keys.sorted().flatMap { examination in
        input.evaluationSets[examination.set].items.indices.map { item in
          .evaluation(examination.subject, set: examination.set, item: item, iteration: iteration)
        }
      })
  }

  /// Takes in jobs that ended; what follows from one may end others at once.
  mutating func takeIn(_ turn: inout Turn) {
    let settled = turn.settled
    turn.settled = []
    for job in settled {
      switch job.purpose {
      case .teacherAnswer(let id): state.teacherAnswers[id] = answer(job.text)
      case .studentAnswer(let id, let iteration):
        state.studentAnswers[id] = answer(job.text)
        beginJudging(id, iteration: iteration, &turn)
      case .judgement(let id, let iteration, let order, let attempt):
        judged(id, iteration, order, attempt: attempt, reply: job.text, &turn)
      case .newInstruction(let from, _):
        state.proposals[from] = Proposal(from: from, reply: job.text)
      case .evaluation(let subject, let set, _, let iteration):
        answered(Examination(subject: subject, set: set), iteration: iteration, &turn)
      }
    }
  }

  /// Both answers are there: the judge reads them in both orders, without waiting for the others.
  private mutating func beginJudging(
    _ id: InstructionID, iteration: Int, _ turn: inout Turn
  ) {
    guard case .text = state.teacherAnswers[id], case .text = state.studentAnswers[id],
      state.judgements[id] == nil
    else { return }
    state.judgements[id] = JudgementProgress(
      attemptsMax: settings.method.judgeAttempts, threshold: settings.method.threshold)
    ask(
      PresentationOrder.allCases.map { order in
        .judgement(id, iteration: iteration, order: order, attempt: 1)
      }, &turn)
  }

  private mutating func judged(
    _ id: InstructionID, _ iteration: Int, _ order: PresentationOrder, attempt: Int,
    reply: String?, _ turn: inout Turn
  ) {
    guard let step = state.judgements[id]?.receive(reply, order: order, attempt: attempt) else {
      return
    }
    switch step {
    case .wait: break
    case .ask(let order, let attempt):
      ask([.judgement(id, iteration: iteration, order: order, attempt: attempt)], &turn)
    case .done(let assessment):
      // Nothing more is asked about it.
      state.judgements[id] = nil
      state.studentAnswers[id] = nil
      guard state.assessments[id] == nil else { return }
      state.assessments[id] = assessment
      turn.persist(.assessed(id, iteration: iteration, assessment))
    }
  }

  private mutating func answered(
    _ examination: Examination, iteration: Int, _ turn: inout Turn
  ) {
    guard let missing = state.answersMissing[examination] else { return }
    state.answersMissing[examination] = missing - 1
    guard missing == 1 else { return }
    state.answersMissing[examination] = nil
    state.scoring.insert(examination)
    turn.effects.append(
      .request(
        .scoreEvaluation(examination.subject, set: examination.set, iteration: iteration)))
  }

  mutating func evaluationScored(_ score: EvaluationScore, _ turn: inout Turn) {
    guard case .evaluating(score.iteration) = state.phase,
      let subject = EvaluationSubject(rawValue: score.subject),
      state.scoring.remove(Examination(subject: subject, set: score.set)) != nil
    else { return }
    state.evaluations.append(score)
    turn.persist(.evaluated(score))
  }

  /// Ends the phase when nothing of it is left, and begins the next.
  /// - Returns: whether it did.
  mutating func endPhase(at now: Moment, _ turn: inout Turn) -> Bool {
    guard backlog.isEmpty, board.isSettled, state.answersMissing.isEmpty, state.scoring.isEmpty
    else { return false }
    switch state.phase {
    case .finished: return false
    case .pretraining, .tuning:
      guard state.trainingDone else { return false }
      training = nil
    case .augmenting(let iteration): admitProposals(iteration, &turn)
    case .preparing, .answering, .evaluating, .assessing: break
    }
    begin(state.next(), at: now, &turn)
    return true
  }

  /// All replies are there: they are admitted in the order of the instructions they came from.
  private mutating func admitProposals(_ iteration: Int, _ turn: inout Turn) {
    let decisions = admit(
      state.proposals.values.sorted { $0.from < $1.from }, to: &state.pools,
      iteration: iteration, method: settings.method)
    for decision in decisions {
      turn.persist(.proposed(from: decision.from, iteration: iteration, decision.outcome))
    }
    guard !state.pools.tuning.isEmpty else { return }
    turn.persist(.instructionsAdded(Array(state.pools.tuning), iteration: iteration + 1))
  }

  /// Goes on in the phase in which the store says the run was.
  mutating func resume(_ restored: RestoredRun, at now: Moment, _ turn: inout Turn) {
    state.teacherAnswers.reserveCapacity(restored.instructions.count)
    for job in restored.ended {
      if case .teacherAnswer(let id) = job.purpose { state.teacherAnswers[id] = .text(job.text) }
    }
    for job in restored.jobs where job.state == .quarantined {
      if case .teacherAnswer(let id) = job.job.purpose { state.teacherAnswers[id] = .unavailable }
    }
    let iteration = state.iteration
    for assessed in restored.assessments where assessed.iteration == iteration {
      state.assessments[assessed.instruction] = assessed.assessment
    }
    let present = restored.jobs.filter { belongs($0.job.purpose, to: state.phase) }
    // The teacher's answers have been taken in, and nobody who is answered is asked.
    let ended = restored.ended.filter { job in
      if case .teacherAnswer = job.purpose { false } else { belongs(job.purpose, to: state.phase) }
    }
    let count = restored.ended.count { belongs($0.purpose, to: state.phase) }
    state.asked = Set(present.map(\.job.purpose) + ended.map(\.purpose))
    let setAside = board.restore(present, ended: count, lookUp: settings.reuse, at: now, &turn)
    turn.note(.phase(state.phase))
    open(state.phase, at: now, &turn)
    turn.settled =
      ended.map { SettledJob(purpose: $0.purpose, text: $0.text) } + setAside + turn.settled
  }
}

extension RunState {
  var iteration: Int {
    switch phase {
    case .preparing, .pretraining, .finished: 0
    case .answering(let iteration), .tuning(let iteration), .evaluating(let iteration),
      .assessing(let iteration), .augmenting(let iteration):
      iteration
    }
  }

  /// Tuning pools that were ever filled: the newest instruction's lineage tells.
  var begunIterations: Int {
    guard let newest = pools.cache.last else { return 1 }
    switch newest.lineage {
    case .imported: return 1
    case .augmented(_, let iteration): return iteration + 1
    }
  }

  func hasScore(_ examination: Examination, iteration: Int) -> Bool {
    evaluations.contains { score in
      score.subject == examination.subject.rawValue && score.set == examination.set
        && score.iteration == iteration
    }
  }
}

private func answer(_ text: String?) -> Answer { text.map { .text($0) } ?? .unavailable }

/// Whether a job is one of the phase's own.
private func belongs(_ purpose: Purpose, to phase: RunPhase) -> Bool {
  switch (purpose, phase) {
  case (.teacherAnswer, .answering): true
  case (.studentAnswer(_, let own), .assessing(let present)),
    (.judgement(_, let own, _, _), .assessing(let present)),
    (.newInstruction(_, let own), .augmenting(let present)),
    (.evaluation(_, _, _, let own), .evaluating(let present)):
    own == present
  case (.teacherAnswer, _), (.studentAnswer, _), (.judgement, _), (.newInstruction, _),
    (.evaluation, _):
    false
  }
}
