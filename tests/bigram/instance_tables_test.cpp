#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "telos/bigram/instance.h"
#include "telos/io/files.h"
#include "tests/bigram/oracle.h"
#include "tests/io/support.h"
#include "tests/positional/complaint.h"

namespace telos::bigram {
namespace {

using telos::test::complaint;
using ::testing::ElementsAre;

constexpr const char* kColumns = ".6 .3 .2\n.3 .5 .2\n.1 .2 .6\n";
constexpr const char* kRows = ".6,.3,.1\n.3,.5,.2\n.2,.2,.6\n";
constexpr const char* kMatrix = ".75\t0\t0\n0\t.5\t0\n.25\t0\t.4\n0\t.5\t.6\n";
constexpr const char* kList = "token position weight\n0 0 .75\n0 2 .25\n1 1 .5\n1 3 .5\n2 3 .6\n2 2 .4\n";

/// A pair of files, P.tsv and q.tsv.
class Files {
 public:
  Files(const std::string& p, const std::string& q) {
    write_file_atomically(tables.p_path, p);
    write_file_atomically(tables.q_path, q);
  }
  Instance read(std::vector<std::string>* notes = nullptr) const {
    return read_instance_tables(tables, notes);
  }
  /// What is said of them, without the directory.
  std::string refusal() const {
    std::string text = complaint([&] { read(); });
    const std::string path = directory_ / "";
    for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path))
      text.erase(at, path.size());
    return text;
  }

 private:
  telos::test::ScratchDirectory directory_;

 public:
  InstanceTables tables{.p_path = directory_ / "P.tsv", .q_path = directory_ / "q.tsv"};
};

std::string refusal_of(const std::string& p, const std::string& q, std::size_t length = 4) {
  Files files(p, q);
  if (q.starts_with("token")) files.tables.length = length;
  return files.refusal();
}

void expect_oracle(const Instance& found) {
  EXPECT_EQ(instance_json(found), instance_json(test::oracle()));
}

TEST(InstanceTables, EveryFormIsTheSameTask) {
  Files files(kColumns, kMatrix);
  expect_oracle(files.read());
  files.tables.length = 4;
  files.tables.sparsity = 2;
  expect_oracle(files.read());
  Files rows(kRows, kList);
  rows.tables.p_by_rows = true;
  rows.tables.length = 4;
  expect_oracle(rows.read());
  expect_oracle(Files("  .6   .3 .2 \n.3 .5  .2\r\n\n.1 .2 .6", kMatrix).read());
}

TEST(InstanceTables, NamesOfTokens) {
  Files files("\ta\tb\tc\na\t.6\t.3\t.2\nb\t.3\t.5\t.2\nc\t.1\t.2\t.6\n",
              "token,position,weight\na,0,.75\na,2,.25\nb,1,.5\nb,3,.5\nc,2,.4\nc,3,.6\n");
  files.tables.length = 4;
  const Instance instance = files.read();
  EXPECT_THAT(instance.names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(instance.q[2].positions, ElementsAre(2, 3));
  EXPECT_THAT(Files("a b c\n.6 .3 .2\n.3 .5 .2\n.1 .2 .6\n", kMatrix).read().names,
              ElementsAre("a", "b", "c"));
  EXPECT_EQ(refusal_of("\ta\tb\na\t.6\t.3\nc\t.4\t.7\n", "1\t1\n"),
            "bad_format | P.tsv | row 2 is called \"c\" and column 2 \"b\", expected the same names | ");
  EXPECT_EQ(refusal_of("a b\n.6 .3\n.4 .7\n", "b a\n0 1\n1 0\n"),
            "bad_format | q.tsv, column 1 | is called \"b\", expected \"a\" as in P | ");
  EXPECT_EQ(refusal_of("a b\n.6 .3\n.4 .7\n", "token position weight\nbb 0 1\n"),
            "bad_format | q.tsv, row 1 (line 2), column 1 (\"token\") | no token is called \"bb\" | did you "
            "mean \"b\"? known: a, b");
}

TEST(InstanceTables, RoundingAndRepetitionsAreNoted) {
  Files files(".6 .3 .2\n.3 .5 .2\n.1 .2 .6000005\n",
              "token position weight\n0 0 .5\n0 0 .25\n0 2 .25\n1 1 1\n2 3 1\n");
  files.tables.length = 4;
  std::vector<std::string> notes;
  EXPECT_THAT(files.read(&notes).q[0].weights, ElementsAre(.75, .25));
  EXPECT_THAT(
      notes,
      ElementsAre("q, column 0: positions given twice were merged and those without weight left out, 1 of 3",
                  "P: 1 column was divided by its sum, off 1 by up to 5e-07"));
}

TEST(InstanceTables, RefusesTransitions) {
  EXPECT_EQ(refusal_of(kRows, kMatrix),
            "bad_format | P.tsv, column 1 | sums to 1.1, expected 1 within 1e-06; the rows do sum to 1 | "
            "--orientation row reads them as the laws of what follows");
  Files turned(kColumns, kMatrix);
  turned.tables.p_by_rows = true;
  EXPECT_EQ(turned.refusal(),
            "bad_format | P.tsv, row 1 (line 1) | sums to 1.1, expected 1 within 1e-06; the columns do sum "
            "to 1 | --orientation col reads them as the laws of what follows");
  EXPECT_EQ(refusal_of("a\tb\n.5\t.2\n.5\t.7\n", "1\t1\n"),
            "bad_format | P.tsv, column 2 | sums to 0.9, expected 1 within 1e-06 | each column holds the "
            "probabilities of what follows a token");
  EXPECT_EQ(refusal_of("\ta\tb\na\t1.1\t.5\nb\t-.1\t.5\n", "1\t1\n"),
            "bad_format | P.tsv, row 2 (line 3), column 2 | is -0.1, expected a probability | ");
  EXPECT_EQ(refusal_of(".5 nan\n.5 .5\n", "1\t1\n"),
            "not_finite | P.tsv, row 1 (line 1), column 2 | expected a finite number, found \"nan\" | ");
  EXPECT_EQ(refusal_of(".5 .5\ninf .5\n", "1\t1\n"),
            "not_finite | P.tsv, row 2 (line 2), column 1 | expected a finite number, found \"inf\" | ");
  EXPECT_EQ(refusal_of(".5 .5\n.5 .5x\n", "1\t1\n"),
            "bad_format | P.tsv, row 2 (line 2), column 2 | expected a number, found \".5x\" | ");
  EXPECT_EQ(refusal_of(".5 .5\n.5\n", "1\t1\n"),
            "bad_format | P.tsv, line 2 | 1 cells, expected 2 as in the first record | ");
  EXPECT_EQ(refusal_of(".5 .5 .5\n.5 .5 .5\n", "1\t1\n"),
            "shape | P.tsv | has 2 rows and 3 columns of numbers, expected as many | ");
  EXPECT_EQ(refusal_of("", "1\t1\n"), "bad_format | P.tsv | no records | ");
  EXPECT_EQ(refusal_of("1 0\n0 1\n", "1\t1\n"),
            "bad_format | P.tsv, P | the chain falls apart into 2 strongly connected components: {0}, {1} | "
            "leave out tokens that cannot be reached from all others, or smooth the counts");
  EXPECT_EQ(refusal_of(".5 .5\n.5 .5\n", "1\t1\n"),
            "bad_format | P.tsv, P | all columns are nearly the stationary law (K_P = 0): there is nothing "
            "to learn | ");
  EXPECT_EQ(refusal_of(".9999999999 1\n.0000000001 0\n", "1\t1\n"),
            "bad_format | P.tsv, P | token 1 comes with probability 1e-10, expected at least 1e-09 | leave "
            "the token out, or smooth the counts");
}

TEST(InstanceTables, RefusesPositions) {
  EXPECT_EQ(refusal_of(kColumns, "1 1\n"),
            "shape | q.tsv | has 2 columns of numbers, expected one for each of 3 tokens | a list of "
            "positions begins with the line: token position weight");
  EXPECT_EQ(refusal_of(kColumns, ".5 1 1\n.6 0 0\n"),
            "bad_format | q.tsv, q, column 0 | sums to 1.1, expected 1 within 1e-06 | ");
  EXPECT_EQ(refusal_of(kColumns, "1.5 1 1\n-.5 0 0\n"),
            "bad_format | q.tsv, row 2 (line 2), column 1 | is -0.5, expected a probability | ");
  EXPECT_EQ(refusal_of(kColumns, "0 1 1\n"),
            "bad_format | q.tsv, q, column 0 | is empty, expected at least one position | ");
  EXPECT_EQ(refusal_of(kColumns, "token position weight\n0 0 1\n3 0 1\n"),
            "bad_format | q.tsv, row 2 (line 3), column 1 (\"token\") | expected a token from 0 to 2, found "
            "\"3\" | ");
  EXPECT_EQ(refusal_of(kColumns, "token position weight\n0 4 1\n"),
            "bad_format | q.tsv, row 1 (line 2), column 2 (\"position\") | expected a position from 0, below "
            "the length 4, found \"4\" | ");
  EXPECT_EQ(refusal_of(kColumns, "token position weight\n0 0 -1\n"),
            "bad_format | q.tsv, row 1 (line 2), column 3 (\"weight\") | expected a probability, found "
            "\"-1\" | ");
  EXPECT_EQ(Files(kColumns, kList).refusal(),
            "usage | q.tsv | a list of positions does not say how many there are | give the length, --t");
  EXPECT_EQ(refusal_of(kColumns, "token position weight\n", 0),
            "bad_format | q.tsv, length | is 0, expected 1 to 4294967295 | ");
  Files longer(kColumns, kMatrix);
  longer.tables.length = 5;
  EXPECT_EQ(longer.refusal(), "shape | q.tsv | has 4 rows, expected 5 positions | ");
  Files more(kColumns, kMatrix);
  more.tables.sparsity = 1;
  EXPECT_EQ(more.refusal(), "bad_format | q.tsv, token \"0\" | looks at 2 positions, expected at most 1 | ");
  EXPECT_EQ(
      complaint([] { read_instance_tables({.p_path = "/nonexistent/P.tsv", .q_path = ""}); }).substr(0, 12),
      "missing_file");
}

}  // namespace
}  // namespace telos::bigram
