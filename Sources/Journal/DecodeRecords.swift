/// The records in the bytes of a frame, as the first of a segment.
///
/// - Throws: `JournalError`, `ProtocolError` for a message in them, or what the store throws.
public func decodeRecords(
  _ bytes: [UInt8], _ stored: StoredParts = .none
) throws -> [JournalRecord] {
  var reader = ByteReader(bytes)
  var decoder = RecordDecoder(stored)
  var records: [JournalRecord] = []
  while !reader.isAtEnd { records.append(try decoder.next(&reader)) }
  return records
}
