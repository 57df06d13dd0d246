import Distillation
import Domain
import Testing

@Suite("A prompt text")
struct PromptTemplateTests {
  @Test("is refused when it lacks a placeholder, repeats one or has one that nothing fills")
  func checked() {
    func reason(_ role: PromptRole, _ text: String) -> PromptError? {
      do throws(PromptError) {
        _ = try PromptSet(replacing: [role: text])
        return nil
      } catch { return error }
    }
    #expect(reason(.judge, "{question} {answer_1}") == .missing(.secondAnswer, .judge))
    #expect(
      reason(.judge, "{question} {answer_1} {answer_2} {answer_3}")
        == .unknown("answer_3", .judge))
    #expect(
      reason(.judge, "{question} {answer_1} {answer_2} {answer_1}")
        == .repeated(.firstAnswer, .judge))
    #expect(reason(.judge, "{question} {answer_1} {answer_2} {task}") == .unknown("task", .judge))
    #expect(reason(.augmentor, "{question}") == .missing(.task, .augmentor))
    #expect(reason(.augmentor, " \n") == .empty(.augmentor))
    #expect(reason(.captions, "\n \n") == .empty(.captions))
    #expect(reason(.tasks, "detail: in detail\nno colon") == .taskLine(2, "no colon"))
    #expect(reason(.system, "") == nil)
    for role in PromptRole.allCases { #expect(reason(role, defaultPrompt(role)) == nil) }
  }

  @Test("says in its errors what is wrong and what is allowed")
  func messages() {
    #expect(
      PromptError.unknown("answer_3", .judge).description
        == "the judge prompt has {answer_3}, which nothing fills in: "
        + "allowed are {question}, {answer_1}, {answer_2}")
    #expect(PromptError.missing(.task, .augmentor).description.contains("{task}"))
  }

  @Test("keeps braces around anything else, and fills in what it is given unread")
  func braces() throws {
    let prompts = try PromptSet(replacing: [
      .system: "", .judge: "{} {A} { {question} {answer_1} / {answer_2} {\"a\": 1}",
    ])
    let prompt = prompts.judgement(
      of: "{answer_1}?", image: nil, teacher: " {question}", student: "{", order: .teacherFirst,
      in: .plain)
    #expect(
      prompt.parts == [
        .text("{} {A} { {answer_1}? {question} / { {\"a\": 1}"), .control("</s>"),
      ])
  }
}

@Suite("The prompts of the four roles")
struct PromptSetTests {
  let prompts: PromptSet
  let image = picture(3)

  init() throws { prompts = try PromptSet() }

  private func text(_ prompt: Prompt) -> String {
    prompt.parts.map { if case .text(let text) = $0 { text } else { "" } }.joined()
  }

  @Test("show the judge both answers in the order asked for")
  func orders() throws {
    let prompts = try PromptSet(replacing: [.judge: "{question} 1 {answer_1} 2 {answer_2}"])
    func asked(_ order: PresentationOrder) -> String {
      text(
        prompts.judgement(
          of: "Q", image: image, teacher: "T", student: "S", order: order, in: .plain))
    }
    #expect(asked(.teacherFirst) == "Q 1 T 2 S")
    #expect(asked(.studentFirst) == "Q 1 S 2 T")
  }

  @Test("ask the judge for usefulness, relevance, accuracy and level of detail, and for two scores")
  func criteria() {
    let judge = defaultPrompt(.judge)
    for word in ["useful", "relevant", "accurate", "level of detail", "1 (worst) to 10 (best)"] {
      #expect(judge.contains(word))
    }
  }

  @Test("share their beginning: picture and question for all, and the answers come last")
  func sharedBeginning() {
    let question = "What is the dog doing?"
    for template in ConversationTemplate.all {
      let answer = prompts.answer(question, image: image, in: template).parts
      let judgements = PresentationOrder.allCases.map {
        prompts.judgement(
          of: question, image: image, teacher: "T", student: "S", order: $0, in: template
        ).parts
      }
      let new = prompts.newInstruction(
        from: instruction(1, of: image, question), in: template
      ).parts
      for other in judgements + [new] {
        let picture = answer.firstIndex(of: .image(image)) ?? 0
        #expect(Array(other[...picture]) == Array(answer[...picture]))
        guard case .text(let text) = other[picture + 1] else {
          Issue.record("the question is expected after the picture")
          continue
        }
        #expect(text.drop { $0.isNewline }.hasPrefix(question))
      }
      #expect(text(Prompt(judgements[0])).contains("[Answer 1]\nT\n"))
    }
  }

  @Test("name the task type to the augmentor: by its description, or else by its name")
  func tasks() throws {
    let prompts = try PromptSet(replacing: [
      .augmentor: "{task} | {question}", .tasks: "detail: describe: all\n\n complex :reason ",
    ])
    func asked(_ task: TaskType) -> String {
      text(prompts.newInstruction(from: instruction(1, "Q", task: task), in: .plain))
    }
    #expect(asked(.detail) == "describe: all | Q")
    #expect(asked(.complexReasoning) == "reason | Q")
    #expect(asked(TaskType("counting")) == "counting | Q")
  }

  @Test("make a caption the answer to a drawn wording, the picture before or after it")
  func captions() {
    let pair = CaptionPair(image: image, caption: " A dog runs .\n")
    let drawn = (0..<200).map {
      prompts.conversation(captioned: pair, seed: Seeds(run: 1).captionInstruction(pair: $0))
    }
    #expect(drawn.allSatisfy { $0.turns.count == 1 && $0.turns[0].answer == "A dog runs ." })
    #expect(Set(drawn.map(\.turns[0].question)) == Set(prompts.captions))
    #expect(Set(drawn.map(\.placement)) == [.beforeQuestion, .afterQuestion])
    #expect(prompts.captions.count == 8)
  }
}
