"""What the command-line tests share: running telos, tiny models, the form of an error, one ctest entry a method."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TELOS = ""  # set by main()
GOLDEN = Path(__file__).resolve().parent.parent / "golden"
MODELS = GOLDEN / "models"
TEXT = Path(__file__).resolve().parent.parent.parent / "examples" / "text" / "origin.txt"


# Set where telos is built with a sanitizer: everything takes ten times as long.
SLOW = bool(os.environ.get("TELOS_TEST_SLOW"))


def run(*arguments, stdin=None, env=None, timeout=600 if SLOW else 120):
    environment = {**os.environ, "NO_COLOR": "1", **(env or {})}
    return subprocess.run([TELOS, *map(str, arguments)], input=stdin, capture_output=True, text=True, encoding="utf-8",
                          env=environment, timeout=timeout)


def read_safetensors(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])]) for name, t in header.items()}


def write_safetensors(path, tensors, header_pad=0):
    header, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode() + b" " * header_pad
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


class Case(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.dir = Path(self.scratch.name)

    def tearDown(self):
        self.scratch.cleanup()

    def model(self, family, change=None, config=None):
        """A copy of a golden model; `change` edits its tensors, `config` its config.json (None drops the file)."""
        target = self.dir / family
        target.mkdir()
        tensors = read_safetensors(MODELS / family / "model.safetensors")
        if change:
            tensors = change(tensors) or tensors
        write_safetensors(target / "model.safetensors", tensors)
        original = json.loads((MODELS / family / "config.json").read_text())
        if config != "none":
            (target / "config.json").write_text(json.dumps({**original, **(config or {})}))
        return target

    def assert_error(self, result, code, *words):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "", "results only on stdout")
        self.assertTrue(result.stderr.startswith("telos: "), result.stderr)
        self.assertNotIn("\n\n", result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)


def main(module, cases):
    """cli_test.py --list | TELOS-BINARY [CASE ...]"""
    global TELOS
    loader = unittest.TestLoader()
    names = [f"{case.__name__}.{test}" for case in cases for test in loader.getTestCaseNames(case)]
    if sys.argv[1:] == ["--list"]:
        print("\n".join(names))
        sys.exit(0)
    TELOS = os.path.abspath(sys.argv[1])
    suite = loader.loadTestsFromNames(sys.argv[2:] or names, sys.modules[module])
    sys.exit(0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1)
