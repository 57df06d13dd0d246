import Distillation
import Domain

// What the models are asked: the one place where a purpose becomes a request.

extension RunMachine {
  /// Nil: something that it asks about is not there.
  func request(for purpose: Purpose, of input: RunInput) -> GenerationRequest? {
    switch purpose {
    case .teacherAnswer(let id):
      return state.pools[id].map { teacherAnswerRequest($0, of: input) }
    case .studentAnswer(let id, let iteration):
      return state.pools[id].map { studentAnswerRequest($0, iteration: iteration, of: input) }
    case .judgement(let id, let iteration, let order, let attempt):
      guard let instruction = state.pools[id], case .text(let teacher) = state.teacherAnswers[id],
        case .text(let student) = state.studentAnswers[id]
      else { return nil }
      return judgementRequest(
        instruction, iteration: iteration, order: order, attempt: attempt, teacher: teacher,
        student: student, of: input)
    case .newInstruction(let source, let iteration):
      return state.pools[source].map {
        newInstructionRequest(from: $0, iteration: iteration, of: input)
      }
    case .evaluation(let subject, let set, let item, let iteration):
      return evaluationRequest(
        Examination(subject: subject, set: set), item: item, iteration: iteration, of: input)
    }
  }

  private func request(
    _ purpose: Purpose, model: Digest, prompt: Prompt, _ role: RoleSampling,
    _ template: ConversationTemplate
  ) -> GenerationRequest {
    GenerationRequest(
      model: model, prompt: prompt,
      sampling: Sampling(
        temperature: role.temperature, topP: role.topP, tokensMax: role.tokensMax,
        seed: state.seeds.sampling(for: purpose), stops: template.stops),
      precision: purpose.isForTeacher ? settings.teacherPrecision : settings.studentPrecision)
  }

  /// `T(V_k, X_k)`: the same request in every iteration, so it is generated once.
  private func teacherAnswerRequest(
    _ instruction: Instruction, of input: RunInput
  ) -> GenerationRequest {
    request(
      .teacherAnswer(instruction.id), model: input.teacher,
      prompt: settings.prompts.answer(
        instruction.text, image: instruction.image, in: settings.teacherTemplate),
      settings.teacher, settings.teacherTemplate)
  }

  /// `S(V_k, X_k)` of the student after this iteration's tuning.
  private func studentAnswerRequest(
    _ instruction: Instruction, iteration: Int, of input: RunInput
  ) -> GenerationRequest {
    request(
      .studentAnswer(instruction.id, iteration: iteration),
      model: state.student(after: iteration, base: input.student),
      prompt: settings.prompts.answer(
        instruction.text, image: instruction.image, in: settings.studentTemplate),
      settings.student, settings.studentTemplate)
  }

  private func judgementRequest(
    _ instruction: Instruction, iteration: Int, order: PresentationOrder, attempt: Int,
    teacher: String, student: String, of input: RunInput
  ) -> GenerationRequest {
    request(
      .judgement(instruction.id, iteration: iteration, order: order, attempt: attempt),
      model: input.teacher,
      prompt: settings.prompts.judgement(
        of: instruction.text, image: instruction.image, teacher: teacher, student: student,
        order: order, in: settings.teacherTemplate),
      settings.judge, settings.teacherTemplate)
  }

  private func newInstructionRequest(
    from instruction: Instruction, iteration: Int, of input: RunInput
  ) -> GenerationRequest {
    request(
      .newInstruction(from: instruction.id, iteration: iteration), model: input.teacher,
      prompt: settings.prompts.newInstruction(from: instruction, in: settings.teacherTemplate),
      settings.augmentor, settings.teacherTemplate)
  }

  private func evaluationRequest(
    _ examination: Examination, item: Int, iteration: Int, of input: RunInput
  ) -> GenerationRequest {
    let set = input.evaluationSets[examination.set]
    let question = set.items[item]
    let template: ConversationTemplate
    let model: Digest
    let image: Digest?
    switch examination.subject {
    case .teacher:
      (template, model, image) = (settings.teacherTemplate, input.teacher, question.image)
    case .student, .studentBlind:
      template = settings.studentTemplate
      model = state.student(after: iteration, base: input.student)
      image = examination.subject == .student ? question.image : nil
    }
    let purpose = Purpose.evaluation(
      examination.subject, set: examination.set, item: item, iteration: iteration)
    return request(
      purpose, model: model,
      prompt: settings.prompts.answer(question.text, image: image, in: template),
      set.sampling, template)
  }
}
