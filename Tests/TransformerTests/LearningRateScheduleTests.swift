import Testing
import Transformer

@Suite("The learning rate")
struct LearningRateScheduleTests {
  @Test("rises from 0 over the warm-up and falls along half a cosine to 0")
  func shape() {
    let schedule = LearningRateSchedule(base: 2, warmupRatio: 0.1, stepsTotal: 20)
    #expect(schedule.warmupSteps == 2)
    #expect([0, 1, 2, 11, 20].map { schedule.rate(step: $0) } == [0, 1, 2, 1, 0])
  }
}
