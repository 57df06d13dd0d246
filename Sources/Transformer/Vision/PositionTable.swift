import Foundation
import Kernels

/// The position table of a vision tower at another grid than it was made for.
///
/// Patch positions are resized bicubically (`a = −0.75`, borders repeated, no antialiasing) as
/// `torch.nn.functional.interpolate(mode: "bicubic", align_corners: False)` does; the class token's
/// position stays. At the table's own grid the table itself is used; towers without a class token
/// have no other.
/// - Source: Keys 1981, eq. 4; `interpolate_pos_encoding` of transformers.
struct PositionTable {
  /// Grid of the table: `side` × `side`.
  let side: Int
  let gridRows: Int
  let gridColumns: Int

  var isIdentity: Bool { gridRows == side && gridColumns == side }

  /// - Parameters:
  ///   - positions: (1 + gridRows · gridColumns, columns), overwritten.
  ///   - table: (1 + side², columns).
  func resize(into positions: Floats, _ table: Floats, columns: Int, on compute: Compute) {
    guard !isIdentity else { return positions.copy(from: table) }
    positions.fill(0)
    positions[0..<columns].copy(from: table[0..<columns])
    forEachTap { cell, source, weight in
      addScaled(
        into: positions[cell * columns..<(cell + 1) * columns],
        table[source * columns..<(source + 1) * columns], by: weight, on: compute)
    }
  }

  /// The derivative of `resize`.
  ///
  /// - Parameters:
  ///   - dTable: (1 + side², columns), added to.
  ///   - dPositions: (1 + gridRows · gridColumns, columns).
  func resizeBackward(dTable: Floats, _ dPositions: Floats, columns: Int, on compute: Compute) {
    guard !isIdentity else { return add(into: dTable, dPositions, on: compute) }
    add(into: dTable[0..<columns], dPositions[0..<columns], on: compute)
    forEachTap { cell, source, weight in
      addScaled(
        into: dTable[source * columns..<(source + 1) * columns],
        dPositions[cell * columns..<(cell + 1) * columns], by: weight, on: compute)
    }
  }

  /// Calls `body` for the 16 neighbours of each patch: row of the resized table, row of the table
  /// it was made for, and its weight. Rows count the class token.
  private func forEachTap(_ body: (_ cell: Int, _ source: Int, _ weight: Float) -> Void) {
    let down = (0..<gridRows).map { taps(of: $0, outputs: gridRows) }
    let across = (0..<gridColumns).map { taps(of: $0, outputs: gridColumns) }
    for row in 0..<gridRows {
      for column in 0..<gridColumns {
        let cell = 1 + row * gridColumns + column
        for y in down[row] {
          for x in across[column] {
            body(cell, 1 + y.source * side + x.source, y.weight * x.weight)
          }
        }
      }
    }
  }

  private func taps(of output: Int, outputs: Int) -> [(source: Int, weight: Float)] {
    let scale = Float(side) / Float(outputs)
    let place = scale * (Float(output) + 0.5) - 0.5
    let first = place.rounded(.down)
    let t = place - first
    let weights = [outer(t + 1), inner(t), inner(1 - t), outer(2 - t)]
    return weights.enumerated().map { offset, weight in
      (min(max(Int(first) - 1 + offset, 0), side - 1), weight)
    }
  }

  /// The cubic within a distance of 1.
  private func inner(_ t: Float) -> Float { ((a + 2) * t - (a + 3)) * t * t + 1 }
  /// The cubic at a distance from 1 to 2.
  private func outer(_ t: Float) -> Float { ((a * t - 5 * a) * t + 8 * a) * t - 4 * a }
  private var a: Float { -0.75 }
}
