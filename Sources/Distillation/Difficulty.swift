public import Domain

/// `R^T` and `R^S`: the mean of each score over the two orders.
///
/// - Source: Li et al. 2024, section 3.3.2.
public func meanScores(teacherFirst: ScorePair, studentFirst: ScorePair) -> ScorePair {
  ScorePair(
    teacher: (teacherFirst.teacher + studentFirst.teacher) / 2,
    student: (teacherFirst.student + studentFirst.student) / 2)
}

/// How difficult an instruction is: `S = (|R^S − R^T| + 1) / max(R^S, R^T)` (eq. 6).
///
/// Two good answers make an instruction easy (9 and 9: 1/9), two bad ones make it difficult
/// (1 and 1: 1), and so does a wide gap. The paper's text says the opposite of its own formula in
/// one example: that the instruction with both scores 9 is "much more difficult" than the one with
/// both scores 1. The formula is followed here, and with it the paper's own use of it, that a
/// higher `S` is more difficult.
///
/// Scores have one decimal, their means are whole twentieths. The quotient is taken of twentieths
/// as whole numbers, so that an instruction exactly on the threshold is not lost to rounding.
///
/// - Parameter scores: means over both orders, each within 1…10, multiples of 1/20.
/// - Returns: from 0.1 (both 10) to 1.
/// - Source: Li et al. 2024, eq. 6.
public func difficulty(_ scores: ScorePair) -> Double {
  precondition(
    (1...10).contains(scores.teacher) && (1...10).contains(scores.student),
    "scores within 1…10 expected, \(scores.teacher) and \(scores.student) given")
  let teacher = (20 * scores.teacher).rounded()
  let student = (20 * scores.student).rounded()
  return (abs(student - teacher) + 20) / max(student, teacher)
}

/// Eq. 5's means, eq. 6 on them, and on which side of the threshold the instruction falls:
/// difficult iff `S ≥ τ`.
public func assess(
  teacherFirst: ScorePair, studentFirst: ScorePair, threshold: Double
) -> Assessment {
  let value = difficulty(meanScores(teacherFirst: teacherFirst, studentFirst: studentFirst))
  return .judged(
    teacherFirst: teacherFirst, studentFirst: studentFirst, difficulty: value,
    difficult: value >= threshold)
}

/// Whether a judge stayed with its opinion when the answers changed places: the same answer is
/// better in both orders, or neither is in both.
public func isOrderConsistent(teacherFirst: ScorePair, studentFirst: ScorePair) -> Bool {
  sign(teacherFirst.teacher - teacherFirst.student)
    == sign(studentFirst.teacher - studentFirst.student)
}

private func sign(_ difference: Double) -> Int {
  difference > 0 ? 1 : difference < 0 ? -1 : 0
}
