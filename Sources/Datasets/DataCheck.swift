import Domain
import Foundation

/// What was found in the files that a run is to read.
public struct DataReport: Hashable, Sendable {
  public var instructionRecords = 0
  public var questions = 0
  public var captions = 0
  public var conversations = 0
  public var evaluationItems = 0
  /// Different pictures that are there and look like pictures.
  public var pictures = 0
  /// The first problems, in the order of the files.
  public var problems: [DataProblem] = []
  /// All problems, those beyond the first included.
  public var problemCount = 0
  /// Of these, such that a run cannot begin with.
  public var fatalCount = 0

  mutating func add(_ problem: DataProblem, keepingFirst most: Int) {
    problemCount += 1
    if problem.isFatal { fatalCount += 1 }
    if problems.count < most { problems.append(problem) }
  }
}

/// Which files to check.
public struct DataInputs: Hashable, Sendable {
  public struct Evaluation: Hashable, Sendable {
    public var form: EvaluationForm
    public var path: String
    public init(_ form: EvaluationForm, path: String) {
      self.form = form
      self.path = path
    }
  }
  public var instructions: String?
  public var captions: String?
  public var conversations: String?
  /// The folder of the pictures that they name.
  public var images: String
  public var evaluations: [Evaluation]

  public init(
    instructions: String?, captions: String?, conversations: String? = nil, images: String,
    evaluations: [Evaluation] = []
  ) {
    self.instructions = instructions
    self.captions = captions
    self.conversations = conversations
    self.images = images
    self.evaluations = evaluations
  }
}

/// Reads every input once and says all that is wrong: records that cannot be read, questions and
/// captions that are empty or stand there twice, pictures that are missing or are none.
///
/// - Parameters:
///   - problemsMax: so many problems are kept; the others are counted.
public func checkData(_ inputs: DataInputs, problemsMax: Int = 1000) -> DataReport {
  var check = Check(problemsMax: problemsMax)
  if let file = inputs.instructions {
    check.begin(file, images: inputs.images)
    for next in InstructionFile(file) {
      guard let record = check.take(next) else { continue }
      check.report.instructionRecords += 1
      check.report.questions += record.questions.count
      let place = (record.number, record.line)
      check.picture(record.image, place)
      for question in record.questions { check.pair(record.image, question, place) }
    }
  }
  if let file = inputs.captions {
    check.begin(file, images: inputs.images)
    for next in CaptionFile(file) {
      guard let record = check.take(next) else { continue }
      check.report.captions += 1
      check.picture(record.image, (record.number, record.line))
      check.pair(record.image, record.caption, (record.number, record.line))
    }
  }
  if let file = inputs.conversations {
    check.begin(file, images: inputs.images)
    for next in ConversationFile(file) {
      guard let record = check.take(next) else { continue }
      check.report.conversations += 1
      let place = (record.number, record.line)
      check.picture(record.image, place)
      check.pair(record.image, record.turns[0].question + "\n" + record.turns[0].answer, place)
    }
  }
  for evaluation in inputs.evaluations {
    do throws(DataProblem) {
      let set = try readEvaluation(evaluation.form, at: evaluation.path)
      check.begin(evaluation.path, images: set.imageFolder)
      check.report.evaluationItems += set.items.count
      for (index, item) in set.items.enumerated() { check.picture(item.image, (index + 1, nil)) }
    } catch {
      check.report.add(error, keepingFirst: problemsMax)
    }
  }
  return check.report
}

/// The check of one file after another; pictures that several files name are looked at once.
private struct Check {
  var report = DataReport()
  private let problemsMax: Int
  private var file = ""
  private var images = ""
  /// What is known about a picture's file: nil when it is good.
  private var pictures: [String: DataProblem.Kind?] = [:]
  /// Hash of picture and text, and the record that had them first.
  private var pairs: [UInt64: Int] = [:]

  init(problemsMax: Int) { self.problemsMax = problemsMax }

  mutating func begin(_ file: String, images: String) {
    self.file = file
    self.images = images
    pairs = [:]
  }

  mutating func take<Record>(_ next: Result<Record, DataProblem>) -> Record? {
    switch next {
    case .success(let record): return record
    case .failure(let problem):
      report.add(problem, keepingFirst: problemsMax)
      return nil
    }
  }

  mutating func picture(_ name: String?, _ place: (record: Int, line: Int?)) {
    guard let name else { return }
    let key = images + "/" + name
    let kind: DataProblem.Kind?
    if let known = pictures[key] {
      kind = known
    } else {
      kind = ImageFolder(images).problem(with: name)
      pictures[key] = .some(kind)
      if kind == nil { report.pictures += 1 }
    }
    if let kind { add(kind, place) }
  }

  mutating func pair(_ image: String?, _ text: String, _ place: (record: Int, line: Int?)) {
    // A million collide with a chance of about 3 in 100 million.
    let hash = fnv1a(((image ?? "") + "\u{0}" + text).utf8)
    if let first = pairs[hash] {
      add(.duplicate(of: first), place)
    } else {
      pairs[hash] = place.record
    }
  }

  private mutating func add(_ kind: DataProblem.Kind, _ place: (record: Int, line: Int?)) {
    report.add(
      DataProblem(file: file, record: place.record, line: place.line, kind),
      keepingFirst: problemsMax)
  }
}
