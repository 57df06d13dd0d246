import Distillation
import Domain

// What the models are asked: the one place where a purpose becomes a request.

extension RunMachine {
  func request(
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
  func teacherAnswerRequest(_ instruction: Instruction, of input: RunInput) -> GenerationRequest {
    request(
      .teacherAnswer(instruction.id), model: input.teacher,
      prompt: settings.prompts.answer(
        instruction.text, image: instruction.image, in: settings.teacherTemplate),
      settings.teacher, settings.teacherTemplate)
  }

  /// `S(V_k, X_k)` of the student after this iteration's tuning.
  func studentAnswerRequest(
    _ instruction: Instruction, iteration: Int, of input: RunInput
  ) -> GenerationRequest {
    request(
      .studentAnswer(instruction.id, iteration: iteration),
      model: state.student(after: iteration, base: input.student),
      prompt: settings.prompts.answer(
        instruction.text, image: instruction.image, in: settings.studentTemplate),
      settings.student, settings.studentTemplate)
  }

  func judgementRequest(
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

  func newInstructionRequest(
    from instruction: Instruction, iteration: Int, of input: RunInput
  ) -> GenerationRequest {
    request(
      .newInstruction(from: instruction.id, iteration: iteration), model: input.teacher,
      prompt: settings.prompts.newInstruction(from: instruction, in: settings.teacherTemplate),
      settings.augmentor, settings.teacherTemplate)
  }

  func evaluationRequest(
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
