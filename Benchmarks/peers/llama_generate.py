"""`comd bench prefill` and `decode` with llama.cpp, on the same GGUF file.

Logits are computed for the last token of a prompt alone. `--precision` says how attention is
computed, `q` plainly and `q-flash` by llama.cpp's flash attention; weights stay as in the file.
"""

import ctypes

import llama_cpp as llama
import measuring
import numpy


class Model:
    def __init__(self, path, threads, sequences, positions, flash):
        quiet = llama.llama_log_callback(lambda level, text, data: None)
        llama.llama_log_set(quiet, None)
        self.quiet = quiet
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(
            path.encode(), llama.llama_model_default_params()
        )
        if not self.model:
            raise SystemExit(f"{path} is no model that llama.cpp loads")
        settings = llama.llama_context_default_params()
        settings.n_ctx = sequences * (-(-positions // 256) * 256)
        settings.n_batch = settings.n_ubatch = 512
        settings.n_seq_max = sequences
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = 1 if flash else 0
        self.context = llama.llama_init_from_model(self.model, settings)
        vocabulary = llama.llama_model_get_vocab(self.model)
        self.vocabulary = llama.llama_vocab_n_tokens(vocabulary)
        self.batch = llama.llama_batch_init(512, 0, 1)

    def forget(self):
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)

    def read(self, rows):
        """Computes (token, position, sequence, wants logits) for each row."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        if llama.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")

    def likeliest(self, rows):
        """The likeliest next token after each of the last batch's rows that wanted logits."""
        logits = llama.llama_get_logits(self.context)
        pointer = ctypes.cast(logits, ctypes.POINTER(ctypes.c_float))
        return numpy.ctypeslib.as_array(pointer, (rows, self.vocabulary)).argmax(1).tolist()

    def answer(self, prompts, count):
        """`count` greedy tokens for each prompt, all prompts side by side."""
        self.forget()
        rows = [
            (token, position, sequence, position == len(prompt) - 1)
            for sequence, prompt in enumerate(prompts)
            for position, token in enumerate(prompt)
        ]
        answers = [[] for _ in prompts]
        for start in range(0, len(rows), 512):
            part = rows[start : start + 512]
            self.read(part)
            ends = [sequence for _, _, sequence, wanted in part if wanted]
            if ends:
                for sequence, token in zip(ends, self.likeliest(len(ends))):
                    answers[sequence].append(token)
        for step in range(count - 1):
            self.read(
                [(a[-1], len(p) + step, i, True) for i, (a, p) in enumerate(zip(answers, prompts))]
            )
            for answer, token in zip(answers, self.likeliest(len(prompts))):
                answer.append(token)
        return answers


def main():
    chosen = measuring.reading_options(__doc__).parse_args()
    version = f"llama.cpp (llama-cpp-python {llama.__version__})"
    flash = chosen.precision == "q-flash"
    if chosen.check:
        prompt = [int(token) for token in chosen.check.split(",")]
        model = Model(chosen.model, chosen.threads, 1, len(prompt) + chosen.generate, flash)
        print(*model.answer([prompt], chosen.generate)[0], sep=",")
    elif chosen.work == "prefill":
        model = Model(chosen.model, chosen.threads, 1, chosen.length, flash)
        seed = 0

        def work():
            nonlocal seed
            seed += 1
            model.answer([measuring.tokens(chosen.length, model.vocabulary, seed)], 1)

        measuring.measure("prefill", "tok/s", chosen.length, chosen, version, work)
    else:
        positions = chosen.prompt + chosen.generate
        model = Model(chosen.model, chosen.threads, chosen.requests, positions, flash)
        chosen.vocabulary = model.vocabulary
        measuring.measure_answers(chosen, version, model.answer)


main()
