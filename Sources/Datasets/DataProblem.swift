/// Something wrong in a file that a person brought: which file, which record, what, and what to do.
public struct DataProblem: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Error, Hashable, Sendable {
    /// The file cannot be opened or read; what the system said.
    case unreadable(String)
    /// Not JSON, or the file ends within a record.
    case notJSON(String)
    /// A record larger than this many bytes; a bracket or quotation mark is missing, most likely.
    case recordTooLarge(Int)
    /// A field that must be there is not, or is empty.
    case missing(String)
    /// A field is of another type or value than expected: its name, what is expected.
    case unexpected(String, String)
    /// The file has no record at all.
    case noRecords
    case emptyQuestion(turn: Int)
    case emptyAnswer(turn: Int)
    case emptyCaption
    /// The text shows a picture that the record does not name.
    case placeholderWithoutImage
    /// Picture and text are those of this earlier record.
    case duplicate(of: Int)
    /// The picture's file is not in the folder of pictures.
    case imageMissing(String)
    /// A picture's name that leads out of its folder.
    case imageOutside(String)
    /// The file is neither JPEG nor PNG.
    case imageFormat(String)
    /// A line of comma-separated values has this many fields, the header that many.
    case columns(Int, expected: Int)
    case unclosedQuote
  }

  public var file: String
  /// From 1, in the order of the file; nil where the file as a whole is meant.
  public var record: Int?
  /// From 1: where the record begins; nil where it is not known.
  public var line: Int?
  public var kind: Kind

  public init(file: String, record: Int? = nil, line: Int? = nil, _ kind: Kind) {
    self.file = file
    self.record = record
    self.line = line
    self.kind = kind
  }

  /// A run cannot begin with it; the others are for a person to judge.
  public var isFatal: Bool {
    if case .duplicate = kind { false } else { true }
  }

  public var description: String {
    let place = [record.map { "record \($0)" }, line.map { "line \($0)" }]
      .compactMap(\.self).joined(separator: ", ")
    return (place.isEmpty ? file : "\(file), \(place)") + ": " + kind.description
  }
}

extension DataProblem.Kind: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreadable(let reason): "cannot be read: \(reason)"
    case .notJSON(let reason): "is not valid JSON: \(reason)"
    case .recordTooLarge(let bytes):
      "is larger than \(bytes) bytes: look for a missing bracket or quotation mark"
    case .missing(let field): "lacks \(field), or it is empty: add it"
    case .unexpected(let field, let expected): "has an unexpected \(field): \(expected) expected"
    case .noRecords: "holds no records: is it the right file?"
    case .emptyQuestion(let turn): "asks nothing in turn \(turn): remove the turn or fill it in"
    case .emptyAnswer(let turn): "answers nothing in turn \(turn): remove the turn or fill it in"
    case .emptyCaption: "has an empty caption: remove the record"
    case .placeholderWithoutImage:
      "has <image> in its text but names no picture: add `image` or remove the placeholder"
    case .duplicate(let record): "repeats picture and text of record \(record): remove one"
    case .imageMissing(let name): "names the picture \(name), which is not there: add the file"
    case .imageOutside(let name):
      "names the picture \(name), which leads out of the folder of pictures"
    case .imageFormat(let name): "names the picture \(name), which is neither JPEG nor PNG"
    case .columns(let count, let expected):
      "has \(count) fields where the header has \(expected): quote fields that hold commas"
    case .unclosedQuote: "opens a quotation mark that is never closed"
    }
  }
}
