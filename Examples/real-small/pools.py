#!/usr/bin/env python3
"""Turns ScienceQA's questions with pictures and Flickr8k's captions into the files of the example.

usage: pools.py DATA OUT

The first 512 questions with a picture become the instruction pool, the next 64 the examination; of
captions, those whose photo is in the data folder.
"""

import csv
import json
import os
import pathlib
import sys

POOL, EXAMINATION = 512, 64


def questions(data):
    with open(data / "scienceqa" / "test_4241.jsonl", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record.get("image"):
                yield record


def instruction(record):
    return {
        "id": record["id"],
        "image": "scienceqa/" + record["image"],
        "conversations": [{"from": "human", "value": "<image>\n" + record["question"]}],
    }


def item(record):
    return {
        "id": record["id"],
        "image": "images/scienceqa/" + record["image"],
        "question": record["question"] + "\nAnswer with the letter alone.",
        "answer": record["answer"],
        "category": "scienceqa",
    }


def captions(data):
    photos = data / "flickr8k_1000"
    with open(photos / "captions.txt", encoding="utf-8", newline="") as lines:
        for record in csv.DictReader(lines):
            if (photos / "images" / record["image"]).exists():
                yield {"image": "flickr/" + record["image"], "caption": record["caption"]}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    (out / "images").mkdir(parents=True, exist_ok=True)
    for name, folder in [("scienceqa", "scienceqa"), ("flickr", "flickr8k_1000/images")]:
        link = out / "images" / name
        if not link.is_symlink():
            os.symlink(data / folder, link)
    records = list(questions(data))
    (out / "instructions.json").write_text(json.dumps([instruction(r) for r in records[:POOL]]))
    (out / "captions.json").write_text(json.dumps(list(captions(data))))
    with open(out / "evaluation.jsonl", "w", encoding="utf-8") as lines:
        for record in records[POOL:POOL + EXAMINATION]:
            lines.write(json.dumps(item(record)) + "\n")


main()
