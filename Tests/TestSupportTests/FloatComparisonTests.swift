import TestSupport
import Testing

@Suite("The difference of two rows of numbers")
struct FloatComparisonTests {
  @Test("is the largest one, as a share of the largest expected magnitude")
  func share() {
    #expect(relativeDifference([1, -4], [1, -4]) == 0)
    #expect(relativeDifference([1.5, -4], [1, -4]) == 0.125)
    #expect(relativeDifference([0, 0.5], [0, 0]) == .infinity)
    #expect(relativeDifference([0, 0.5], [0, 0], least: 1) == 0.5)
    #expect(relativeDifference([], []) == 0)
  }

  @Test("is infinite where one is not finite and the other is something else")
  func notFinite() {
    let (nan, infinity) = (Float.nan, Float.infinity)
    for (found, expected) in [
      (nan, 1), (1, nan), (nan, infinity), (infinity, nan), (infinity, -infinity), (infinity, 1),
      (1, infinity),
    ] {
      #expect(relativeDifference([found], [expected]) == infinity, "\(found), \(expected)")
      // Nor does anything before or after it hide it.
      #expect(relativeDifference([0, found, 3], [0, expected, 3]) == infinity)
      #expect(relativeDifference([3, 5, found], [3, 4, expected]) == infinity)
    }
    #expect(relativeDifference([nan, nan], [1, 2]) == infinity)
    for same in [nan, infinity, -infinity] {
      #expect(relativeDifference([same, 3], [same, 4]) == 0.25)
    }
  }

  @Test("is infinite where the counts differ")
  func counts() {
    #expect(relativeDifference([1], [1, 1]) == .infinity)
    #expect(relativeDifference([], [1]) == .infinity)
  }
}
