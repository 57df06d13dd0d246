#!/usr/bin/env python3
"""Golden values of small random models, computed by transformers in f32 on one thread.

usage: python make_golden.py [CASE...]     (all when none is named; CASE/lora: its adapters alone)

Writes beside itself; needs torch, transformers, safetensors.

For each case a Hugging Face folder CASE/ (config.json, model.safetensors) and in it
golden.safetensors:
  input_ids (T)      as f32; the image token repeated once per patch
  mask (T)           1 where the token counts in the loss
  pixel_values       (images, 3, H, W), for models that see; (images, tiles, 3, H, W) for LLaVA-NeXT,
                     zeros where a picture has fewer tiles than another
  image_sizes        (images, 2) as f32, for LLaVA-NeXT: height and width before tiles were cut
  logits (T, V)      loss ()
  gradient/NAME      of the mean loss, for every parameter that has one, named as in the file
  curve (steps)      mean loss before each of 20 AdamW steps with warm-up and cosine, clipped
  rates (steps)      their learning rates
  after/NAME         parameters after those steps, of the tensors listed in AFTER
Some have lora.safetensors, too, of the same model and sample with low-rank adapters written out here
in plain torch, its own weights frozen but the projector's:
  NAME               the adapters, lora_A (rank, in) and lora_B (out, rank), as peft names them
  logits, loss, gradient/NAME, curve, rates, after/NAME, as above, of adapters and projector
The versions that made them are in each file's metadata.
"""
import math, os, shutil, sys
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM, CLIPVisionConfig, Dinov2Config, Dinov2Model, Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig,
    LlamaForCausalLM, LlavaConfig, LlavaForConditionalGeneration, LlavaNextConfig,
    LlavaNextForConditionalGeneration, MistralConfig, MistralForCausalLM,
    Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, get_cosine_schedule_with_warmup)

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = {"torch": torch.__version__, "transformers": transformers.__version__,
            "generator": "make_golden.py"}
STEPS, WARMUP_RATIO, RATE, CLIP, DECAY = 20, 0.15, 5e-3, 1.0, 0.01
IMAGE_TOKEN = 5
AFTER = [
    "norm.weight", "layers.1.self_attn.q_proj.weight", "linear_1.weight", "embed_tokens.weight"]

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def randomise(model, seed):
    """Every parameter random and far from its initial zeros and ones, so that each one matters."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        scale_like = p.ndim == 1 and ("norm" in name or "lambda" in name) and "bias" not in name
        with torch.no_grad():
            if scale_like:
                # Gemma keeps the distance from 1.
                p.copy_((0 if "gemma" in model.config.model_type else 1) + 0.2 * noise)
            elif p.ndim == 1:
                p.copy_(0.1 * noise)
            elif p.ndim == 2 and "embed" not in name:
                p.copy_(noise * (1.2 / p.shape[1] ** 0.5))
            else:
                p.copy_(0.3 * noise)
    return model


def file_names(folder, model):
    """Name in the model -> name in the file, found by equal values (tied ones map to one)."""
    names = {}
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
        stored = {k: f.get_tensor(k) for k in f.keys()}
    for name, p in model.named_parameters():
        hits = [k for k, v in stored.items() if v.shape == p.shape and torch.equal(v, p.detach())]
        assert len(hits) == 1, (name, hits)
        names[name] = hits[0]
    return names


def loss_of(model, inputs, mask):
    logits = model(**inputs).logits[0].float()
    ids = inputs["input_ids"][0]
    keep = mask[1:].bool()
    return logits, torch.nn.functional.cross_entropy(logits[:-1][keep], ids[1:][keep])


def golden(case, model, inputs, mask, curve_parts):
    if sys.argv[1:] and case not in sys.argv[1:]:
        return
    folder = os.path.join(HERE, case)
    shutil.rmtree(folder, ignore_errors=True)
    model.eval().save_pretrained(folder)
    for extra in ("generation_config.json",):
        path = os.path.join(folder, extra)
        if os.path.exists(path):
            os.remove(path)
    names = file_names(folder, model)
    tensors = {"input_ids": inputs["input_ids"][0].float(), "mask": mask.float()}
    if "pixel_values" in inputs:
        tensors["pixel_values"] = inputs["pixel_values"]
    if "image_sizes" in inputs:
        tensors["image_sizes"] = inputs["image_sizes"].float()
    logits, loss = loss_of(model, inputs, mask)
    loss.backward()
    tensors["logits"], tensors["loss"] = logits.detach().clone(), loss.detach().clone()
    for name, p in model.named_parameters():
        if p.grad is not None:
            tensors["gradient/" + names[name]] = p.grad.clone()
    model.zero_grad()
    trained = [p for n, p in model.named_parameters() if any(part in n for part in curve_parts)]
    for p in model.parameters():
        p.requires_grad_(any(p is t for t in trained))
    tensors["curve"], tensors["rates"] = course(model, inputs, mask, trained)
    for name, p in model.named_parameters():
        if any(name.endswith(a) for a in AFTER) and p.requires_grad and ".head." not in name:
            tensors["after/" + names[name]] = p.detach().clone()
    save_file({k: v.contiguous() for k, v in tensors.items()},
              os.path.join(folder, "golden.safetensors"), metadata=VERSIONS)
    curve = tensors["curve"]
    print(case, f"loss {tensors['loss'].item():.5f}", f"curve {curve[0]} -> {curve[-1]}",
          {n: os.path.getsize(os.path.join(folder, n)) for n in sorted(os.listdir(folder))})


def course(model, inputs, mask, trained):
    """The losses of 20 steps, and their learning rates."""
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=DECAY)
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(WARMUP_RATIO * STEPS), STEPS)
    curve, rates = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        _, loss = loss_of(model, inputs, mask)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
        curve.append(loss.item())
    return torch.tensor(curve), torch.tensor(rates)


class Adapted(torch.nn.Module):
    """A frozen linear layer W with adapters: x·Wᵀ + b + (alpha / rank)·(x·Aᵀ)·Bᵀ."""

    def __init__(self, linear, rank, alpha, generator):
        super().__init__()
        self.linear, self.scale = linear, alpha / rank
        inputs, outputs = linear.in_features, linear.out_features
        self.lora_A = torch.nn.Parameter(
            (2 * torch.rand((rank, inputs), generator=generator) - 1) / inputs ** 0.5)
        # Not 0, as a training begins, or A would have no gradient.
        self.lora_B = torch.nn.Parameter(0.3 * torch.randn((outputs, rank), generator=generator))

    def forward(self, x):
        return self.linear(x) + self.scale * ((x @ self.lora_A.T) @ self.lora_B.T)


def lora(case, seed, rank, alpha, targets):
    if sys.argv[1:] and f"{case}/lora" not in sys.argv[1:]:
        return
    folder = os.path.join(HERE, case)
    model_class = LlavaForConditionalGeneration if case.startswith("llava") else AutoModelForCausalLM
    model = model_class.from_pretrained(folder, dtype=torch.float32).eval()
    names = file_names(folder, model)
    with safe_open(os.path.join(folder, "golden.safetensors"), "pt") as f:
        inputs = {"input_ids": f.get_tensor("input_ids").long()[None]}
        mask = f.get_tensor("mask")
        if "pixel_values" in f.keys():
            inputs["pixel_values"] = f.get_tensor("pixel_values")
    model.requires_grad_(False)
    trained = {names[n]: p for n, p in model.named_parameters() if "multi_modal_projector" in n}
    tensors, generator = {}, torch.Generator().manual_seed(seed)
    for name, module in list(model.named_modules()):
        parent, _, last = name.rpartition(".")
        if last not in targets or "vision" in name:
            continue
        adapted = Adapted(module, rank, alpha, generator)
        setattr(model.get_submodule(parent), last, adapted)
        stem = names[name + ".weight"].removesuffix(".weight")
        for part in ("lora_A", "lora_B"):
            trained[f"{stem}.{part}.weight"] = getattr(adapted, part)
            tensors[f"{stem}.{part}.weight"] = getattr(adapted, part).detach().clone()
    for p in trained.values():
        p.requires_grad_(True)
    logits, loss = loss_of(model, inputs, mask)
    loss.backward()
    tensors["logits"], tensors["loss"] = logits.detach().clone(), loss.detach().clone()
    for name, p in trained.items():
        tensors["gradient/" + name] = p.grad.clone()
    tensors["curve"], tensors["rates"] = course(model, inputs, mask, list(trained.values()))
    for name, p in trained.items():
        tensors["after/" + name] = p.detach().clone()
    save_file({k: v.contiguous() for k, v in tensors.items()},
              os.path.join(folder, "lora.safetensors"),
              metadata={**VERSIONS, "rank": str(rank), "alpha": str(alpha),
                        "targets": " ".join(targets)})
    curve = tensors["curve"]
    print(case, "lora", f"loss {loss.item():.5f}", f"curve {curve[0]} -> {curve[-1]}", len(trained))


def text_inputs(seed, vocabulary, length, patches_of=()):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(6, vocabulary, (length,), generator=generator).tolist()
    at = 2
    for patches in patches_of:
        ids[at:at] = [IMAGE_TOKEN] * patches
        at += patches + 3
    ids = torch.tensor(ids)
    mask = (torch.rand(len(ids), generator=generator) < 0.6).int()
    mask[ids == IMAGE_TOKEN] = 0
    mask[0] = 0
    return {"input_ids": ids[None]}, mask


llama = dict(
    vocab_size=67, hidden_size=36, intermediate_size=44, num_hidden_layers=2, num_attention_heads=6,
    num_key_value_heads=2, head_dim=8, rms_norm_eps=1e-5, rope_theta=1000.0,
    max_position_embeddings=128, tie_word_embeddings=True)
qwen2 = dict(
    vocab_size=59, hidden_size=40, intermediate_size=36, num_hidden_layers=2, num_attention_heads=5,
    num_key_value_heads=1, rms_norm_eps=1e-6, rope_theta=1e6, max_position_embeddings=128,
    tie_word_embeddings=False)
clip = CLIPVisionConfig(
    hidden_size=21, intermediate_size=33, num_hidden_layers=3, num_attention_heads=3, image_size=15,
    patch_size=5)
dino = Dinov2Config(
    hidden_size=24, mlp_ratio=2, num_hidden_layers=2, num_attention_heads=3, image_size=30,
    patch_size=6)

inputs, mask = text_inputs(1, 67, 23)
golden("llama", randomise(LlamaForCausalLM(LlamaConfig(**llama)), 1), inputs, mask, [""])
inputs, mask = text_inputs(2, 59, 19)
golden("qwen2", randomise(Qwen2ForCausalLM(Qwen2Config(**qwen2)), 2), inputs, mask, [""])

model = LlavaForConditionalGeneration(LlavaConfig(
    vision_config=clip, text_config=LlamaConfig(**llama), image_token_index=IMAGE_TOKEN,
    image_seq_length=9))
inputs, mask = text_inputs(3, 67, 14, [9])
inputs["pixel_values"] = torch.randn((1, 3, 15, 15), generator=torch.Generator().manual_seed(3))
golden("llava-clip", randomise(model, 3), inputs, mask, ["multi_modal_projector", "language_model"])

model = LlavaForConditionalGeneration(LlavaConfig(
    vision_config=dino, text_config=Qwen2Config(**qwen2), image_token_index=IMAGE_TOKEN,
    image_seq_length=16, vision_feature_layer=-1))
inputs, mask = text_inputs(4, 59, 12, [16, 16])
inputs["pixel_values"] = torch.randn((2, 3, 24, 24), generator=torch.Generator().manual_seed(4))
golden("llava-dinov2", randomise(model, 4), inputs, mask, [""])

# A projector of one layer, the way a folder can hold it that transformers opens: no activation, and
# a second layer that does nothing. The tower has no mask token, as every tower that is saved here.
model = LlavaForConditionalGeneration(LlavaConfig(
    vision_config=Dinov2Config(**{**dino.to_dict(), "use_mask_token": False}),
    text_config=LlamaConfig(**llama), image_token_index=IMAGE_TOKEN, image_seq_length=16,
    vision_feature_layer=-1, mm_projector_type="linear", projector_hidden_act="linear"))
inputs, mask = text_inputs(6, 67, 11, [16])
inputs["pixel_values"] = torch.randn((1, 3, 24, 24), generator=torch.Generator().manual_seed(6))
randomise(model, 6)
second = model.model.multi_modal_projector.linear_2.requires_grad_(False)
second.weight.copy_(torch.eye(36))
second.bias.zero_()
golden("llava-linear", model, inputs, mask, ["linear_1", "language_model"])

# Biases wherever Llama can have them, and a separate output.
inputs, mask = text_inputs(7, 61, 21)
biased = {**llama, "vocab_size": 61, "attention_bias": True, "mlp_bias": True,
          "tie_word_embeddings": False}
golden("llama-bias", randomise(LlamaForCausalLM(LlamaConfig(**biased)), 7), inputs, mask, [""])

# The class token among the features, and those of the last layer but one of DINOv2.
model = LlavaForConditionalGeneration(LlavaConfig(
    vision_config=dino, text_config=LlamaConfig(**biased), image_token_index=IMAGE_TOKEN,
    image_seq_length=17, vision_feature_layer=-2, vision_feature_select_strategy="full"))
inputs, mask = text_inputs(8, 61, 13, [17])
inputs["pixel_values"] = torch.randn((1, 3, 24, 24), generator=torch.Generator().manual_seed(8))
golden("llava-full", randomise(model, 8), inputs, mask,
       ["multi_modal_projector", "language_model", "lm_head"])

# Angles stretched as Llama 3.1 does it: of the eight pairs of a head some are kept, some blended,
# some divided by the factor.
inputs, mask = text_inputs(9, 53, 26)
stretched = dict(
    vocab_size=53, hidden_size=28, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, rms_norm_eps=1e-5, max_position_embeddings=128,
    tie_word_embeddings=True, rope_parameters={
        "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
golden("llama3", randomise(LlamaForCausalLM(LlamaConfig(**stretched)), 9), inputs, mask, [""])

# A window in all layers, much shorter than the text.
inputs, mask = text_inputs(10, 53, 27)
windowed = dict(
    vocab_size=53, hidden_size=28, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128)
golden("mistral", randomise(MistralForCausalLM(MistralConfig(
    **windowed, head_dim=10, rms_norm_eps=1e-5, sliding_window=5)), 10), inputs, mask, [""])

# A window behind the first layer only, and positions divided by a factor.
inputs, mask = text_inputs(11, 53, 25)
golden("qwen2-window", randomise(Qwen2ForCausalLM(Qwen2Config(
    **{**windowed, "hidden_size": 32}, rms_norm_eps=1e-6, use_sliding_window=True, sliding_window=6,
    max_window_layers=1, rope_parameters={
        "rope_type": "linear", "rope_theta": 1000.0, "factor": 2.5})), 11), inputs, mask, [""])

# Layers with and without a window, each kind with angles of its own.
inputs, mask = text_inputs(12, 53, 24)
golden("gemma3", randomise(Gemma3ForCausalLM(Gemma3TextConfig(
    vocab_size=53, hidden_size=28, intermediate_size=36, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, head_dim=10, query_pre_attn_scalar=14, max_position_embeddings=128,
    sliding_window=7, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    rope_parameters={
        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
        "full_attention": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 4.0}})), 12),
    inputs, mask, [""])

# SigLIP's tower, which has no class token, so that all of its rows are patches; with its pooling
# head, which no language model reads.
siglip = SiglipVisionConfig(
    hidden_size=21, intermediate_size=29, num_hidden_layers=2, num_attention_heads=3, image_size=20,
    patch_size=5)
model = LlavaForConditionalGeneration(LlavaConfig(
    vision_config=siglip, text_config=Qwen2Config(**qwen2), image_token_index=IMAGE_TOKEN,
    image_seq_length=16, vision_feature_layer=-1, vision_feature_select_strategy="full"))
inputs, mask = text_inputs(13, 59, 12, [16, 16])
inputs["pixel_values"] = torch.randn((2, 3, 20, 20), generator=torch.Generator().manual_seed(13))
golden("llava-siglip", randomise(model, 13), inputs, mask, [""])

# Any resolution: a wide picture in three tiles and a tall one in two, each behind the whole picture;
# both have lines or columns that only padding fills.
model = LlavaNextForConditionalGeneration(LlavaNextConfig(
    vision_config=clip, text_config=MistralConfig(
        **windowed, head_dim=10, rms_norm_eps=1e-5, sliding_window=31),
    image_token_index=IMAGE_TOKEN, image_seq_length=9,
    image_grid_pinpoints=[[15, 30], [30, 15], [30, 30], [15, 45]]))
randomise(model, 14)
sizes = torch.tensor([[11, 40], [60, 17]])
pixels = torch.randn((2, 4, 3, 15, 15), generator=torch.Generator().manual_seed(14))
pixels[1, 3] = 0
features = model.model.get_image_features(pixels, sizes).pooler_output
inputs, mask = text_inputs(14, 53, 12, [len(feature) for feature in features])
print("llava-next features", [len(feature) for feature in features])
inputs |= {"pixel_values": pixels, "image_sizes": sizes}
golden("llava-next", model, inputs, mask,
       ["multi_modal_projector", "language_model", "lm_head", "image_newline"])

# Adapters: everywhere, beside biases and a projector or none, and at some layers only.
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
lora("llava-clip", 21, rank=3, alpha=5.0, targets=ALL)
lora("llama-bias", 22, rank=5, alpha=4.0, targets=ALL)
lora("gemma3", 23, rank=2, alpha=3.0, targets=["q_proj", "v_proj", "down_proj"])

# The position table of DINOv2 at other sizes: bicubic as torch does it, and its gradient.
generator = torch.Generator().manual_seed(5)
table = torch.randn((1, 1 + 25, 3), generator=generator, requires_grad=True)
tensors = {"table": table.detach()[0].clone()}
embeddings = Dinov2Model(Dinov2Config(hidden_size=3, num_attention_heads=1, num_hidden_layers=1,
                                      image_size=10, patch_size=2)).embeddings
embeddings.position_embeddings = torch.nn.Parameter(table.detach().clone())
for rows, columns in ((4, 4), (7, 7), (3, 6), (1, 2)):
    embeddings.zero_grad()
    out = embeddings.interpolate_pos_encoding(
        torch.zeros(1, 1 + rows * columns, 3), rows * 2, columns * 2)
    weights = torch.randn(out.shape, generator=generator)
    (out * weights).sum().backward()
    tensors[f"{rows}x{columns}"] = out.detach()[0].clone()
    tensors[f"{rows}x{columns}/weights"] = weights[0].clone()
    tensors[f"{rows}x{columns}/gradient"] = embeddings.position_embeddings.grad[0].clone()
save_file({k: v.contiguous() for k, v in tensors.items()},
          os.path.join(HERE, "positions.safetensors"), metadata=VERSIONS)
