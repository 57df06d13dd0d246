extension GGUFFile {
  /// The tensors under Hugging Face's names and with its order of rows, so that everything behind
  /// this point sees one kind of weights: RoPE is `.halfSplit` for them, whatever the file has.
  ///
  /// - Throws: `FormatError` when the file has a tensor that these architectures have not.
  public func huggingFaceTensors() throws(FormatError) -> TensorStore {
    let config = try decoderConfig()
    var entries: [String: TensorStore.Entry] = [:]
    for name in tensors.names {
      guard let (newName, isQueryOrKey) = huggingFaceName(name) else {
        throw FormatError(
          file: path, subject: "tensor \(name)", problem: .unsupported(found: "this tensor"),
          expected: "the tensors of \(config.architecture.rawValue)",
          remedy: "use a model of a supported architecture")
      }
      var entry = try tensors.entry(name)
      if isQueryOrKey && config.ropeStyle == .interleaved {
        // A bias has rows of one element, which blocks of many cannot hold.
        let isWhole = entry.shape.count > 1 || entry.encoding.elementsPerBlock == 1
        guard let rows = entry.shape.first, rows % config.headSize == 0, isWhole else {
          throw FormatError(
            file: path, subject: "tensor \(name)", problem: .wrongShape(found: entry.shape),
            expected: "a multiple of \(config.headSize) rows of whole blocks",
            remedy: "convert the model again")
        }
        entry.rowOrder = .pairsToHalves(headSize: config.headSize)
      }
      entries[newName] = entry
    }
    return TensorStore(origin: path, entries: entries)
  }
}

/// - Source: gguf-py, `TensorNameMap`.
private func huggingFaceName(_ name: String) -> (name: String, isQueryOrKey: Bool)? {
  switch name {
  case "token_embd.weight": return ("model.embed_tokens.weight", false)
  case "output_norm.weight": return ("model.norm.weight", false)
  case "output.weight": return ("lm_head.weight", false)
  default: break
  }
  let parts = name.split(separator: ".", omittingEmptySubsequences: false)
  guard parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0,
    parts[3] == "weight" || parts[3] == "bias", let module = modules[String(parts[2])]
  else { return nil }
  return (
    "model.layers.\(layer).\(module).\(parts[3])", parts[2] == "attn_q" || parts[2] == "attn_k"
  )
}

private let modules = [
  "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
  "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
  "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
  "ffn_down": "mlp.down_proj",
]
