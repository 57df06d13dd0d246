"""`comd bench train` with PyTorch: forward and backward of SmolLM2-135M's shape, random weights.

bf16 is either the weights themselves (`bf16`), or f32 weights multiplied as bf16 (`bf16-autocast`).
"""

import measuring
import torch
import transformers


def main():
    parser = measuring.options(__doc__)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=512)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1_536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8_192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model = transformers.LlamaForCausalLM(config).train()
    if chosen.precision == "bf16":
        model = model.to(torch.bfloat16)
    ids = torch.tensor(
        [measuring.tokens(chosen.length, config.vocab_size, i) for i in range(chosen.batch)]
    )

    def step():
        model.zero_grad(set_to_none=False)
        with torch.autocast("cpu", torch.bfloat16, enabled=chosen.precision == "bf16-autocast"):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()

    measuring.measure(
        "train", "tok/s", ids.numel(), chosen, f"PyTorch {torch.__version__}", step
    )  # fmt: skip


main()
