#!/usr/bin/env python3
"""Writes the tables of a document anew: what stands between a line `<!-- comd … -->` and `<!-- end -->`
becomes what that command prints.

usage: tables.py --comd FILE DOCUMENT...
"""

import argparse
import pathlib
import re
import subprocess

BLOCK = re.compile(r"(<!-- comd ([^\n]*) -->\n).*?(<!-- end -->)", re.S)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comd", required=True)
    parser.add_argument("documents", nargs="+", type=pathlib.Path)
    chosen = parser.parse_args()

    def printed(match):
        words = [chosen.comd, *match[2].split()]
        table = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return f"{match[1]}{table}{match[3]}"

    for document in chosen.documents:
        document.write_text(BLOCK.sub(printed, document.read_text()))


if __name__ == "__main__":
    main()
