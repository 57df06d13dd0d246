#!/usr/bin/env python3
"""Golden configurations, as transformers 5.23.0 writes them, and two older files by hand.

Run: python make_configs.py (beside this file).
"""
import json
import os

from transformers import (CLIPConfig, CLIPVisionConfig, Dinov2Config, Gemma3TextConfig, LlamaConfig, LlavaConfig,
                          LlavaNextConfig, MistralConfig, Qwen2Config, SiglipConfig, SiglipVisionConfig)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "configs")
os.makedirs(HERE, exist_ok=True)


def save(name, config):
    with open(os.path.join(HERE, name + ".json"), "w") as f:
        f.write(config if isinstance(config, str) else config.to_json_string(use_diff=False))


save("llama-default", LlamaConfig())
save("llama", LlamaConfig(vocab_size=300, hidden_size=24, intermediate_size=40, num_hidden_layers=3,
                          num_attention_heads=4, num_key_value_heads=2, head_dim=8, rms_norm_eps=1e-5,
                          attention_bias=True, mlp_bias=True, tie_word_embeddings=True, eos_token_id=[2, 5],
                          pad_token_id=0, max_position_embeddings=99,
                          rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
                                           "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                           "original_max_position_embeddings": 64}))
save("qwen2-default", Qwen2Config())
save("qwen2-window", Qwen2Config(num_hidden_layers=4, use_sliding_window=True, max_window_layers=2,
                                 rope_parameters={"rope_type": "linear", "rope_theta": 500.0, "factor": 2.5}))
save("mistral-default", MistralConfig())
save("gemma3-default", Gemma3TextConfig())
save("gemma3", Gemma3TextConfig(num_hidden_layers=3, sliding_window=512, query_pre_attn_scalar=168,
                                layer_types=["full_attention", "sliding_attention", "full_attention"],
                                rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 20000.0},
                                                 "full_attention": {"rope_type": "linear", "rope_theta": 2e6,
                                                                    "factor": 8.0}}))
save("clip-vision-default", CLIPVisionConfig())
save("clip", CLIPConfig(vision_config={"hidden_size": 48, "patch_size": 14, "image_size": 28, "num_attention_heads": 6,
                                       "hidden_act": "gelu", "num_hidden_layers": 2, "intermediate_size": 96}))
save("siglip-vision-default", SiglipVisionConfig())
save("siglip", SiglipConfig(vision_config={"hidden_size": 48, "patch_size": 14, "image_size": 28, "hidden_act": "gelu",
                                           "num_attention_heads": 6, "num_hidden_layers": 2, "intermediate_size": 96}))
save("dinov2-default", Dinov2Config())
save("llava-default", LlavaConfig())
save("llava-dinov2-qwen2", LlavaConfig(
    vision_config=Dinov2Config(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=28),
    text_config=Qwen2Config(vocab_size=77, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True),
    image_token_index=76, vision_feature_layer=-1, vision_feature_select_strategy="full",
    projector_hidden_act="gelu", multimodal_projector_bias=False, image_seq_length=5))
save("llava-next", LlavaNextConfig(
    vision_config=SiglipVisionConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=28,
                                     patch_size=14),
    text_config=MistralConfig(vocab_size=77, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                              num_attention_heads=4, num_key_value_heads=2),
    image_token_index=76, vision_feature_layer=-1, vision_feature_select_strategy="full", image_seq_length=4,
    image_grid_pinpoints=[[28, 56], [56, 28], [84, 28]]))
# As the hub has them, written by transformers 4.
save("vicuna-7b", json.dumps({
    "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008, "max_position_embeddings": 4096,
    "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
    "pad_token_id": 0, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None,
    "tie_word_embeddings": False, "torch_dtype": "float16", "use_cache": True, "vocab_size": 32000}))
save("gemma3-4b-text", json.dumps({
    "architectures": ["Gemma3ForCausalLM"], "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
    "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    "sliding_window_pattern": 6, "rope_local_base_freq": 10000.0, "rope_theta": 1000000.0}))
save("llava-1.5-7b", json.dumps({
    "architectures": ["LlavaForConditionalGeneration"], "ignore_index": -100, "image_token_index": 32000,
    "model_type": "llava", "pad_token_id": 32001, "projector_hidden_act": "gelu",
    "text_config": {"_name_or_path": "lmsys/vicuna-7b-v1.5", "architectures": ["LlamaForCausalLM"],
                    "max_position_embeddings": 4096, "model_type": "llama", "rms_norm_eps": 1e-05,
                    "torch_dtype": "float16", "vocab_size": 32064},
    "tie_word_embeddings": False, "torch_dtype": "float16",
    "vision_config": {"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
                      "model_type": "clip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 24,
                      "patch_size": 14, "projection_dim": 768, "vocab_size": 32000},
    "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "vocab_size": 32064}))
