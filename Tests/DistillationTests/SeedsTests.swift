import Distillation
import Domain
import Testing

@Suite("The seeds of a run")
struct SeedsTests {
  @Test("differ for everything that is drawn")
  func distinct() {
    let seeds = Seeds(run: 1)
    var drawn: [UInt64] = [seeds.captionSubset]
    for iteration in 1...4 {
      drawn.append(seeds.easySample(iteration: iteration))
      drawn.append(seeds.training(TrainingID(iteration: iteration)))
      for number in 1...200 {
        let id = InstructionID(Int64(number))
        drawn.append(seeds.placement(id, iteration: iteration))
        drawn.append(seeds.sampling(for: .studentAnswer(id, iteration: iteration)))
        drawn.append(seeds.sampling(for: .newInstruction(from: id, iteration: iteration)))
        if iteration == 1 {
          drawn.append(seeds.sampling(for: .teacherAnswer(id)))
          drawn.append(seeds.captionInstruction(pair: number))
        }
        for order in PresentationOrder.allCases {
          for attempt in 1...3 {
            drawn.append(
              seeds.sampling(
                for: .judgement(id, iteration: iteration, order: order, attempt: attempt)))
          }
        }
        for set in 0..<2 {
          drawn.append(
            seeds.sampling(
              for: .evaluation(.student, set: set, item: number, iteration: iteration)))
        }
      }
    }
    #expect(Set(drawn).count == drawn.count)
    #expect(Seeds(run: 2).captionSubset != seeds.captionSubset)
  }

  @Test("are one for all who sit the same examination")
  func evaluation() {
    let seeds = Seeds(run: 1)
    let drawn = EvaluationSubject.allCases.map {
      seeds.sampling(for: .evaluation($0, set: 0, item: 3, iteration: 1))
    }
    #expect(Set(drawn).count == 1)
  }

  @Test("follow the documented rule")
  func rule() {
    var random = SeededRandom(seed: 5, "judgement, student first", 2)
    random = SeededRandom(seed: random.next(), "item", 17)
    random = SeededRandom(seed: random.next(), "attempt", 3)
    let purpose = Purpose.judgement(
      InstructionID(17), iteration: 2, order: .studentFirst, attempt: 3)
    #expect(Seeds(run: 5).sampling(for: purpose) == random.next())
  }

  @Test("stay what they are from version to version, so that results are found again")
  func pinned() {
    let seed = Seeds(run: 1).sampling(for: .teacherAnswer(InstructionID(1)))
    #expect(seed == 4_232_732_196_353_555_883)
  }
}
