import Formats

/// Any bytes are a tokenizer that can encode, decode and save, or a `FormatError`; and the same
/// bytes as model and preprocessor configuration.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  if let config = try? ModelConfig(json: bytes, name: "input.json") {
    let again = try? ModelConfig(json: config.encoded(), name: "again.json")
    precondition(again == config, "a configuration that changes when it is written")
  }
  _ = try? ImageProcessor(json: bytes, name: "input.json")
  do throws(FormatError) {
    let tokenizer = try Tokenizer(json: bytes, name: "input.json")
    let text = "I'll paint 12 red squares,\r\n  naïve <|im_end|> 你好 ▁x\u{1F600}"
    _ = tokenizer.decode(tokenizer.encode(text))
    _ = tokenizer.decode(tokenizer.encodeWithControl(text), keepingControl: true)
    let again = try Tokenizer(json: tokenizer.encoded(), name: "input.json")
    precondition(
      again.encodeWithControl(text) == tokenizer.encodeWithControl(text),
      "a tokenizer that changes when it is written")
  } catch {
    precondition(error.file == "input.json", "an error that does not name its file")
  }
  return 0
}
