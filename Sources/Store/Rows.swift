import Domain
import Foundation
import GRDB

/// Text for a column. SQLite's text ends at U+0000, so a text that holds one goes in as bytes.
func column(_ text: String) -> DatabaseValue {
  text.utf8.contains(0) ? Data(text.utf8).databaseValue : text.databaseValue
}

func column(_ text: String?) -> DatabaseValue { text.map { column($0) } ?? .null }

func column(_ word: UInt64) -> Int64 { Int64(bitPattern: word) }

/// A row that is read by position; a value that cannot be is damage, not a crash.
struct Fields {
  let row: Row

  func text(_ index: Int) throws(StoreError) -> String {
    guard let text = try optionalText(index) else { throw damaged(index) }
    return text
  }

  func optionalText(_ index: Int) throws(StoreError) -> String? {
    guard let data = row[index] as Data? else { return nil }
    guard let text = String(validating: data, as: UTF8.self) else { throw damaged(index) }
    return text
  }

  func integer(_ index: Int) throws(StoreError) -> Int {
    guard let value = row[index] as Int? else { throw damaged(index) }
    return value
  }

  func long(_ index: Int) throws(StoreError) -> Int64 {
    guard let value = row[index] as Int64? else { throw damaged(index) }
    return value
  }

  func word(_ index: Int) throws(StoreError) -> UInt64 { UInt64(bitPattern: try long(index)) }

  func real(_ index: Int) throws(StoreError) -> Double {
    guard let value = row[index] as Double? else { throw damaged(index) }
    return value
  }

  func digest(_ index: Int) throws(StoreError) -> Digest {
    guard let digest = try optionalDigest(index) else { throw damaged(index) }
    return digest
  }

  func optionalDigest(_ index: Int) throws(StoreError) -> Digest? {
    guard let data = row[index] as Data? else { return nil }
    guard let digest = Digest(bytes: data) else { throw damaged(index) }
    return digest
  }

  /// `stop, prompt_tokens, text, tokens`, from `first` on.
  func result(from first: Int) throws(StoreError) -> GenerationResult {
    guard let stop = StopReason(code: try integer(first)),
      let tokens = row[first + 3] as Data?
    else { throw damaged(first) }
    return GenerationResult(
      text: try text(first + 2), tokens: [Int32](littleEndian: tokens), stop: stop,
      promptTokens: try integer(first + 1))
  }

  func damaged(_ index: Int) -> StoreError {
    let columns = Array(row.columnNames)
    let name = columns.indices.contains(index) ? columns[index] : "\(index)"
    return .corrupt(path: "run.sqlite", reason: "column \(name) holds what it cannot hold")
  }
}

/// All rows of a query, each read by `read`.
func rows<Value>(
  _ db: Database, _ sql: String, _ arguments: StatementArguments = [],
  _ read: (Fields) throws -> Value
) throws -> [Value] {
  var values: [Value] = []
  let cursor = try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: arguments)
  while let row = try cursor.next() { values.append(try read(Fields(row: row))) }
  return values
}

/// One number, 0 where there is none.
func count(
  _ db: Database, _ sql: String, _ arguments: StatementArguments = []
) throws -> Int {
  try Int.fetchOne(db.cachedStatement(sql: sql), arguments: arguments) ?? 0
}
