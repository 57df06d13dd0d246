import Formats
import Kernels
import TestSupport
import Testing

@testable import Transformer

@Suite("The position table of a vision tower")
struct PositionTableTests {
  @Test(
    "is resized as PyTorch resizes it bicubically, and so is its gradient",
    arguments: [(4, 4), (7, 7), (3, 6), (1, 2)])
  func bicubic(rows: Int, columns: Int) throws {
    let store = try TensorStore(safetensors: "\(fixtures)/positions.safetensors")
    let compute = try Compute()
    let table = PositionTable(side: 5, gridRows: rows, gridColumns: columns)
    let name = "\(rows)x\(columns)"
    let source = Floats(try store.floats("table"))
    let resized = Floats(zeros: (1 + rows * columns) * 3)
    table.resize(into: resized, source, columns: 3, on: compute)
    #expect(relativeDifference(resized.array, try store.floats(name)) < 1e-5)
    let gradient = Floats(zeros: source.count)
    table.resizeBackward(
      dTable: gradient, Floats(try store.floats(name + "/weights")), columns: 3, on: compute)
    #expect(relativeDifference(gradient.array, try store.floats(name + "/gradient")) < 1e-5)
  }
}
