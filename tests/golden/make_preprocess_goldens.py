#!/usr/bin/env python3
"""Makes tests/clustering/golden/preprocess.json: what the published preprocessing makes of small texts.

    make_preprocess_goldens.py PREPROCESS_PY STOP_WORDS

PREPROCESS_PY is data/preprocess.py of DCN-FAU-AvH/clustering-hardmax-transformers, whose functions run as they are (its
module would read the whole of IMDb); STOP_WORDS is corpora/stopwords/english of nltk_data, the list of 179. Needs nltk
(3.8 was used) for its tokenizer and its lemmatiser; the nouns are those of tests/clustering/golden/wordnet, a few
in WordNet's format. Nothing here runs when telos is built or tested.
"""
import ast
import json
import pathlib
import random
import re
import sys
from collections import defaultdict

from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.tokenize import NLTKWordTokenizer

OUT = pathlib.Path(__file__).resolve().parent.parent / "clustering" / "golden"

TEXTS = [
    "A wonderful little production. <br /><br />The filming technique is very unassuming.",
    "See http://www.imdb.com/title/tt0111161/ or https://x and www.a.b, www. and http:// and xhttp://y<br />z",
    "word<br /><br />word <> <<b>> a<b unclosed, <i>x</i>y 3 < 4 and 5 > 2",
    "I can't, don't; won't... It's the film's 'best' scene!!! Wasn't it?-yes--no",
    "sooooo goooood!!! aaabbbccc AAAaaa 1a1a1a1 100% of 10/10 stars",
    "You cannot wanna gonna gotta gimme lemme Cannot GONNA wannabe cannots",
    "caf\u00e9 na\u00efve \u201cquoted\u201d em\u2014dash \u2026 \U0001f600 smile \u4e2d\u6587 \u0663digits\u0664",
    "a\u00a0b c \u00a0d e\u00a0\u00a0f g\u2003h\u3000\u3000i j\u0085k l\u2028m\tn\u00a0.o .\u00a0p",
    "line one\nline two\r\nline\tthree\x0bfour\x0cfive\x1csix\x1fseven \x07 bell \x7f",
    "movies women Women wolves knives boxes quizzes churches wishes cities glasses buses men feet mice geese children",
    "ss s as us has was does this glass sses seseses classes classses ies tomatoes series species data criteria",
    "He she THE The i I me My us them theirs themselves Themselves shan mustn ma ain y o re",
    "", " ", "\u00a0", ".,!?-", "123", "<br />", "http://only.a.link", "the and of", "x",
]
FRAGMENTS = ["good ", "Movies", "films ", "women", "ves", "can", "not", "cannot ", "gonna", " wan", "na ", "the ", "The", "don't ",
             "it's", "http://", "https://a", "www.", " ", "  ", "\t", "\n", "<", ">", "<br />", "/>", ".", ",", "!", "?", "-", "--",
             "'", "\"", "&", "7", "42 ", "aaa", "bb", "b", "S", "ss", "s ", "\u00a0", "\u2003", "\u0085", "\u00e9", "\u00a0 ",
             "\U0001f600", "_", "\\", "[", "wolves ", "mice ", "children", "boxes", "us ", "as "]


def published(path: str) -> dict:
    """The functions of the published module, without what it does when it is loaded."""
    tree = ast.parse(pathlib.Path(path).read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = {"re": re}
    exec(compile(tree, path, "exec"), names)  # noqa: S102: the published code is what is to run
    return names


def lemmatiser(folder: pathlib.Path):
    """nltk's lemmatiser on index.noun and noun.exc alone: its reader wants the whole of WordNet."""
    reader = WordNetCorpusReader.__new__(WordNetCorpusReader)
    reader._lemma_pos_offset_map = defaultdict(dict)
    for line in (folder / "index.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            reader._lemma_pos_offset_map[line.split()[0]]["n"] = []
    reader._exception_map = {"n": {}}
    for line in (folder / "noun.exc").read_text(encoding="utf-8").splitlines():
        word, *lemmas = line.split()
        reader._exception_map["n"][word] = lemmas

    class Lemmatizer:  # WordNetLemmatizer.lemmatize(), with this reader
        def lemmatize(self, word: str) -> str:
            lemmas = reader._morphy(word, "n")
            return min(lemmas, key=len) if lemmas else word

    return Lemmatizer


def main() -> None:
    names = published(sys.argv[1])
    names["stopwords"] = set(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").split())
    assert len(names["stopwords"]) == 179
    # After cleaning no character is left at which word_tokenize() would divide sentences.
    names["word_tokenize"] = NLTKWordTokenizer().tokenize

    class NoLemmas:
        def lemmatize(self, word: str) -> str:
            return word

    chance = random.Random(1)
    texts = TEXTS + ["".join(chance.choices(FRAGMENTS, k=chance.randint(1, 24))) for _ in range(300)]
    records = []
    for text in texts:
        record = {"text": text}
        for key, lemmas in (("words", NoLemmas), ("lemmas", lemmatiser(OUT / "wordnet"))):
            names["WordNetLemmatizer"] = lemmas
            record[key] = names["preprocess_pipeline"](names["clean_pipeline"](text)).split(" ")
            record[key] = [word for word in record[key] if word]
        if record["lemmas"] == record["words"]:
            del record["lemmas"]
        records.append(record)
    lines = ",\n".join(json.dumps(record) for record in records)
    (OUT / "preprocess.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
