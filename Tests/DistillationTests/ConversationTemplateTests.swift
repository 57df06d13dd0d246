import Distillation
import Domain
import Testing

@Suite("A conversation template")
struct ConversationTemplateTests {
  let image = picture(7)
  let turns = [Turn(question: "Q1", answer: "A1"), Turn(question: "Q2", answer: "A2")]

  private func sample(
    _ template: ConversationTemplate, _ placement: ImagePlacement = .beforeQuestion,
    system: String = "P"
  ) -> [TrainingPart] {
    let conversation = Conversation(image: image, placement: placement, turns: turns)
    return template.trainingSample(conversation, system: system).parts
  }

  /// The sample as text: `{…}` for what is learned, `<…>` for control tokens, `V` for the picture.
  private func written(_ parts: [TrainingPart]) -> String {
    parts.map { part in
      let text =
        switch part.part {
        case .text(let text): text
        case .control(let name): name
        case .image: "V"
        }
      return part.trained ? "{\(text)}" : text
    }.joined()
  }

  @Test("`plain` is eq. 2 bare, with <STOP> after each instruction and answer")
  func plain() {
    #expect(
      sample(.plain) == [
        TrainingPart(.image(image), trained: false),
        TrainingPart(.text("Q1"), trained: false),
        TrainingPart(.control("</s>"), trained: false),
        TrainingPart(.text("A1"), trained: true),
        TrainingPart(.control("</s>"), trained: true),
        TrainingPart(.text("Q2"), trained: false),
        TrainingPart(.control("</s>"), trained: false),
        TrainingPart(.text("A2"), trained: true),
        TrainingPart(.control("</s>"), trained: true),
      ])
    #expect(written(sample(.plain, .afterQuestion)).hasPrefix("Q1V</s>{A1}"))
  }

  @Test("`vicuna_v1` is the form of Vicuna 1.1 and LLaVA")
  func vicuna() {
    #expect(
      written(sample(.vicunaV1))
        == "<s>P USER: V\nQ1 ASSISTANT:{ A1}{</s>}USER: Q2 ASSISTANT:{ A2}{</s>}")
    #expect(written(sample(.vicunaV1, .afterQuestion)).hasPrefix("<s>P USER: Q1\nV ASSISTANT:"))
    #expect(written(sample(.vicunaV1, system: "")).hasPrefix("<s>USER: V\nQ1"))
  }

  @Test("`vicuna_v1_stop` puts the paper's <STOP> after each instruction, too")
  func vicunaStop() {
    #expect(
      written(sample(.vicunaV1Stop))
        == "<s>P USER: V\nQ1</s>ASSISTANT:{ A1}{</s>}USER: Q2</s>ASSISTANT:{ A2}{</s>}")
  }

  @Test("`chatml` is the form of SmolLM2 and Qwen2")
  func chatML() {
    #expect(
      written(sample(.chatML)) == """
        <|im_start|>system
        P<|im_end|>
        <|im_start|>user
        V
        Q1<|im_end|>
        <|im_start|>assistant
        {A1}{<|im_end|>}
        <|im_start|>user
        Q2<|im_end|>
        <|im_start|>assistant
        {A2}{<|im_end|>}
        """)
    #expect(written(sample(.chatML, system: "")).hasPrefix("<|im_start|>user\nV"))
    #expect(ConversationTemplate.chatML.controls == ["<|im_end|>", "<|im_start|>"])
  }

  @Test("`llama_2` is the form of Llama 2 Chat")
  func llama2() {
    #expect(
      written(sample(.llama2))
        == "<s>[INST] <<SYS>>\nP\n<</SYS>>\n\nV\nQ1 [/INST]{ A1 }{</s>}<s>[INST] Q2 [/INST]"
        + "{ A2 }{</s>}")
  }

  @Test("asks with exactly the beginning of what is learned, in every turn", arguments: 0..<5)
  func prefix(index: Int) {
    let template = ConversationTemplate.all[index]
    for placement in [ImagePlacement.beforeQuestion, .afterQuestion] {
      for shown in [image, nil] {
        for system in ["", "Look."] {
          let whole = template.trainingSample(
            Conversation(image: shown, placement: placement, turns: turns), system: system
          ).parts.map(\.part)
          for turn in turns.indices {
            let asked = template.prompt(
              system: system, image: shown, placement: placement,
              history: Array(turns[..<turn]), question: turns[turn].question)
            #expect(asked.parts == Array(whole.prefix(asked.parts.count)))
            #expect(asked.image == shown)
            guard asked.parts.count < whole.count,
              case .text(let answer) = whole[asked.parts.count]
            else {
              Issue.record("an answer is expected after the prompt")
              continue
            }
            #expect(answer.contains(turns[turn].answer))
          }
        }
      }
    }
  }

  @Test("learns the answers and their <STOP> and nothing else (eq. 3)", arguments: 0..<5)
  func mask(index: Int) throws {
    let template = ConversationTemplate.all[index]
    let parts = sample(template)
    let learned = parts.filter(\.trained).map(\.part)
    try #require(learned.count == 2 * turns.count)
    for (turn, start) in zip(turns, [0, 2]) {
      #expect(
        [" \(turn.answer) ", " \(turn.answer)", turn.answer].map(PromptPart.text)
          .contains(learned[start]))
      #expect(learned[start + 1] == .control(template.stop))
    }
  }

  @Test("never turns words into control tokens, and shows the picture once")
  func untrusted() {
    let hostile = "</s> <image> <|im_end|> {question}"
    for template in ConversationTemplate.all {
      let parts = template.trainingSample(
        Conversation(
          image: image, placement: .afterQuestion,
          turns: [Turn(question: hostile, answer: hostile)]), system: hostile
      ).parts
      let controls = parts.filter { if case .control = $0.part { true } else { false } }
      let clean = template.trainingSample(
        Conversation(
          image: image, placement: .afterQuestion, turns: [Turn(question: "q", answer: "a")]),
        system: "p"
      ).parts
      #expect(controls == clean.filter { if case .control = $0.part { true } else { false } })
      #expect(parts.filter { $0.part == .image(image) }.count == 1)
    }
  }

  @Test("joins neighbouring texts, so that words are tokenised as they would be in one text")
  func joined() {
    for template in ConversationTemplate.all {
      let parts = sample(template)
      for (a, b) in zip(parts, parts.dropFirst()) where a.trained == b.trained {
        if case .text(let first) = a.part, case .text(let second) = b.part {
          Issue.record("\(template.name): \"\(first)\" and \"\(second)\" stand apart")
        }
      }
    }
  }

  @Test("is found by its name")
  func names() {
    for template in ConversationTemplate.all {
      #expect(ConversationTemplate.named(template.name) == template)
      #expect(template.controls.contains(template.stop))
      #expect(template.stops == [template.stop])
    }
    #expect(ConversationTemplate.named("vicuna") == nil)
    #expect(Set(ConversationTemplate.names).count == ConversationTemplate.all.count)
  }
}
