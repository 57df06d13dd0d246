import Testing

@testable import Formats

@Suite("A JSON document")
struct JSONTests {
  func parse(_ text: String) throws -> JSONValue { try parseJSON(Array(text.utf8), file: "t.json") }

  @Test("is read with its numbers, escapes and order of members")
  func values() throws {
    #expect(
      try parse(#" {"b": [1, -2.5e3, 0, -0.0], "a": {"x": null, "y": true, "z": false}} "#)
        == .members([
          ("b", .array([.integer(1), .number(-2500), .integer(0), .number(-0.0)])),
          ("a", .members([("x", .null), ("y", .bool(true)), ("z", .bool(false))])),
        ]))
    #expect(
      try parse(#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀""#)
        == .string("\"\\/\u{8}\u{c}\n\r\té😀é😀"))
    #expect(try parse("9223372036854775807") == .integer(.max))
    #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
  }

  @Test(
    "that breaks the grammar is refused",
    arguments: [
      "", " ", "{", "}", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "tru", "nul",
      "01", "+1", "1.", ".5", "1e", "--1", "1e999", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
      "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "1 2", "{\"a\":1}x", "[1 2]", "NaN", "'a'",
    ])
  func malformed(_ text: String) {
    let error = formatError { _ = try parse(text) }
    #expect(error?.file == "t.json")
    #expect(error?.subject.hasPrefix("JSON at line 1") == true)
  }

  @Test("that is not UTF-8 is refused")
  func invalidText() {
    #expect(throws: FormatError.self) { try parseJSON([0x22, 0xFF, 0x22], file: "t.json") }
    #expect(throws: FormatError.self) { try parseJSON([0x22, 0xC3, 0x22], file: "t.json") }
  }

  @Test("nested beyond the limit is refused, and not by running out of stack")
  func depth() throws {
    let text = { (levels: Int) in
      String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    }
    _ = try parse(text(64))
    #expect(throws: FormatError.self) { try parse(text(65)) }
    #expect(throws: FormatError.self) { try parse(text(100_000)) }
  }

  @Test("keeps members apart whose names are canonically equivalent")
  func canonicalEquivalence() throws {
    let object = try parse("{\"\u{e9}\": 1, \"e\u{301}\": 2}")
    #expect(object["\u{e9}"] == .integer(1))
    #expect(object["e\u{301}"] == .integer(2))
  }

  @Test("that is written reads back the same, indented or not")
  func roundTrip() throws {
    let value = JSONValue.members([
      ("text", .string("\u{1}\"\\\n\r\t é😀\u{7f}")), ("empty", .array([])), ("none", .members([])),
      ("numbers", .array([.integer(-7), .number(1e-05), .number(0.1), .null, .bool(false)])),
    ])
    #expect(try parseJSON(value.encoded(indented: true), file: "t") == value)
    #expect(try parseJSON(value.encoded(indented: false), file: "t") == value)
  }
}
