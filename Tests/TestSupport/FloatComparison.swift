/// The largest difference, as a share of the largest expected magnitude, which is taken as `least`
/// or more.
///
/// What is not finite must be met by the same: an infinity by itself, not-a-number by not-a-number.
/// Where it is not, and where the counts differ, the difference is infinite.
public func relativeDifference(
  _ found: [Float], _ expected: [Float], least: Float = 0
) -> Float {
  guard found.count == expected.count else { return .infinity }
  var (worst, largest) = (0 as Float, least)
  for (found, expected) in zip(found, expected) {
    if found.isFinite && expected.isFinite {
      worst = max(worst, abs(found - expected))
      largest = max(largest, abs(expected))
    } else if found != expected && !(found.isNaN && expected.isNaN) {
      return .infinity
    }
  }
  return worst == 0 ? 0 : worst / largest
}

/// The bits, to compare what must be identical: zeros of different sign differ, equal NaNs do not.
public func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
