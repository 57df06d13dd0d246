extension GGUFFile {
  /// The tensors under Hugging Face's names and with its order of rows, so that everything behind
  /// this point sees one kind of weights: RoPE is `.halfSplit` for them, whatever the file has.
  ///
  /// - Throws: `FormatError` when the file has a tensor that these architectures have not.
  public func huggingFaceTensors() throws(FormatError) -> TensorStore {
    let config = try decoderConfig()
    var entries: [String: TensorStore.Entry] = [:]
    for name in tensors.names where name != Self.ropeDivisors {
      guard let (newName, isQueryOrKey) = huggingFaceName(name, config.traits) else {
        throw FormatError(
          file: path, subject: "tensor \(name)", problem: .unsupported(found: "this tensor"),
          expected: "the tensors of \(config.architecture)",
          remedy: "use a model of a supported architecture")
      }
      var entry = try tensors.entry(name)
      if config.traits.normsAddOne && name.hasSuffix("norm.weight") { entry.added = 1 }
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
private func huggingFaceName(
  _ name: String, _ traits: DecoderTraits
) -> (name: String, isQueryOrKey: Bool)? {
  switch name {
  case "token_embd.weight": return ("model.embed_tokens.weight", false)
  case "output_norm.weight": return ("model.norm.weight", false)
  case "output.weight": return ("lm_head.weight", false)
  default: break
  }
  let parts = name.split(separator: ".", omittingEmptySubsequences: false)
  guard parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0,
    parts[3] == "weight" || parts[3] == "bias", let module = module(String(parts[2]), traits)
  else { return nil }
  return (
    "model.layers.\(layer).\(module).\(parts[3])", parts[2] == "attn_q" || parts[2] == "attn_k"
  )
}

private func module(_ name: String, _ traits: DecoderTraits) -> String? {
  switch name {
  case "attn_norm": "input_layernorm"
  case "attn_q": "self_attn.q_proj"
  case "attn_k": "self_attn.k_proj"
  case "attn_v": "self_attn.v_proj"
  case "attn_output": "self_attn.o_proj"
  case "attn_q_norm" where traits.normsQueriesAndKeys: "self_attn.q_norm"
  case "attn_k_norm" where traits.normsQueriesAndKeys: "self_attn.k_norm"
  case "post_attention_norm" where traits.normsOutputs: "post_attention_layernorm"
  case "post_ffw_norm" where traits.normsOutputs: "post_feedforward_layernorm"
  case "ffn_norm" where traits.normsOutputs: "pre_feedforward_layernorm"
  case "ffn_norm": "post_attention_layernorm"
  case "ffn_gate": "mlp.gate_proj"
  case "ffn_up": "mlp.up_proj"
  case "ffn_down": "mlp.down_proj"
  default: nil
  }
}
