#!/usr/bin/env python3
"""Writes src/text/unicode_tables.inc: the character properties that the reference library `tokenizers` acts on.

The reference takes each property from another Rust crate, and the crates follow different versions of Unicode
(unicode_categories 8, unicode-normalization-alignments 9, Oniguruma and regex 16, the Rust standard library 17). Identical
ids need those very sets, so each is read off the reference by asking it about every code point.

Usage: make_unicode_tables.py [OUTPUT]        needs the Python package tokenizers
"""
import os
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
EVERYTHING = "".join(map(chr, CODE_POINTS))


def removed_by_normalizer(n):
    return {c for c in CODE_POINTS if n.normalize_str("a" + chr(c) + "b") == "ab"}


def removed_by_split(pre):
    kept = set()
    for text, _ in pre.pre_tokenize_str(EVERYTHING):
        kept.update(text)
    return {c for c in CODE_POINTS if chr(c) not in kept}


def matched(regex):
    return removed_by_split(pre_tokenizers.Split(Regex(regex), "removed"))


def properties():
    """Name of the flag in unicode.h → set of code points, in the order of the bits."""
    bert = normalizers.BertNormalizer
    space = removed_by_split(pre_tokenizers.WhitespaceSplit())
    digits, words = pre_tokenizers.Digits(True), pre_tokenizers.Whitespace()
    nfd, nfkd, lower = normalizers.NFD(), normalizers.NFKD(), normalizers.Lowercase()
    return {
        "space": space,
        "control": removed_by_normalizer(bert(True, False, False, False)),
        "punctuation": removed_by_split(pre_tokenizers.Punctuation("removed")),
        "nonspacing": removed_by_normalizer(bert(False, False, True, False)),
        "combining": removed_by_normalizer(normalizers.StripAccents()),
        "letter": matched(r"\p{L}"),
        "number": matched(r"\p{N}"),
        "numeric": {c for c in CODE_POINTS if len(digits.pre_tokenize_str("a" + chr(c) + "b")) == 3},
        "word": {c for c in CODE_POINTS
                 if c not in space and len(words.pre_tokenize_str("a" + chr(c) + "b")) == 1},
        # A class other than zero: a following or leading mark of the lowest (1) or highest (240) class changes places.
        "reorders": {c for c in CODE_POINTS
                     if nfd.normalize_str(chr(c)) == chr(c) and
                     (nfd.normalize_str("a\u0345" + chr(c)) == "a" + chr(c) + "\u0345" or
                      nfd.normalize_str("a" + chr(c) + "\u0334") == "a\u0334" + chr(c) or c in (0x345, 0x334))},
        "decomposes": {c for c in CODE_POINTS if nfkd.normalize_str(chr(c)) != chr(c)},
        "lowers": {c for c in CODE_POINTS if lower.normalize_str(chr(c)) != chr(c)},
        "mark": matched(r"\p{M}"),
        "symbol": matched(r"\p{S}"),
        "other_punctuation": matched(r"\p{P}"),
    }


def lowercase_runs():
    """(first, last, step, delta): code points first, first + step, … last lower to themselves + delta."""
    lower = normalizers.Lowercase()
    runs = []
    for c in CODE_POINTS:
        low = lower.normalize_str(chr(c))
        if low == chr(c) or len(low) != 1:
            continue  # U+0130 alone lowers to two characters; unicode.cpp knows it
        delta = ord(low) - c
        if runs and runs[-1][3] == delta:
            first, last, step, _ = runs[-1]
            if (first == last and c - last in (1, 2)) or (first != last and c - last == step):
                runs[-1] = (first, c, c - last, delta)
                continue
        runs.append((c, c, 1, delta))
    return runs


def wrapped(items, width=116):
    line = ""
    for item in items:
        if line and len(line) + len(item) + 1 > width:
            yield line
            line = ""
        line += (" " if line else "") + item
    if line:
        yield line


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../../src/text/unicode_tables.inc")
    sets = properties()
    runs, previous = [], -1
    for c in range(0x110000):
        flags = sum(1 << bit for bit, members in enumerate(sets.values()) if c in members)
        if flags != previous:
            runs.append((c, flags))
            previous = flags
    with open(path, "w", encoding="ascii") as out:
        out.write(f"// Made by tests/golden/make_unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit.\n")
        out.write("// clang-format off\n\n")
        out.write("// {first code point of a run, flags of the run}\nconstexpr Run kRuns[] = {\n")
        out.writelines(line + "\n" for line in wrapped(f"{{{c:#x},{f:#x}}}," for c, f in runs))
        out.write("};\n\n// {first, last, step, delta}\nconstexpr LowerRun kLowerRuns[] = {\n")
        out.writelines(line + "\n" for line in wrapped(f"{{{a:#x},{b:#x},{s},{d}}}," for a, b, s, d in lowercase_runs()))
        out.write("};\n// clang-format on\n")
    print(f"{path}: {len(runs)} runs, " + ", ".join(f"{name} {len(s)}" for name, s in sets.items()))


main()
