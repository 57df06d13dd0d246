import Domain

extension ConversationTemplate {
  /// All templates, in the order in which the settings' messages list them.
  public static let all = [vicunaV1, vicunaV1Stop, chatML, llama2, plain]

  public static var names: [String] { all.map(\.name) }

  /// The template of this name, or nil.
  public static func named(_ name: String) -> ConversationTemplate? {
    all.first { $0.name == name }
  }

  /// `<s>P USER: Q ASSISTANT: A</s>USER: …`: what Vicuna 1.1 and LLaVA were tuned on.
  ///
  /// These models know no token after an instruction, ` ASSISTANT:` ends it. A student that is to
  /// learn the paper's form takes `vicuna_v1_stop`.
  public static let vicunaV1 = ConversationTemplate(
    name: "vicuna_v1", stop: "</s>", opening: [.control("<s>")],
    system: SystemFrame(before: [], after: [.text(" ")]), question: [.text("USER: ")],
    imageJoint: "\n", questionEnd: [.text(" ASSISTANT:")], answerLead: " ", answerTail: "",
    nextTurn: [])

  /// As `vicuna_v1`, with `<STOP>` after each instruction, too, as in the paper's figure 3.
  public static let vicunaV1Stop = ConversationTemplate(
    name: "vicuna_v1_stop", stop: "</s>", opening: [.control("<s>")],
    system: SystemFrame(before: [], after: [.text(" ")]), question: [.text("USER: ")],
    imageJoint: "\n", questionEnd: [.control("</s>"), .text("ASSISTANT:")], answerLead: " ",
    answerTail: "", nextTurn: [])

  /// `<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n`: SmolLM2, Qwen2.
  public static let chatML = ConversationTemplate(
    name: "chatml", stop: "<|im_end|>", opening: [],
    system: SystemFrame(
      before: [.control("<|im_start|>"), .text("system\n")],
      after: [.control("<|im_end|>"), .text("\n")]),
    question: [.control("<|im_start|>"), .text("user\n")], imageJoint: "\n",
    questionEnd: [
      .control("<|im_end|>"), .text("\n"), .control("<|im_start|>"), .text("assistant\n"),
    ],
    answerLead: "", answerTail: "", nextTurn: [.text("\n")])

  /// `<s>[INST] <<SYS>>\nP\n<</SYS>>\n\nQ [/INST] A </s><s>[INST] …`: Llama 2 Chat.
  public static let llama2 = ConversationTemplate(
    name: "llama_2", stop: "</s>", opening: [.control("<s>"), .text("[INST] ")],
    system: SystemFrame(before: [.text("<<SYS>>\n")], after: [.text("\n<</SYS>>\n\n")]),
    question: [], imageJoint: "\n", questionEnd: [.text(" [/INST]")], answerLead: " ",
    answerTail: " ", nextTurn: [.control("<s>"), .text("[INST] ")])

  /// `V Q</s>A</s>` and nothing else: eq. 2 bare, for models too small to read a system text.
  public static let plain = ConversationTemplate(
    name: "plain", stop: "</s>", opening: [], system: nil, question: [], imageJoint: "",
    questionEnd: [.control("</s>")], answerLead: "", answerTail: "", nextTurn: [])
}
