public import Distillation
public import Formats
import Shapes

/// Control tokens, with the lowest ids in this order.
private let controls = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]

/// The control token that stands for the picture.
let imageTokenName = "<image>"

/// A tokenizer of whole words: those of the world, those of the prompts, and the scores.
///
/// - Parameter prompts: the texts of the prompt files.
/// - Throws: `FormatError` only if the file made here were no tokenizer: a defect.
public func worldTokenizer(prompts: [PromptRole: String]) throws(FormatError) -> Tokenizer {
  var known = Set(worldWords)
  for text in prompts.values { known.formUnion(words(of: text)) }
  known.formUnion((1...10).map(String.init))
  known.subtract(["{", "}", "_"])
  let entries = (controls + known.sorted()).enumerated()
  let vocabulary = entries.map { "\(quoted($0.element)):\($0.offset)" }
  let added = controls.enumerated().map { id, name in
    """
    {"id":\(id),"content":\(quoted(name)),"special":true,"single_word":false,"lstrip":false,\
    "rstrip":false,"normalized":false}
    """
  }
  let json = """
    {"version":"1.0","truncation":null,"padding":null,\
    "added_tokens":[\(added.joined(separator: ","))],"normalizer":null,\
    "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,\
    "model":{"type":"WordLevel","vocab":{\(vocabulary.joined(separator: ","))},\
    "unk_token":"<unk>"}}
    """
  let config = """
    {"tokenizer_class":"PreTrainedTokenizerFast","bos_token":"<s>","eos_token":"</s>",\
    "unk_token":"<unk>","pad_token":"<pad>","model_max_length":\(contextLength),\
    "clean_up_tokenization_spaces":false}
    """
  return try Tokenizer(
    json: Array(json.utf8), config: Array(config.utf8), name: "the world's tokenizer.json")
}

/// A JSON string; the words hold nothing that needs more than this.
private func quoted(_ word: String) -> String {
  "\"" + word.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
}
