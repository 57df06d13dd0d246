"""`comd bench prefill` and `decode` with CTranslate2, on the same weights.

The model's folder is what `comd model convert --to hf` writes from a GGUF file, converted once
more: `ct2_generate.py --convert HF_FOLDER FOLDER`. `--precision` is one of CTranslate2's compute
types. A prompt's tokens are computed without logits, the first token of the answer with.
"""

import json
import pathlib
import sys

import ctranslate2
import measuring


def stored(folder, precision):
    """Where weights are stored that are loaded without being converted on the way."""
    return f"{folder}/int8" if precision.startswith("int8") else f"{folder}/float32"


def convert(source, target):
    for precision in ("float32", "int8"):
        converter = ctranslate2.converters.TransformersConverter(source)
        converter.convert(stored(target, precision), quantization=precision, force=True)


class Model:
    def __init__(self, folder, threads, precision):
        folder = stored(folder, precision)
        self.generator = ctranslate2.Generator(
            folder, device="cpu", compute_type=precision, inter_threads=1, intra_threads=threads
        )
        self.words = json.loads(pathlib.Path(folder, "vocabulary.json").read_text())
        self.ids = {word: index for index, word in enumerate(self.words)}

    def answer(self, prompts, count):
        """`count` greedy tokens for each prompt, all prompts side by side."""
        results = self.generator.generate_batch(
            [[self.words[token] for token in prompt] for prompt in prompts],
            max_batch_size=0,
            beam_size=1,
            sampling_topk=1,
            max_length=count,
            include_prompt_in_result=False,
            # A word that greedy answers to random prompts do not hold: all answers are whole.
            end_token=[self.words[0]],
        )
        answers = [result.sequences_ids[0] for result in results]
        if any(len(answer) != count for answer in answers):
            raise SystemExit(f"answers of {[len(a) for a in answers]} tokens, not {count}")
        return answers


def main():
    if sys.argv[1] == "--convert":
        return convert(*sys.argv[2:])
    chosen = measuring.reading_options(__doc__).parse_args()
    version = f"CTranslate2 {ctranslate2.__version__}"
    model = Model(chosen.model, chosen.threads, chosen.precision)
    chosen.vocabulary = len(model.words)
    if chosen.check:
        prompt = [int(token) for token in chosen.check.split(",")]
        print(*model.answer([prompt], chosen.generate)[0], sep=",")
    elif chosen.work == "prefill":
        seed = 0

        def work():
            nonlocal seed
            seed += 1
            model.answer([measuring.tokens(chosen.length, chosen.vocabulary, seed)], 1)

        measuring.measure("prefill", "tok/s", chosen.length, chosen, version, work)
    else:
        measuring.measure_answers(chosen, version, model.answer)


main()
