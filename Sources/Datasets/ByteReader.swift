import Foundation

/// A file's bytes one after another, read a mebibyte at a time.
struct ByteReader {
  let file: String
  /// From 1.
  private(set) var line = 1
  private var handle: FileHandle?
  private var chunk: [UInt8] = []
  private var position = 0
  private var failure: DataProblem?

  init(_ file: String) {
    self.file = file
    do {
      handle = try FileHandle(forReadingFrom: URL(filePath: file))
    } catch {
      failure = DataProblem(file: file, .unreadable(reason(error)))
    }
  }

  /// The next byte without taking it; nil at the end.
  mutating func peek() throws(DataProblem) -> UInt8? {
    if position == chunk.count { try refill() }
    return position < chunk.count ? chunk[position] : nil
  }

  /// Takes the next byte; nil at the end.
  mutating func next() throws(DataProblem) -> UInt8? {
    guard let byte = try peek() else { return nil }
    position += 1
    if byte == UInt8(ascii: "\n") { line += 1 }
    return byte
  }

  private mutating func refill() throws(DataProblem) {
    if let failure { throw failure }
    do {
      chunk = [UInt8](try handle?.read(upToCount: 1 << 20) ?? Data())
      position = 0
    } catch {
      failure = DataProblem(file: file, .unreadable(reason(error)))
      throw DataProblem(file: file, .unreadable(reason(error)))
    }
  }
}

/// What the system says about a file, in short.
func reason(_ error: any Error) -> String {
  (error as NSError).localizedDescription
}
