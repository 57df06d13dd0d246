internal import CKernels

/// The place of the largest number of each row: of equals the first, 0 when none is a number.
///
/// - Parameters:
///   - places: one for each row, overwritten.
///   - x: (rows, columns).
public func argmaxRows(into places: inout [Int32], _ x: Floats, columns: Int, on compute: Compute) {
  precondition(x.count == places.count * columns, "(\(places.count), \(columns)) expected")
  unsafe places.withUnsafeMutableBufferPointer { places in
    var work = unsafe ck_argmax()
    unsafe work.rows = places.count
    unsafe work.columns = columns
    unsafe work.x = UnsafePointer(x.base)
    unsafe work.places = places.baseAddress
    unsafe ck_argmax_run(compute.pool, &work)
  }
}

/// The naive twin of `argmaxRows`, for one row.
public func argmaxReference(_ x: Floats) -> Int32 {
  var best: Int?
  for place in 0..<x.count where !x[place].isNaN {
    if best.map({ x[place] > x[$0] }) ?? true { best = place }
  }
  return Int32(best ?? 0)
}
