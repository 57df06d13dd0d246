"""`comd bench vision --tower` with PyTorch: pictures through the layers of a DINOv2 tower.

As LLaVA does, the output of the layer before the last is taken, so the last one is left out.
"""

import measuring
import torch
import transformers


def main():
    parser = measuring.options(__doc__)
    parser.add_argument("--tower", required=True, help="the tower's folder")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=224, help="edge of a picture in pixels")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    config = transformers.AutoConfig.from_pretrained(chosen.tower)
    config.num_hidden_layers -= 1
    config._attn_implementation = "sdpa"
    model = transformers.Dinov2Model(config).eval()
    precision = torch.bfloat16 if chosen.precision == "bf16" else torch.float32
    model = model.to(precision)
    pixels = torch.rand(chosen.batch, 3, chosen.side, chosen.side).to(precision)

    @torch.inference_mode()
    def see():
        model(pixel_values=pixels)

    measuring.measure(
        "vision", "img/s", chosen.batch, chosen, f"PyTorch {torch.__version__}", see
    )  # fmt: skip


main()
