import Domain
import Foundation
import GRDB
import GRDBSQLite

/// Text for a column. SQLite's text ends at U+0000, so a text that holds one goes in as bytes.
func column(_ text: String) -> DatabaseValue {
  text.utf8.contains(0) ? Data(text.utf8).databaseValue : text.databaseValue
}

func column(_ text: String?) -> DatabaseValue { text.map { column($0) } ?? .null }

func column(_ word: UInt64) -> Int64 { Int64(bitPattern: word) }

/// A row that is read by position; a value that cannot be is damage, not a crash.
///
/// Values come straight out of SQLite: a run of a million jobs has ten million of them to be read
/// before it goes on, and each detour by way of `Data` would count.
@safe
struct Fields {
  let row: Row
  /// The statement that stands on this row.
  let statement: SQLiteStatement

  func text(_ index: Int) throws(StoreError) -> String {
    guard let text = try optionalText(index) else { throw damaged(index) }
    return text
  }

  func optionalText(_ index: Int) throws(StoreError) -> String? {
    guard let bytes = unsafe bytes(index) else { return nil }
    guard let text = unsafe String(validating: bytes, as: UTF8.self) else { throw damaged(index) }
    return text
  }

  func isNull(_ index: Int) -> Bool {
    unsafe sqlite3_column_type(statement, CInt(index)) == SQLITE_NULL
  }

  func integer(_ index: Int) throws(StoreError) -> Int { Int(try long(index)) }

  func long(_ index: Int) throws(StoreError) -> Int64 {
    guard unsafe sqlite3_column_type(statement, CInt(index)) == SQLITE_INTEGER else {
      throw damaged(index)
    }
    return unsafe sqlite3_column_int64(statement, CInt(index))
  }

  func word(_ index: Int) throws(StoreError) -> UInt64 { UInt64(bitPattern: try long(index)) }

  func real(_ index: Int) throws(StoreError) -> Double {
    switch unsafe sqlite3_column_type(statement, CInt(index)) {
    case SQLITE_FLOAT, SQLITE_INTEGER: return unsafe sqlite3_column_double(statement, CInt(index))
    default: throw damaged(index)
    }
  }

  func digest(_ index: Int) throws(StoreError) -> Digest {
    guard let digest = try optionalDigest(index) else { throw damaged(index) }
    return digest
  }

  func optionalDigest(_ index: Int) throws(StoreError) -> Digest? {
    guard let bytes = unsafe bytes(index) else { return nil }
    guard let digest = unsafe Digest(bytes: bytes) else { throw damaged(index) }
    return digest
  }

  /// The bytes of a text or a blob, until the statement goes on; nil where there is none.
  private func bytes(_ index: Int) -> UnsafeBufferPointer<UInt8>? {
    guard unsafe sqlite3_column_type(statement, CInt(index)) != SQLITE_NULL else { return nil }
    // In this order: the first call may convert the value, the second tells its size.
    let start = unsafe sqlite3_column_blob(statement, CInt(index))
    let count = Int(unsafe sqlite3_column_bytes(statement, CInt(index)))
    return unsafe UnsafeBufferPointer(
      start: start?.assumingMemoryBound(to: UInt8.self), count: count)
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
  let statement = try db.cachedStatement(sql: sql)
  let cursor = try Row.fetchCursor(statement, arguments: arguments)
  while let row = try cursor.next() {
    values.append(try read(Fields(row: row, statement: unsafe statement.sqliteStatement)))
  }
  return values
}

/// One number, 0 where there is none.
func count(
  _ db: Database, _ sql: String, _ arguments: StatementArguments = []
) throws -> Int {
  try Int.fetchOne(db.cachedStatement(sql: sql), arguments: arguments) ?? 0
}
