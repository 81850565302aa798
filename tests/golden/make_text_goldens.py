#!/usr/bin/env python3
"""Makes tests/golden/text/: small tokenizers, texts, and what the reference library `tokenizers` makes of them.

Everything follows from one seed, so that running this again gives the same lines and the same expectations.

  lines.txt          one JSON string a line: the texts
  <name>.json        a tokenizer.json of about a thousand tokens, trained here on the generated texts
  <name>.expected    one line a text: 16 hex digits, FNV-1a over ids, byte offsets and special flags (see fnv())
  <name>.examples    every 40th text in full: {"line", "ids", "offsets", "special", "decoded", "skipped"}

Usage: make_text_goldens.py [--check LINE TOKENIZER]   the latter prints what the reference says of one line
"""
import json
import os
import random
import struct
import sys

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers)

SEED = 20241125
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "text")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")

# ---- texts -----------------------------------------------------------------------------------------------------------

# Public-domain openings and sayings; several scripts.
SENTENCES = [
    "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse",
    "It was the best of times, it was the worst of times; it was the age of wisdom, it was the age of foolishness",
    "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do",
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.",
    "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se fermaient si vite",
    "Alle glücklichen Familien gleichen einander; jede unglückliche Familie ist auf ihre eigene Weise unglücklich.",
    "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich zu einem ungeheueren Ungeziefer verwandelt",
    "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un hidalgo",
    "Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura, ché la diritta via era smarrita.",
    "Alla lyckliga familjer liknar varandra; Příliš žluťoučký kůň úpěl ďábelské ódy; Zażółć gęślą jaźń; şişli İstanbul ığdır",
    "Μῆνιν ἄειδε, θεά, Πηληϊάδεω Ἀχιλῆος οὐλομένην, ἣ μυρί᾽ Ἀχαιοῖς ἄλγε᾽ ἔθηκε. Η Αθήνα είναι ΩΡΑΊΑ πόλη ΣΟΦΌΣ",
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. Ёлка, йод, Київ, їжак",
    "بِسْمِ اللَّهِ الرَّحْمَٰنِ الرَّحِيمِ كان يا ما كان في قديم الزمان وسالف العصر والأوان ملك ١٢٣٤",
    "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם וְאֵת הָאָרֶץ. שלום עולם",
    "धर्मक्षेत्रे कुरुक्षेत्रे समवेता युयुत्सवः। मामकाः पाण्डवाश्चैव किमकुर्वत सञ्जय॥ नमस्ते १२३",
    "กาลครั้งหนึ่งนานมาแล้ว มีเจ้าหญิงองค์หนึ่ง อาศัยอยู่ในปราสาท ๑๒๓",
    "道可道,非常道。名可名,非常名。無名天地之始;有名萬物之母。 人之初,性本善",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。カタカナ ガギグゲゴ がぎぐげご",
    "나랏말싸미 듕귁에 달아 문자와로 서르 사맛디 아니할쎄 이런 젼차로 어린 백성이 니르고져",
    "Tiếng Việt: Trăm năm trong cõi người ta, chữ tài chữ mệnh khéo là ghét nhau. Được đấy!",
]
CODE = [
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // dot product",
    "def f(x, *args, **kw):\n\treturn {k: v**2 for k, v in kw.items() if v is not None}\n",
    "SELECT name, COUNT(*) FROM t WHERE id >= 10 GROUP BY 1 ORDER BY 2 DESC;",
    "https://example.org/path/to?query=1&x=%20y#frag mailto:a.b+c@mail.example.com",
    "#include <vector>\r\n#define MAX(a,b) ((a)>(b)?(a):(b))\r\n",
    '{"key": [1, 2.5e-3, null, true], "s": "a\\"b\\u00e9"}',
    "C:\\Users\\me\\file.txt ~/.config/x ../up --flag=value -x $HOME `ls`",
    "0xDEADBEEF 1_000_000 3.14159 1e-10 1,234,567.89 12:34:56 2024-11-25 +49 30 1234567 50% $9.99 №7 ½ ² Ⅷ ٣ ㊿",
]
EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇫🇷🇯🇵", "❤️", "☺", "🧑🏿‍🚀", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "©️", "™", "🫠", "🪿"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\r", " \n", "\n ", "\u00a0", "\u3000", "\u2003", "\u2009", "\u202f", "\u2028",
          "\u2029", "\u0085", "\u000b", "\u000c", "\u1680", "\u200b", "\u200c", "\u200d", "\ufeff", "\u2060", "\u180e", "\u001c"]
CONTROLS = ["\u0000", "\u0001", "\u0007", "\u001b", "\u007f", "\u0080", "\u009f", "\u00ad", "\u061c", "\u200e", "\u202e", "\ufffd", "\ufff9",
            "\ue000", "\U000f0000", "\uffff", "\U0010ffff", "\U000e0001"]
MARKS = ["\u0301", "\u0300", "\u0308", "\u0323", "\u0327", "\u0328", "\u0345", "\u031b", "\u0334", "\u20dd", "\u0902", "\u093f", "\u094d",
         "\u0e31", "\u0e48", "\u05b8", "\u064b", "\u3099", "\u309a", "\ufe0f", "\u1ab0", "\u0344", "\u0f73", "\u0f71", "\u0f74", "\u0315"]
LIGATURES = ["ﬁ", "ﬀ", "ﬃ", "ﬆ", "Ǆ", "ǆ", "Ĳ", "ŉ", "ſ", "ß", "ẞ", "İ", "ı", "K", "Å", "Ω", "ﷺ", "㎏", "①", "Ａｂ１", "ｶﾞ", "½", "²", "℡",
             "Ⅻ", "…", "‰", "″", "㍿", "ﹰ", "ﻼ", "\u1e9b\u0323", "Ở", "ǭ", "각", "ㄱ", "\u1100\u1161\u11a8", "\u1112\u1161\u11ab", "\uac00\u11a8"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["—", "–", "“", "”", "‘", "’", "«", "»", "¿", "¡", "、", "。", "・", "،", "؟", "।", "‐",
                                                        "´", "¨", "¬", "§", "¶", "€", "×", "→", "∑", "′", "⟨", "⸮", "⹃", "𐩐", "᱾"]
CONTRACTIONS = ["don't", "DON'T", "we'll", "WE'LL", "I'm", "they've", "you're", "he'd", "it's", "IT'S", "o'clock", "'tis", "rock'n'roll",
                "'Re", "'vE", "'LL", "'ſ", "a'sb", "''s", "'", "'l", "'r"]
SPECIALS = ["[CLS]", "[SEP]", "[UNK]", "[MASK]", "[PAD]", "<s>", "</s>", "<unk>", "<mask>", "<|endoftext|>", "<|begin_of_text|>", "<|im_start|>",
            "<0x0A>", "▁", "##ing", "Ġthe", "[cls]", "[ MASK ]", "<mask", "xyzzy", "XYZZY", "Xyzzy", "naïf", "naif", "NAÏF", "<w>", "<ls>",
            "<rs>", "<lr>"]


def random_char(rng):
    """Any assigned-looking region of Unicode, the first planes most of the time."""
    area = rng.random()
    if area < 0.35:
        return chr(rng.randrange(0x20, 0x250))
    if area < 0.85:
        c = rng.randrange(0x250, 0x10000)
    else:
        c = rng.randrange(0x10000, 0x20000 if area < 0.97 else 0x110000)
    return chr(c) if not 0xD800 <= c < 0xE000 else "\ufffd"


def words(rng, n):
    return rng.sample([w for s in SENTENCES for w in s.split()], n)


def line(rng):
    kind = rng.randrange(16)
    if kind == 0:
        sentence = rng.choice(SENTENCES)
        i = rng.randrange(len(sentence))
        return sentence[i:i + rng.randrange(1, 80)]
    if kind == 1:
        return " ".join(words(rng, rng.randrange(1, 9)))
    if kind == 2:
        text = rng.choice(CODE)
        return text[rng.randrange(len(text) // 2):]
    if kind == 3:
        return "".join(rng.choice(words(rng, 3) + EMOJI) + rng.choice(["", " "]) for _ in range(rng.randrange(1, 8)))
    if kind == 4:
        return "".join(rng.choice(words(rng, 4)) + rng.choice(SPACES) * rng.randrange(1, 4) for _ in range(rng.randrange(1, 7)))
    if kind == 5:
        return "".join(rng.choice(CONTROLS + words(rng, 4) + [" "]) for _ in range(rng.randrange(1, 10)))
    if kind == 6:
        return "".join(rng.choice("aeiouAEIOUnNxקकกあ가ä") + "".join(rng.choice(MARKS) for _ in range(rng.randrange(0, 4)))
                       for _ in range(rng.randrange(1, 12)))
    if kind == 7:
        return "".join(rng.choice(LIGATURES + words(rng, 3) + [" "]) for _ in range(rng.randrange(1, 10)))
    if kind == 8:
        return rng.choice(["a", "ab", "é", "中", "1", " ", ".", "=", "😀", "A", "the", "\n", "ㅋ", "e\u0301"]) * rng.randrange(2, 130)
    if kind == 9:
        return "".join(rng.choice(PUNCT + words(rng, 6) + [" "]) for _ in range(rng.randrange(1, 14)))
    if kind == 10:
        return rng.choice(["", " "]).join(rng.choice(CONTRACTIONS + words(rng, 3)) for _ in range(rng.randrange(1, 7)))
    if kind == 11:
        return "".join(rng.choice(SPECIALS + words(rng, 3) + [" ", "  ", "\u3000", "_", "é"]) for _ in range(rng.randrange(1, 10)))
    if kind == 12:
        return "".join(str(rng.randrange(10 ** rng.randrange(1, 14))) + rng.choice(["", " ", ",", ".", "٣", "k", "\n"])
                       for _ in range(rng.randrange(1, 6)))
    if kind in (13, 14):
        return "".join(random_char(rng) for _ in range(rng.randrange(1, 24)))
    pool = SPACES + CONTROLS + MARKS + LIGATURES + PUNCT + CONTRACTIONS + SPECIALS + EMOJI + words(rng, 30)
    return "".join(rng.choice(pool) for _ in range(rng.randrange(1, 16)))


def make_lines():
    rng = random.Random(SEED)
    lines = ["", " ", "\n", "Hello world", "Hello, y'all! How are you 😁 ?"] + SENTENCES + CODE
    # A walk over all of Unicode that meets every script: each 23rd code point, 24 of them a line, with a letter between
    # some so that marks have something to stand on.
    walk = [c for c in range(0, 0x32000, 23) if not 0xD800 <= c < 0xE000]
    for i in range(0, len(walk), 24):
        lines.append("".join(chr(c) + ("o" if k % 3 == 0 else "") for k, c in enumerate(walk[i:i + 24])))
    while len(lines) < 6000:
        lines.append(line(rng))
    return lines


# ---- tokenizers ------------------------------------------------------------------------------------------------------

def training_texts():
    rng = random.Random(SEED + 1)
    texts = SENTENCES * 8 + CODE * 4
    for _ in range(600):
        texts.append(" ".join(words(rng, 8)))
        texts.append(rng.choice(CONTRACTIONS) + " " + rng.choice(EMOJI) + " " + rng.choice(words(rng, 2)) + rng.choice(PUNCT))
    return texts


def odd_added_tokens():
    """One of each behaviour of added tokens."""
    return [AddedToken("xyzzy", normalized=True), AddedToken("naïf", normalized=True, single_word=True),
            AddedToken("<w>", single_word=True, normalized=False), AddedToken("<ls>", lstrip=True, normalized=False),
            AddedToken("<rs>", rstrip=True, normalized=False, special=True),
            AddedToken("<lr>", lstrip=True, rstrip=True, normalized=False)]


def wordpiece(cased):
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40 if cased else 100))
    tok.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tok.train_from_iterator(training_texts(), trainers.WordPieceTrainer(vocab_size=900, limit_alphabet=300, special_tokens=special,
                                                                        show_progress=False))
    cls, sep = tok.token_to_id("[CLS]"), tok.token_to_id("[SEP]")
    if cased:
        tok.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
        tok.add_tokens(odd_added_tokens())
    else:
        tok.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
                                                           [("[CLS]", cls), ("[SEP]", sep)])
    tok.decoder = decoders.WordPiece()
    return tok


def byte_bpe(pre, post, special, normalizer=None, size=700, **model):
    tok = Tokenizer(models.BPE(**model))
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre
    tok.train_from_iterator(training_texts(), trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.post_processor = post(tok)
    tok.decoder = decoders.ByteLevel()
    return tok


def gpt2():
    return byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), lambda t: processors.ByteLevel(trim_offsets=False), ["<|endoftext|>"])


def roberta():
    tok = byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=True),
                   lambda t: processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>"))),
                   ["<s>", "<pad>", "</s>", "<unk>"])
    tok.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    tok.add_tokens(odd_added_tokens())
    return tok


def split_regex(pattern, **kw):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated", invert=False),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def llama3():
    begin = "<|begin_of_text|>"
    tok = byte_bpe(split_regex(LLAMA3),
                   lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=True),
                                                  processors.TemplateProcessing(begin + " $A", begin + " $A " + begin + ":1 $B:1",
                                                                                [(begin, t.token_to_id(begin))])]),
                   [begin, "<|end_of_text|>"])
    # ignore_merges takes words that no sequence of merges makes.
    data = json.loads(tok.to_str())
    data["model"]["ignore_merges"] = True
    known = {a + b for a, b in map(tuple, data["model"]["merges"])}
    merges, usable = [], {t for t in data["model"]["vocab"] if t not in known}
    for k, (a, b) in enumerate(data["model"]["merges"]):
        if k % 7 != 3 and a in usable and b in usable:
            merges.append([a, b])
            usable.add(a + b)
    data["model"]["merges"] = merges
    return Tokenizer.from_str(json.dumps(data))


def qwen2():
    return byte_bpe(split_regex(QWEN2), lambda t: processors.ByteLevel(add_prefix_space=False, trim_offsets=False),
                    ["<|endoftext|>", "<|im_start|>"], normalizer=normalizers.NFC())


def llama2(metaspace):
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.normalizer = legacy
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")  # words for training only
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    tok.train_from_iterator(training_texts(), trainers.BpeTrainer(vocab_size=900, limit_alphabet=200, special_tokens=special,
                                                                  show_progress=False))
    data = json.loads(tok.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["id"] < 3]  # byte tokens are not special
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]  # the older spelling
    tok = Tokenizer.from_str(json.dumps(data))
    if metaspace:
        tok.normalizer = normalizers.NFKC()
        tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
        tok.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    else:
        tok.pre_tokenizer = None
        tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                         decoders.Strip(" ", 1, 0)])
    tok.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s>:1 $B:1", [("<s>", 1)])
    data = json.loads(tok.to_str())
    if not metaspace:  # keep the older spelling of merges in one file
        data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    return data


def mixed():
    """Parts that no well-known tokenizer needs all at once: unknown tokens without fusing, affixes, many splits."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="@@", end_of_word_suffix="</w>"))
    tok.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                                           normalizers.Replace(Regex(" {2,}"), " "), normalizers.Replace("...", "…")])
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Punctuation("merged_with_next"),
        pre_tokenizers.Split(Regex(r"[\p{N}a-c]{2}"), "merged_with_previous"), pre_tokenizers.Split("e", "contiguous"),
        pre_tokenizers.CharDelimiterSplit("q")])
    tok.train_from_iterator(training_texts(), trainers.BpeTrainer(vocab_size=600, limit_alphabet=120, special_tokens=["<unk>"],
                                                                  continuing_subword_prefix="@@", end_of_word_suffix="</w>",
                                                                  show_progress=False))
    tok.decoder = decoders.BPEDecoder()
    tok.add_tokens(odd_added_tokens())
    return tok


def digits():
    return byte_bpe(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                             pre_tokenizers.Split(Regex(CL100K), "removed", invert=True),
                                             pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
                    lambda t: processors.ByteLevel(trim_offsets=True), ["<|endoftext|>"], normalizer=normalizers.NFD(), size=500)


MAKERS = {
    "bert_uncased": lambda: wordpiece(False), "bert_cased": lambda: wordpiece(True), "gpt2": gpt2, "roberta": roberta, "llama3": llama3,
    "qwen2": qwen2, "llama2": lambda: llama2(False), "metaspace": lambda: llama2(True), "mixed": mixed, "digits": digits,
}

# ---- expectations ----------------------------------------------------------------------------------------------------


def encode(tok, text):
    """ids, offsets in bytes of the UTF-8 text, special flags."""
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    e = tok.encode(text)
    return e.ids, [(at[a], at[b]) for a, b in e.offsets], e.special_tokens_mask


def fnv(ids, offsets, special):
    """FNV-1a, 64 bits, over the little-endian 32-bit words id, begin, end, special of each token."""
    h = 0xCBF29CE484222325
    for i, (a, b), s in zip(ids, offsets, special):
        for byte in struct.pack("<IIII", i, a, b, s):
            h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def write(name, text):
    with open(os.path.join(HERE, name), "w", encoding="utf-8", newline="\n") as out:
        out.write(text)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--check":
        tok = Tokenizer.from_file(os.path.join(HERE, sys.argv[3] + ".json"))
        with open(os.path.join(HERE, "lines.txt"), encoding="ascii") as f:
            text = json.loads(f.read().split("\n")[int(sys.argv[2]) - 1])
        print(ascii(text), *encode(tok, text), tok.encode(text).tokens, sep="\n")
        return
    os.makedirs(HERE, exist_ok=True)
    lines = make_lines()
    write("lines.txt", "".join(json.dumps(l) + "\n" for l in lines))
    print(f"tokenizers {tokenizers.__version__}; {len(lines)} lines")
    for name, make in MAKERS.items():
        made = make()
        data = made if isinstance(made, dict) else json.loads(made.to_str())
        write(name + ".json", json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
        tok = Tokenizer.from_file(os.path.join(HERE, name + ".json"))
        hashes, examples = [], []
        for k, text in enumerate(lines):
            ids, offsets, special = encode(tok, text)
            hashes.append(f"{fnv(ids, offsets, special):016x}\n")
            if k % 40 == 0:
                examples.append(json.dumps({"line": k + 1, "ids": ids, "offsets": [x for ab in offsets for x in ab], "special": special,
                                            "decoded": tok.decode(ids, skip_special_tokens=False),
                                            "skipped": tok.decode(ids, skip_special_tokens=True)}, separators=(",", ":")) + "\n")
        write(name + ".expected", "".join(hashes))
        write(name + ".examples", "".join(examples))
        print(f"{name}: {tok.get_vocab_size()} tokens, {sum(map(len, examples))} bytes of examples")


if __name__ == "__main__":
    main()
