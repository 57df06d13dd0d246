"""Writes rouge-l.json: what the rouge-score package says, for RougeLTests.

    python3 -m pip install rouge-score==0.1.2
    python3 make_rouge_l.py > rouge-l.json
"""
import importlib.metadata
import json
import random
import sys

from rouge_score import rouge_scorer, tokenize

scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)


def f_measure(candidate, reference):
    return scorer.score(reference, candidate)["rougeL"].fmeasure


by_hand = [
    ["", ""], ["", "a"], ["a", ""], ["!?", "!?"], ["a", "a"], ["a b", "b a"],
    ["What is the man doing?", "What is the woman doing?"],
    ["What is the man doing?", "what is THE man doing"],
    ["What color is the dog's collar?", "What colour is the dogs collar"],
    ["police killed the gunman", "police kill the gunman"],
    ["the gunman kill police", "police kill the gunman"],
    ["well-known", "well known"], ["don't", "don t"], ["3.5 cm", "35 cm"], ["a_b", "a b"],
    ["Où est le café?", "ou est le cafe"], ["naïve façade", "naive facade"],
    ["STRASSE", "straße"], ["Straße", "stra e"], ["İstanbul", "istanbul"], ["İ", "i"],
    ["5 \u212a", "5 k"], ["\u212aelvin", "kelvin"], ["ﬁne", "fine"], ["ＡＢＣ", "abc"],
    ["\u0130\u0130", "i i"], ["这是什么？", "这是什么？"], ["这 is 什么", "那 is"],
    ["🐶 dog 🐶", "dog"], ["e\u0301a", "\u00e9a"], ["a\u00a0b", "a b"], ["a\u200bb", "ab"],
    ["x²", "x 2"], ["Ⅳ", "iv"], ["١٢", "12"], ["a\tb\r\nc", "a b c"], ["\u0000a\u0000", "a"],
]
words = "the a dog cat man is on red what how many where in of car street two are there".split()
draw = random.Random(7)
drawn = [
    [" ".join(draw.choice(words) for _ in range(draw.randint(0, 24))) for _ in range(2)]
    for _ in range(300)
]
long = [" ".join(draw.choice(words) for _ in range(n)) for n in (130, 257)]
odd = {}
for code in range(0x110000):
    if 0xD800 <= code < 0xE000 or chr(code).isascii():
        continue
    tokens = tokenize.tokenize("a" + chr(code) + "b", None)
    if tokens != ["a", "b"]:
        odd[f"{code:04X}"] = tokens
json.dump(
    {
        "made_by": "make_rouge_l.py",
        "rouge_score": importlib.metadata.version("rouge-score"),
        "python": sys.version.split()[0],
        "scores": [[a, b, f_measure(a, b)] for a, b in by_hand + drawn + [long]],
        "tokens": [[a, tokenize.tokenize(a, None)] for a, _ in by_hand],
        # Scalars outside ASCII between "a" and "b" that do not just separate them.
        "scalars_that_do_not_separate": odd,
    },
    sys.stdout,
    ensure_ascii=True,
    indent=0,
)
