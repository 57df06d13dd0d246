import Distillation
import Domain

/// A picture's digest that is told apart by its number.
func picture(_ number: UInt64) -> Digest { Digest(words: (number, 0, 0, 0)) }

func instruction(
  _ number: Int64, of image: Digest? = picture(1), _ text: String = "What is it?",
  task: TaskType = .conversation
) -> Instruction {
  Instruction(
    id: InstructionID(number), image: image, text: text, task: task,
    lineage: .imported(record: "r\(number)", turn: 0))
}

func draft(
  _ text: String, of image: Digest? = picture(1), task: TaskType = .conversation
) -> InstructionDraft {
  InstructionDraft(
    image: image, text: text, task: task, lineage: .imported(record: text, turn: 0))
}

func scores(_ teacher: Double, _ student: Double) -> ScorePair {
  ScorePair(teacher: teacher, student: student)
}
