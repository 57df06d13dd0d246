/// A file that is not what it should be: which file, which part, what is wrong, what to do.
public struct FormatError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Problem: Hashable, Sendable {
    /// The operating system would not give or take the bytes; its own words.
    case unreadable(String)
    /// The file ends before what its own header announces.
    case truncated(needsBytes: UInt64, hasBytes: UInt64)
    /// The part is not there.
    case missing
    /// The part is there and breaks the rules of its format.
    case malformed(found: String)
    /// The part is well-formed and this program cannot do what it asks for.
    case unsupported(found: String)
    /// The part is larger than this program is willing to read.
    case overLimit(found: UInt64, limit: UInt64)
    /// The tensor has another shape than the model's configuration says.
    case wrongShape(found: [Int])
  }

  /// Path of the file, or the name under which bytes were handed in.
  public var file: String
  /// The tensor, key or part concerned, like `tensor model.norm.weight` or `key hidden_size`.
  public var subject: String
  public var problem: Problem
  public var expected: String
  public var remedy: String

  public init(
    file: String, subject: String, problem: Problem, expected: String, remedy: String
  ) {
    self.file = file
    self.subject = subject
    self.problem = problem
    self.expected = expected
    self.remedy = remedy
  }

  public var description: String {
    "\(file): \(subject) \(problem); expected \(expected); \(remedy)"
  }
}

extension FormatError.Problem: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreadable(let reason): "cannot be read or written: \(reason)"
    case .truncated(let needs, let has): "is truncated: needs \(needs) bytes, \(has) are there"
    case .missing: "is missing"
    case .malformed(let found): "is malformed: found \(found)"
    case .unsupported(let found): "is not supported: found \(found)"
    case .overLimit(let found, let limit): "is over the limit: found \(found), limit \(limit)"
    case .wrongShape(let found): "has the wrong shape: found \(found)"
    }
  }
}
