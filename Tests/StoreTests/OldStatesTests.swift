import Domain
import Foundation
import Hashing
import Testing

@testable import Store

@Suite("States of a training")
struct OldStatesTests {
  private func plan(_ iteration: Int) -> TrainingPlan {
    TrainingPlan(
      training: TrainingID(iteration: iteration), model: Digest(hashing: [1]),
      dataset: Digest(hashing: [2]),
      recipe: TrainingRecipe(learningRate: 1, trained: .all, seed: 1),
      stepsTotal: 100, checkpoint: nil)
  }

  @Test("go when no restart needs them: all but the newest two, and all when the student is there")
  func old() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    let dataset = try store.blobs.put([2])
    try store.commit([.trainingPlanned(plan(0)), .trainingPlanned(plan(1))])
    /// Steps of a training whose state is there.
    func kept(_ iteration: Int) -> [Int] {
      let states = (0..<9).filter {
        store.blobs.has(Digest(hashing: "\(iteration) \($0)".utf8))
      }
      #expect(
        states
          == (0..<9).filter {
            store.blobs.has(Digest(hashing: "weights \(iteration) \($0)".utf8))
          })
      // What did not change belongs to those that are left, too.
      #expect(store.blobs.has(Digest(hashing: "frozen".utf8)))
      return states
    }
    func checkpoint(_ iteration: Int, step: Int) throws {
      let state = try store.blobs.put(Array("\(iteration) \(step)".utf8))
      let saved = SavedSegment(
        segment: 0, weights: try store.blobs.put(Array("weights \(iteration) \(step)".utf8)),
        moments: try store.blobs.put(Array("frozen".utf8)))
      try store.commit([
        .segmentSaved(TrainingID(iteration: iteration), step: step, saved),
        .checkpointed(
          TrainingID(iteration: iteration), TrainingCheckpoint(step: step, state: state)),
      ])
      try store.removeOldStates()
    }
    for step in 0..<4 { try checkpoint(0, step: step) }
    #expect(kept(0) == [2, 3])
    for step in 0..<2 { try checkpoint(1, step: step) }
    #expect(kept(0) == [2, 3] && kept(1) == [0, 1])
    #expect(try store.restore().trainings.map(\.plan.checkpoint?.step) == [3, 1])
    try store.commit([
      .trainingFinished(
        TrainingExport(
          training: TrainingID(iteration: 0), model: Digest(hashing: [3]),
          weights: Digest(hashing: [4])))
    ])
    do {
      // A copy that is being made has the database of before: what that speaks of stays.
      let copying = try #require(CopyLock(folder: folder, alone: false))
      defer { withExtendedLifetime(copying) {} }
      try store.removeOldStates()
      #expect(kept(0) == [2, 3])
    }
    try store.removeOldStates()
    #expect(kept(0).isEmpty && kept(1) == [0, 1])
    try checkpoint(1, step: 2)
    #expect(kept(1) == [1, 2] && store.blobs.has(dataset))
    try store.close()
  }
}
