import Foundation

/// ScienceQA's test questions.
///
/// Two layouts are read:
/// - `test*.jsonl`: `{"id", "question", "answer", "image"}`, the question in LLaVA's form with its
///   context before it and its choices, `A. …`, below it, `answer` the letter. `meta` or a
///   `problems*.json` beside the file gives subject and grade; a record without them counts only
///   to the columns of its context.
/// - ScienceQA's own `problems.json`, the records of the split `test`, pictures in
///   `images/test/ID/image.png` or `test/ID/image.png`.
///
/// Columns are those of the paper's Table 1: NAT, SOC, LAN by subject; TXT with a context in
/// words, IMG with a picture, NO with neither; G1-6 and G7-12 by grade.
///
/// - Parameter path: the file, or the folder that holds it.
/// - Source: Lu et al. 2022, section 5.1.
public func readScienceQA(at path: String) throws(DataProblem) -> EvaluationSet {
  let root = isFolder(path) ? path : folder(of: path)
  let names = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).sorted()
  let problems = names.first { $0.hasPrefix("problems") && $0.hasSuffix(".json") }
    .map { root + "/" + $0 }
  let lines =
    isFolder(path)
    ? names.first { $0.hasPrefix("test") && $0.hasSuffix(".jsonl") }.map { root + "/" + $0 }
    : path.hasSuffix(".jsonl") ? path : nil
  if let lines {
    let known = try problems.map { file throws(DataProblem) in
      try readJSON(file, as: [String: ScienceProblem].self)
    }
    return EvaluationSet(imageFolder: root, items: try readLines(lines, known: known ?? [:]))
  }
  guard let file = isFolder(path) ? problems : path else {
    throw DataProblem(
      file: path, .unreadable("neither test*.jsonl nor problems*.json is in this folder"))
  }
  return EvaluationSet(imageFolder: root, items: try readProblems(file, root: root))
}

/// A question as ScienceQA's `problems.json` has it.
private struct ScienceProblem: Decodable {
  var question: String
  var choices: [String]
  var answer: Int
  var hint: String
  var image: String?
  var grade: String
  var subject: String
  var split: String
}

private struct ScienceLine: Decodable {
  struct Meta: Decodable {
    var subject: String?
    var grade: String?
  }
  var id: RecordName
  var question: String
  var answer: String
  var image: String?
  var meta: Meta?
}

private func readLines(
  _ file: String, known: [String: ScienceProblem]
) throws(DataProblem) -> [EvaluationItem] {
  try readItems(file, of: ScienceLine.self) { record, _ throws(DataProblem.Kind) in
    let question = withoutPlaceholder(record.question)
    let choices = choicesBelow(question)
    let letter = record.answer.uppercased()
    guard let place = letters.firstIndex(of: letter), place < max(choices.count, 1) else {
      throw .unexpected("answer \"\(record.answer)\"", "the letter of a choice")
    }
    let other = known[record.id.text]
    let context = question.hasPrefix("Context:") && !question.hasPrefix("Context: N/A\n")
    return EvaluationItem(
      name: record.id.text, image: record.image, question: question,
      expected: .choice(letter: letter, choices: choices),
      categories: columns(
        subject: record.meta?.subject ?? other?.subject, context: context,
        image: record.image != nil, grade: record.meta?.grade ?? other?.grade))
  }
}

private func readProblems(_ file: String, root: String) throws(DataProblem) -> [EvaluationItem] {
  let problems = try readJSON(file, as: [String: ScienceProblem].self)
  let tested = problems.filter { $0.value.split == "test" }
    .sorted { (Int($0.key) ?? 0, $0.key) < (Int($1.key) ?? 0, $1.key) }
  guard !tested.isEmpty else { throw DataProblem(file: file, .noRecords) }
  let images = isFolder(root + "/images/test") ? "images/test" : "test"
  var items: [EvaluationItem] = []
  for (name, problem) in tested {
    guard problem.choices.indices.contains(problem.answer) else {
      throw DataProblem(
        file: file, .unexpected("\(name).answer \(problem.answer)", "the place of a choice"))
    }
    let context = trimmed(problem.hint)
    let asked = withChoices(problem.question, problem.choices)
    items.append(
      EvaluationItem(
        name: name, image: problem.image.map { "\(images)/\(name)/\($0)" },
        question: context.isEmpty ? asked : "Context: \(context)\n\(asked)",
        expected: .choice(letter: letters[problem.answer], choices: problem.choices),
        categories: columns(
          subject: problem.subject, context: !context.isEmpty, image: problem.image != nil,
          grade: problem.grade)))
  }
  return items
}

/// The choices in the lines `A. …`, `B. …` at a question's end; a choice may go over several lines.
private func choicesBelow(_ question: String) -> [String] {
  let lines = question.split(separator: "\n", omittingEmptySubsequences: false)
  guard let start = lines.lastIndex(where: { $0.hasPrefix("A. ") }) else { return [] }
  var choices: [String] = []
  for line in lines[start...] {
    if choices.count < letters.count, line.hasPrefix(letters[choices.count] + ". ") {
      choices.append(String(line.dropFirst(3)))
    } else {
      choices[choices.count - 1] += "\n" + line
    }
  }
  return choices
}

private func columns(subject: String?, context: Bool, image: Bool, grade: String?) -> [String] {
  var columns: [String] = []
  switch subject {
  case "natural science": columns.append("NAT")
  case "social science": columns.append("SOC")
  case "language science": columns.append("LAN")
  default: break
  }
  if context { columns.append("TXT") }
  if image { columns.append("IMG") }
  if !context && !image { columns.append("NO") }
  if let grade, let year = Int(grade.drop { !$0.isNumber }) {
    columns.append(year <= 6 ? "G1-6" : "G7-12")
  }
  return columns
}

/// Writes ScienceQA's questions that have a picture as an instruction pool in LLaVA's JSON form.
///
/// Answers are not written. The task type says that the questions have choices, so that an
/// augmentor writes such questions again.
///
/// - Parameters:
///   - path: as for `readScienceQA`.
///   - limit: the first so many; nil takes all.
/// - Returns: how many were written.
public func convertScienceQA(
  at path: String, to output: String, limit: Int? = nil
) throws(DataProblem) -> Int {
  struct Message: Encodable {
    var from = "human"
    var value: String
  }
  struct Record: Encodable {
    var id: String
    var image: String
    var type = "science question with choices"
    var conversations: [Message]
  }
  let records = try readScienceQA(at: path).items.compactMap { item in
    item.image.map { image in
      Record(
        id: item.name, image: image,
        conversations: [Message(value: "<image>\n" + item.question)])
    }
  }.prefix(limit ?? .max)
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  do {
    try encoder.encode(Array(records)).write(to: URL(filePath: output), options: .atomic)
  } catch {
    throw DataProblem(file: output, .unreadable(reason(error)))
  }
  return records.count
}
