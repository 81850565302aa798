"""`telos bigram study` as its user meets it. Run like cli_test.py."""

import csv
import io
import json

import cli_case
from cli_case import Case, run

STUDY = ("bigram", "study")
# Small enough to be run in a moment.
QUICK = ("svm", "--set", "runs=2,iterations=4000")


class BigramStudies(Case):
    def test_help_ends_in_examples(self):
        result = run(*STUDY, "--help")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Examples:", result.stdout)

    def test_list(self):
        studies = run(*STUDY, "--list", "-o", "csv")
        self.assertEqual(studies.returncode, 0, studies.stderr)
        names = [row["study"] for row in csv.DictReader(io.StringIO(studies.stdout))]
        self.assertEqual(names, sorted(names))
        self.assertLessEqual({"causal-structure", "regression-mixture", "svm"}, set(names))
        parameters = run(*STUDY, "--list", "-o", "csv", "--table", "parameters")
        rows = list(csv.DictReader(io.StringIO(parameters.stdout)))
        self.assertEqual({row["study"] for row in rows}, set(names))
        whole = run(*STUDY, "--list").stdout
        for row in rows:
            self.assertIn(row["what"], whole)
        for row in csv.DictReader(io.StringIO(studies.stdout)):
            self.assertIn(row["claim"], whole)
        both = run(*STUDY, "svm", "--list")
        self.assertEqual(both.returncode, 2)
        self.assertIn("excludes --list", both.stderr)

    def test_unknown_study(self):
        self.assert_error(run(*STUDY, "smv"), 2, 'there is no study "smv"', 'did you mean "svm"?')

    def test_unknown_parameter(self):
        self.assert_error(run(*STUDY, "svm", "--set", "t=3"), 2, 'study svm: there is no parameter "t"', "known: n,")

    def test_out_of_range(self):
        self.assert_error(run(*STUDY, "svm", "--set", "n=3,d=500"), 2,
                          "study svm: d is 500, expected a whole number from 2 to 50")

    def test_what_is_not_a_setting(self):
        for text in ("d", "d=", "d=x"):
            self.assert_error(run(*STUDY, "svm", "--set", text), 2, f'--set: expected NAME=NUMBER, found "{text}"')
        self.assert_error(run(*STUDY, "--set", "d=3"), 2, "--set: sets one study, 0 are named")
        self.assert_error(run(*STUDY, "svm", "mesa", "--set", "d=3"), 2, "2 are named")

    def test_one_study(self):
        out = self.dir / "svm"
        result = run(*STUDY, *QUICK, "-o", "json", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertTrue(report["verdict"]["sentence"].startswith("The claim holds: "), report["verdict"])
        self.assertIn("iterations 4,000", result.stdout)
        (checks,) = (t for s in report["sections"] for t in s["tables"] if t["id"] == "svm-checks")
        self.assertTrue(all("yes" in str(row) for row in checks["rows"]))
        self.assertTrue((out / "report.html").exists())

    def test_same_for_any_number_of_threads(self):
        one, three = (run(*STUDY, *QUICK, "-o", "csv", "--table", "svm-checks", "--threads", n) for n in ("1", "3"))
        self.assertEqual(one.returncode, 0, one.stderr)
        self.assertEqual(one.stdout, three.stdout)
        other = run(*STUDY, *QUICK, "--seed", "2", "-o", "csv", "--table", "svm-checks")
        self.assertNotEqual(one.stdout, other.stdout)


if __name__ == "__main__":
    cli_case.main(__name__, [BigramStudies])
