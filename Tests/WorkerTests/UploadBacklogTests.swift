import Domain
import Testing

@testable import Worker

@Suite("What waits to be uploaded")
struct UploadBacklogTests {
  private func segment(
    _ segment: Int, step: Int, of training: TrainingID = .pretraining
  ) -> UploadQueue.Item {
    .segment(training, step: step, segment: segment) { nil }
  }

  private func told(_ backlog: UploadBacklog) -> [[Int]] {
    var backlog = backlog
    var told: [[Int]] = []
    while let item = backlog.take() {
      if case .segment(let training, let step, let segment, _) = item {
        told.append([training.iteration, step, segment])
      }
    }
    return told
  }

  @Test("goes in the order in which it came")
  func order() {
    var backlog = UploadBacklog()
    for number in [2, 0, 1] { backlog.put(segment(number, step: 10)) }
    #expect(told(backlog) == [[0, 10, 2], [0, 10, 0], [0, 10, 1]])
  }

  @Test("is the newest checkpoint of a training: what was left of the one before is not sent")
  func newest() {
    var backlog = UploadBacklog()
    let other = TrainingID(iteration: 1)
    backlog.put(segment(0, step: 3, of: other))
    for number in 0..<4 { backlog.put(segment(number, step: 10)) }
    for number in 0..<2 { backlog.put(segment(number, step: 20)) }
    #expect(told(backlog) == [[1, 3, 0], [0, 20, 0], [0, 20, 1]])
  }
}
