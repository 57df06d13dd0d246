import Foundation
import TestSupport
import Testing

@testable import Formats

/// One text with what the `tokenizers` package makes of it.
private struct Golden: Decodable {
  var text: String
  var plain: [Int32]
  var control: [Int32]
  var decoded: String
  var decodedAll: String
}

private func goldenRows(_ name: String) throws -> [Golden] {
  try JSONDecoder().decode(
    [Golden].self, from: Data(fixtureBytes("tokenizers/\(name)-golden.json")))
}

private func tokenizer(_ name: String) throws -> Tokenizer {
  try Tokenizer(json: fixtureBytes("tokenizers/\(name).json"), name: name + ".json")
}

private func scalars(_ text: String) -> [Unicode.Scalar] { Array(text.unicodeScalars) }

/// Compares every golden text; texts are compared by their scalars.
private func check(_ tokenizer: Tokenizer, _ rows: [Golden]) {
  #expect(rows.count > 50)
  for row in rows {
    // A WordLevel of `tokenizers` finds control tokens in plain text; ours never does.
    let plain = row.plain.map { tokenizer.added.special.contains($0) ? 0 : $0 }
    #expect(tokenizer.encode(row.text) == plain, "\(row.text.debugDescription)")
    #expect(tokenizer.encodeWithControl(row.text) == row.control, "\(row.text.debugDescription)")
    #expect(
      scalars(tokenizer.decode(row.control)) == scalars(row.decoded),
      "\(row.text.debugDescription)")
    #expect(
      scalars(tokenizer.decode(row.control, keepingControl: true)) == scalars(row.decodedAll),
      "\(row.text.debugDescription)")
  }
}

@Suite("A tokenizer")
struct TokenizerTests {
  static let names = [
    "gpt2", "gpt2-prefix-space", "smollm", "qwen2", "llama3", "llama-legacy", "llama-metaspace",
    "llama-metaspace-split", "gemma", "gemma-split", "wordlevel-split", "wordlevel-whitespace",
  ]

  @Test("gives the ids and texts that the tokenizers package gives", arguments: names)
  func golden(_ name: String) throws {
    check(try tokenizer(name), try goldenRows(name))
  }

  @Test("that is saved and read again is the same, to the byte and to the id", arguments: names)
  func saved(_ name: String) throws {
    let first = try tokenizer(name)
    try withTemporaryFolder { folder in
      try first.save(folder: folder)
      let again = try Tokenizer(folder: folder)
      #expect(again.encoded() == first.encoded())
      check(again, try goldenRows(name))
    }
  }

  @Test("from a GGUF with SentencePiece's scores gives the ids of transformers' conversion")
  func sentencePiece() throws {
    let tokenizer = try GGUFFile(path: fixture("tokenizers/sentencepiece.gguf")).tokenizer()
    #expect(tokenizer.beginToken == 1 && tokenizer.endToken == 2)
    #expect(tokenizer.prefixTokens == [1])
    check(tokenizer, try goldenRows("sentencepiece"))
  }

  @Test(
    "of the real models gives the ids of the tokenizers package, also when saved and read again",
    .needs(.models),
    arguments: [
      ("real-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "<|im_end|>"),
      ("real-qwen2.5", "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf", "<|im_end|>"),
    ])
  func realModels(_ name: String, _ file: String, _ end: String) throws {
    let first = try GGUFFile(path: try Provision.models.path(file)).tokenizer()
    check(first, try goldenRows(name))
    #expect(first.endToken == first.controlToken(end))
    #expect(first.chatTemplate?.contains("<|im_start|>") == true)
    try withTemporaryFolder { folder in
      try first.save(folder: folder)
      let again = try Tokenizer(folder: folder)
      check(again, try goldenRows(name))
      #expect(again.chatTemplate == first.chatTemplate && again.endToken == first.endToken)
    }
  }

  @Test("never makes a control token of plain text", arguments: names)
  func plainText(_ name: String) throws {
    let tokenizer = try tokenizer(name)
    for control in tokenizer.added.tokens where control.isSpecial && control.content != "<unk>" {
      for text in [control.content, " \(control.content) ", "x\(control.content)y"] {
        #expect(!tokenizer.encode(text).contains(control.id), "\(text)")
        #expect(tokenizer.encodeWithControl(text).contains(control.id), "\(text)")
      }
    }
    #expect(tokenizer.controlToken("no such token") == nil)
  }

  @Test("marks the beginning of a text only where one begins")
  func continuation() throws {
    let first = try tokenizer("llama-metaspace")
    #expect(first.encode("the square") == first.encode(" the square", continuesText: true))
    #expect(first.encode("the square") != first.encode("the square", continuesText: true))
    let always = try tokenizer("llama-legacy")
    #expect(always.encode("the square") == always.encode("the square", continuesText: true))
  }

  @Test("knows the roles of tokens, written as text or as object")
  func roles() throws {
    let config = #"""
      {"bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>", "pad_token": null,
       "chat_template": [{"name": "other", "template": "o"}, {"name": "default", "template": "d"}]}
      """#
    let tokenizer = try Tokenizer(
      json: fixtureBytes("tokenizers/llama-legacy.json"), config: Array(config.utf8), name: "t")
    #expect(tokenizer.beginToken == 1 && tokenizer.endToken == 2 && tokenizer.padToken == nil)
    #expect(tokenizer.chatTemplate == "d")
    #expect(tokenizer.vocabularyCount == tokenizer.vocabulary.ids.count)
  }

  @Test("encodes a word of many thousand letters in time")
  func longWord() throws {
    let tokenizer = try tokenizer("gpt2")
    let text = String(repeating: "thequickbrown", count: 20_000)
    #expect(tokenizer.decode(tokenizer.encode(text)) == text)
  }

  @Test("cut off anywhere is refused", arguments: ["wordlevel-split", "smollm"])
  func truncated(_ name: String) throws {
    let whole = try fixtureBytes("tokenizers/\(name).json")
    for count in stride(from: 0, to: whole.count - 1, by: name == "smollm" ? 23 : 1) {
      #expect(throws: FormatError.self, "cut to \(count)") {
        try Tokenizer(json: Array(whole[..<count]), name: "t")
      }
    }
  }

  @Test(
    "that asks for what is not supported names the key",
    arguments: [
      (#"{}"#, "key model"),
      (#"{"model": {"type": "Unigram", "vocab": {}}}"#, "key model.type"),
      (#"{"model": {"type": "BPE", "vocab": [], "merges": []}}"#, "key model.vocab"),
      (#"{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}"#, "key model.vocab.a"),
      (#"{"model": {"type": "BPE", "vocab": {"a": 9999999}, "merges": []}}"#, "key model.vocab.a"),
      (
        #"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}}"#, "key model.vocab.b"
      ),
      (#"{"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}}}"#, "key model.vocab.a"),
      (
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [{"id": 0, "content": "b"}]}"#,
        "key added_tokens[0].id"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [{"id": 1, "content": "a"}]}"#,
        "key added_tokens[0].id"
      ),
      (#"{"model": {"type": "BPE", "vocab": {"a": 0}}}"#, "key model.merges"),
      (#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}"#, "key model.merges[0]"),
      (#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}"#, "key model.merges[0]"),
      (
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}}"#,
        "key model.dropout"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "u"}}"#,
        "key model.unk_token"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {}, "merges": [], "end_of_word_suffix": "</w>"}}"#,
        "key model.end_of_word_suffix"
      ),
      (#"{"model": {"type": "WordLevel", "vocab": {"a": 0}}}"#, "key model.unk_token"),
      (
        #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "normalizer": {"type": "NFKD"}}"#,
        "key normalizer.type"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]}}"#,
        "key pre_tokenizer.pretokenizers[1].type"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated"}}"#,
        "key pre_tokenizer.pattern"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "decoder": {"type": "CTC"}}"#,
        "key decoder.type"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]}}"#,
        "key post_processor.single"
      ),
      (
        #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": [{"content": "x"}]}"#,
        "key added_tokens[0].id"
      ),
    ])
  func refused(_ text: String, _ subject: String) {
    let error = formatError { _ = try Tokenizer(json: Array(text.utf8), name: "t.json") }
    #expect(error?.subject == subject)
    #expect(error?.file == "t.json")
  }
}

@Suite("The classes of characters")
struct UnicodeClassTests {
  private struct Classes: Decodable {
    var letter: [[UInt32]]
    var number: [[UInt32]]
    var space: [[UInt32]]
    var word: [[UInt32]]
    var contractions: [String]
  }

  @Test("are those of the tokenizers package for every character")
  func everyScalar() throws {
    let classes = try JSONDecoder().decode(
      Classes.self, from: Data(fixtureBytes("tokenizers/unicode-classes.json")))
    func members(_ ranges: [[UInt32]]) -> Set<UInt32> { Set(ranges.flatMap { $0[0]...$0[1] }) }
    let (letters, numbers) = (members(classes.letter), members(classes.number))
    let (spaces, words) = (members(classes.space), members(classes.word))
    var differing = 0
    for value in UInt32(0)..<0x110000 {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let kind = UnicodeClass(scalar)
      let same =
        (kind == .letter) == letters.contains(value) && (kind == .number) == numbers.contains(value)
        && (kind == .space || kind == .newline) == spaces.contains(value)
        && scalar.isWordCharacter == words.contains(value)
      if !same { differing += 1 }
    }
    #expect(differing == 0)
    #expect(classes.contractions == ["'\u{17F}"])
  }

  @Test("cut text into pieces that are together the whole text")
  func pieces() throws {
    for pattern in SplitPattern.known {
      for row in try goldenRows("gpt2") {
        let text = Array(row.text.unicodeScalars)
        #expect(pattern.split(text).flatMap { $0 } == text)
        #expect(pattern.split(text).allSatisfy { !$0.isEmpty })
      }
    }
  }
}
