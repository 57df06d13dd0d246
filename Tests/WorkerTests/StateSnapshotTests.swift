import Domain
import Kernels
import Scheduling
import TestSupport
import Testing
import Transport

@testable import Worker

@Suite("What a checkpoint takes of the state")
struct StateSnapshotTests {
  private let weights = Floats([1, 2, 3, 4])
  private let moments = Moments(zeros: 2, .f32)

  private func copy(_ segment: Int) throws -> SegmentCopy {
    try SegmentCopy(weights[2 * segment..<2 * segment + 2], moments)
  }

  private func values(_ file: HeldFile) throws -> [Float] {
    let bytes = try file.read(offset: 0, length: Int(file.size))
    return bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  @Test("is as it was when the checkpoint was made, also when it changes before it is asked for")
  func change() throws {
    var snapshot = StateSnapshot(.pretraining, step: 7, [0, 1])
    var copied: [Int] = []
    let copying = { segment in
      copied.append(segment)
      return try copy(segment)
    }
    let first = try #require(try snapshot.take(0, of: .pretraining, step: 7, copying))
    #expect(copied == [0] && snapshot.left == [1])
    for segment in snapshot.left { try snapshot.preserve(segment, copying) }
    moments.second.fill(9)
    weights.fill(0)
    let second = try #require(try snapshot.take(1, of: .pretraining, step: 7, copying))
    #expect(copied == [0, 1])
    #expect(try values(first.weights) == [1, 2] && values(second.weights) == [3, 4])
    #expect(try values(first.moments) == [0, 0, 0, 0] && values(second.moments) == [0, 0, 0, 0])
  }

  @Test("is given once, and nothing that is no part of it, such as another training's same step")
  func once() throws {
    var snapshot = StateSnapshot(.pretraining, step: 7, [1])
    func size(_ segment: Int, of training: TrainingID, step: Int) throws -> Int64? {
      try snapshot.take(segment, of: training, step: step, copy)?.weights.size
    }
    #expect(try size(0, of: .pretraining, step: 7) == nil)
    #expect(try size(1, of: TrainingID(iteration: 1), step: 7) == nil)
    #expect(try size(1, of: .pretraining, step: 8) == nil)
    #expect(try size(1, of: .pretraining, step: 7) == 8)
    #expect(try size(1, of: .pretraining, step: 7) == nil)
    try snapshot.preserve(1) { _ in throw CancellationError() }
  }
}
