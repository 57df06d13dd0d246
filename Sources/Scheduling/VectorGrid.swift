/// How a parameter vector is cut: into segments, which have owners, and those into cells, which
/// are summed and sent one by one.
public struct VectorGrid: Hashable, Sendable {
  /// Elements of the vector.
  public let count: Int
  /// The elements of each cell; none is empty.
  public let cells: [Range<Int>]
  /// The segment of each cell.
  public let segmentOfCell: [Int]
  /// The cells of each segment; none where there are more segments than elements.
  public let cellsOfSegment: [Range<Int>]

  /// - Parameter cellMax: elements of a cell at most.
  public init(count: Int, segments: Int, cellMax: Int) {
    precondition(count >= 0 && segments > 0 && cellMax > 0, "a vector, segments and cells expected")
    self.count = count
    var cells: [Range<Int>] = []
    var segmentOfCell: [Int] = []
    var cellsOfSegment: [Range<Int>] = []
    for segment in 0..<segments {
      let range = segmentRange(segment, of: count, segments: segments)
      let parts = (range.count + cellMax - 1) / cellMax
      let first = cells.count
      for part in 0..<parts {
        let cell = segmentRange(part, of: range.count, segments: parts)
        cells.append(range.lowerBound + cell.lowerBound..<range.lowerBound + cell.upperBound)
        segmentOfCell.append(segment)
      }
      cellsOfSegment.append(first..<cells.count)
    }
    self.cells = cells
    self.segmentOfCell = segmentOfCell
    self.cellsOfSegment = cellsOfSegment
  }

  /// The elements of a segment.
  public func range(ofSegment segment: Int) -> Range<Int> {
    segmentRange(segment, of: count, segments: cellsOfSegment.count)
  }
}
