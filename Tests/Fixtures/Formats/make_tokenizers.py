#!/usr/bin/env python3
"""Golden tokens: small tokenizers of every supported kind, trained here, and what they give.

Made with tokenizers 0.23.3, gguf 0.19.0, transformers 5.23.0, sentencepiece 0.2.3.
Run: python make_tokenizers.py [MODELS_DIR] (beside this file). With the folder of real GGUF models it
also makes real-*-golden.json: ids of their tokenizers rebuilt in `tokenizers` from vocabulary and merges.
"""
import json
import os
import sys
import tempfile

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizers")
os.makedirs(HERE, exist_ok=True)
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")

TEXTS = [
    "", " ", "  ", "\n", "\r\n", " \n ", "\t\t x", "a", " a", "a ", "  a  b   c    ",
    "The quick brown fox jumps over the lazy dog.", "Hello, world! How are you today?",
    "What colour is the large square, and how many circles touch it?",
    "I'm you're he's we've they'll I'd don't CAN'T I'M WE'LL 'twas 's'S 'ſ 'LL 'Ve 'rE 'x '",
    "it''s '' 'll'll 'd' ' s 're\n've", "x=1;y=22;z=333;w=4444 1,234,567.89 3.14e-10 0x1F ½ ² Ⅷ ٣٤٥ ९ 〇 𝟙𝟚",
    "Größe, Straße, naïve café, Ångström, Ça va? ﬁnal ﬀ ŉ ǆ", "cafe\u0301 A\u030a \u212b \u00c5 o\u0308\u0323 \u1e69 s\u0323\u0307",
    "Привет, мир! Как дела? Ёлка и йод", "Γειά σου Κόσμε, ΑΒΓ αβγ ς", "שלום עולם, מה נשמע? שָׁלוֹם",
    "مرحبا بالعالم، كيف حالك؟ ـــ لَا", "नमस्ते दुनिया, आप कैसे हैं? क्षत्रिय", "สวัสดีชาวโลก สบายดีไหม", "ສະບາຍດີ",
    "你好，世界！今天天气怎么样？", "こんにちは世界。カタカナ ﾊﾝｶｸ がぎ か\u3099", "안녕하세요 세계 \u1112\u1161\u11ab 한국어", "𠀀𠀁 𪚥 㐂",
    "😀😃 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☺ ♥ 👍🏽", "→ ← ∑∫√∞ ≠≤≥ ±×÷ €£¥₹ °©®™ …—–‘’“”«»",
    "a\u00a0b\u2003c\u3000d\u200be\u2028f\u2029g\u0085h\u1680i\u180ej\u202fk\u205fl\ufeffm",
    "tabs\tand\nnew\r\nlines\r\n\r\n  indented\n\n\n   end   \n", "\n\n\nfoo\n \n bar \n\t\nbaz", " \r\n\r x", "    def f(x):\n        return x ** 2  # comment\n",
    "\u0000\u0001\u0007\u001b[31mred\u001b[0m\u007f\u0080\u009f", "\u0378\u0530 \ue000\uf8ff \U000f0000 \U0010ffff \ufffd \ufffe\uffff",
    "ǅ ǈ ʰ ʷ ˁ ᵃ ⁿ ª º ⅷ ⓐ Ⓩ ㊀ 🄰 𝐀𝒷 ᛮ ꙮ ͠ ⃝ a⃝ 1⃣ ₁₂ ¹²³ ௰ ༳ ⑴ ㍿",
    "http://example.com/a/b?c=d&e=f#g user@example.org C:\\path\\file.txt <tag attr=\"v\">x</tag>", "snake_case camelCase kebab-case SCREAMING_CASE __init__ a.b.c",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "!!!???...,,,;;;:::---___***###@@@$$$%%%^^^&&&((()))[[[]]]{{{}}}|||\\\\\\///~~~```",
    "<|im_start|>user\nHi<|im_end|>", "<s>a</s> <s> <unk> <|endoftext|><|endoftext|> <|im_end|", "x<|im_end|> y <|im_end|>z", "  <|im_end|>  <tool>  a<tool>b <tool>",
    "▁x ▁▁ y▁ ▁", "<0x41> <0xE4> ä", "Ġword Ċ ĉ", "ÀÈÌ àèì ÿ Ā ā Ŀŀ", "Zażółć gęślą jaźń", "Đặng Thị Ngọc Thịnh Việt Nam", "ქართული Հայերեն አማርኛ ខ្មែរ မြန်မာ",
    "İstanbul ıŞĞ ß ẞ ǰ", "\u0301a \u200d\u200d \u0340\u0341\u0343\u0344\u0374\u037e\u0387 \u2126 \u212a \uf900 \ufb1d \U0001d15e",
]
ENGLISH = ("There are three red circles and one large blue square in the picture. The small green triangle touches the "
           "square; the letter A stands inside the circle. How many shapes are there? What is the colour of the largest "
           "one? It is to the left of the yellow star, isn't it? I don't think that they're the same size. ") * 3
CORPUS = TEXTS + [ENGLISH]


def write(name, tokenizer):
    tokenizer.save(os.path.join(HERE, name + ".json"), pretty=False)


def cases(tokenizer, texts=TEXTS):
    """Per text: plain ids (control tokens not parsed, nothing around), ids with control, both decodings."""
    rows = []
    for text in texts:
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        control = tokenizer.encode(text, add_special_tokens=True).ids
        rows.append({"text": text, "plain": plain, "control": control,
                     "decoded": tokenizer.decode(control, skip_special_tokens=True),
                     "decodedAll": tokenizer.decode(control, skip_special_tokens=False)})
    return rows


def golden(name, tokenizer, texts=TEXTS):
    with open(os.path.join(HERE, name + "-golden.json"), "w") as f:
        json.dump(cases(tokenizer, texts), f, ensure_ascii=False)


def byte_level(name, pre, normalizer=None, vocabulary=420, template=False, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"]))
    tokenizer.add_tokens([AddedToken("<tool>", lstrip=True, normalized=False)])
    tokenizer.post_processor = (processors.TemplateProcessing(
        single="<|im_start|> $A <|im_end|>",
        special_tokens=[("<|im_start|>", tokenizer.token_to_id("<|im_start|>")),
                        ("<|im_end|>", tokenizer.token_to_id("<|im_end|>"))])
        if template else processors.ByteLevel(trim_offsets=False))
    write(name, tokenizer)
    golden(name, tokenizer)


def split(regex):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated", False),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def llama(name, vocabulary=700, legacy=True, split_words=False, gemma=""):
    """Llama's form: legacy normalizers, or the newer Metaspace; or Gemma's, cut behind a text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if gemma:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(gemma, "merged_with_previous")
    elif legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=split_words)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        + ([] if gemma else [decoders.Strip(" ", 1, 0)]))
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always", split=True)
    words.train_from_iterator(CORPUS[:60:2] + [ENGLISH], trainers.BpeTrainer(
        vocab_size=vocabulary - 259, show_progress=False, limit_alphabet=220))
    trained = json.loads(words.to_str())["model"]
    table = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for token in sorted(trained["vocab"], key=trained["vocab"].get):
        table.setdefault(token, len(table))
    data = json.loads(tokenizer.to_str())
    data["model"]["vocab"], data["model"]["merges"] = table, trained["merges"]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ["<unk>", "<s>", "</s>"]])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=True, single_word=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    write(name, tokenizer)
    golden(name, tokenizer)


def word_level(name, pre):
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator([ENGLISH, "<image> 1 2 3 ?"], trainers.WordLevelTrainer(
        vocab_size=90, show_progress=False, special_tokens=["<unk>", "<s>", "</s>", "<|im_end|>"]))
    write(name, tokenizer)
    golden(name, tokenizer, TEXTS + [ENGLISH[:300]])


def sentencepiece_gguf():
    """A GGUF with a SentencePiece vocabulary; ids by transformers' conversion of the same model."""
    import gguf
    import sentencepiece as sp
    from transformers.convert_slow_tokenizer import generate_merges
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "m")
        sp.SentencePieceTrainer.train(
            sentence_iterator=iter([ENGLISH] + [t.replace("\0", "") for t in TEXTS if t.strip()]), model_prefix=prefix,
            vocab_size=900, model_type="bpe", byte_fallback=True, character_coverage=0.98, minloglevel=2,
            normalization_rule_name="identity", remove_extra_whitespaces=False, num_threads=1)
        model = sp.SentencePieceProcessor(model_file=prefix + ".model")
    count = model.get_piece_size()
    pieces = [model.id_to_piece(i) for i in range(count)]
    scores = [model.get_score(i) for i in range(count)]
    types = [2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1
             for i in range(count)]
    types[0] = 3  # named as control, as the converter of Llama has it in added tokens
    writer = gguf.GGUFWriter(os.path.join(HERE, "sentencepiece.gguf"), "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    merges = generate_merges(vocabulary, dict(zip(pieces, scores)), skip_tokens=["<unk>", "<s>", "</s>"])
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ["<unk>", "<s>", "</s>"]])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    golden("sentencepiece", tokenizer)


def classes():
    """Per class the ranges of all scalars that are in it, as the regexes of `tokenizers` have them."""
    patterns = {"letter": r"\p{L}", "number": r"\p{N}", "space": r"\s"}
    result = {}
    for name, pattern in patterns.items():
        splitter = pre_tokenizers.Split(Regex(pattern), "isolated", False)
        ranges = []
        for start in range(0, 0x110000, 0x1000):
            scalars = [c for c in range(start, start + 0x1000) if not 0xD800 <= c < 0xE000]
            # A full stop between all, so that every member stands alone.
            text = "." + ".".join(map(chr, scalars)) + "."
            for piece, _ in splitter.pre_tokenize_str(text):
                if len(piece) == 1 and piece != ".":
                    code = ord(piece)
                    if ranges and ranges[-1][1] + 1 == code:
                        ranges[-1][1] = code
                    else:
                        ranges.append([code, code])
        result[name] = ranges
    letters = {}
    splitter = pre_tokenizers.Split(Regex("(?i:'s|'t|'re|'ve|'m|'ll|'d)"), "isolated", False)
    for text in ["'" + chr(c) for c in range(0x80, 0x3000)] + ["'" + a + b for a in "rRvVlL" for b in map(chr, range(0x80, 0x3000))]:
        if [piece for piece, _ in splitter.pre_tokenize_str("." + text)] == [".", text]:
            letters[text] = True
    result["contractions"] = sorted(letters)
    word = pre_tokenizers.Whitespace()
    result["word"] = []
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000 and len(word.pre_tokenize_str("a" + chr(code) + "a")) == 1:
            ranges = result["word"]
            if ranges and ranges[-1][1] + 1 == code:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    with open(os.path.join(HERE, "unicode-classes.json"), "w") as f:
        json.dump(result, f, separators=(",", ":"))


def real(models_dir):
    import gguf
    for name, file, pre, normalizer in [
            ("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]), None),
            ("qwen2.5", "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf", split(QWEN2), normalizers.NFC())]:
        fields = gguf.GGUFReader(os.path.join(models_dir, file)).fields
        tokens = fields["tokenizer.ggml.tokens"].contents()
        types = fields["tokenizer.ggml.token_type"].contents()
        merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
        tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = pre
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, types) if k == 3])
        tokenizer.add_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, types) if k == 4])
        golden("real-" + name, tokenizer)


byte_level("gpt2", pre_tokenizers.ByteLevel(add_prefix_space=False), template=True)
byte_level("gpt2-prefix-space", pre_tokenizers.ByteLevel(add_prefix_space=True))
byte_level("smollm", pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]))
byte_level("qwen2", split(QWEN2), normalizers.NFC())
byte_level("llama3", split(LLAMA3), ignore_merges=True)
llama("llama-legacy")
llama("llama-metaspace", legacy=False)
llama("llama-metaspace-split", legacy=False, split_words=True)
llama("gemma", gemma=" ")
llama("gemma-split", gemma="ar")
word_level("wordlevel-split", pre_tokenizers.WhitespaceSplit())
word_level("wordlevel-whitespace", pre_tokenizers.Whitespace())
sentencepiece_gguf()
classes()
if len(sys.argv) > 1:
    real(sys.argv[1])
