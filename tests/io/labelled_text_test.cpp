#include "telos/io/labelled_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "io/labelled_rows.h"
#include "telos/base/error.h"
#include "tests/io/support.h"

namespace telos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Options = LabelledTextOptions;

LabelledText parse(std::string_view text, const std::string& name, const Options& options = {}) {
  return label_rows(parse_labelled_rows(text, name, options), name, options);
}

template <class Call>
std::string complaint_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(to_string(error.kind())) + " | " + error.what() + " | " + error.hint();
  }
  return "no error";
}

std::string complaint(std::string_view text, const std::string& name, const Options& options = {}) {
  return complaint_of([&] { parse(text, name, options); });
}

TEST(LabelledText, CsvWithNamesOfColumns) {
  const LabelledText data = parse(
      "review,sentiment\n\"Good, he said \"\"really\"\"\",positive\r\n\"two\nlines\", negative \n", "a.csv");
  EXPECT_THAT(data.texts, ElementsAre("Good, he said \"really\"", "two\nlines"));
  EXPECT_THAT(data.labels, ElementsAre(1, 0));
  EXPECT_EQ(data.positive, "positive");
  EXPECT_EQ(data.negative, "negative");
  EXPECT_THAT(data.notes, IsEmpty());
}

TEST(LabelledText, TsvWithNamesTakesQuotesAsTheyAre) {
  const LabelledText data = parse("sentence\tLabel\nsays \"no\t0\n\"yes\" he says\t1\n", "a.tsv");
  EXPECT_THAT(data.texts, ElementsAre("says \"no", "\"yes\" he says"));
  EXPECT_THAT(data.labels, ElementsAre(0, 1));
}

TEST(LabelledText, TsvWithoutNamesFindsTheLabelsOnEitherSide) {
  const LabelledText last = parse("Not good.  \t0\nGood.\t1\nSo so\t0\n", "imdb_labelled.txt");
  EXPECT_THAT(last.texts, ElementsAre("Not good.", "Good.", "So so"));
  EXPECT_THAT(last.labels, ElementsAre(0, 1, 0));
  EXPECT_THAT(parse("1\tgood\n0\tbad\n1\tfine\n", "a.txt").labels, ElementsAre(1, 0, 1));
}

TEST(LabelledText, OtherColumnsAreLeftAlone) {
  EXPECT_THAT(parse("label\tid\trating\ttext\n1\t7\t10\tgood\n0\t8\t1\tbad\n", "a.tsv").texts,
              ElementsAre("good", "bad"));
}

TEST(LabelledText, LinesOfLabelAndText) {
  const LabelledText data = parse("1 a stirring , funny film\r\n\n0  dull\n", "stsa.binary.train");
  EXPECT_THAT(data.texts, ElementsAre("a stirring , funny film", "dull"));
  EXPECT_THAT(data.labels, ElementsAre(1, 0));
  const LabelledText fast = parse("__label__neg dull\n__label__pos fine\n", "a.txt");
  EXPECT_EQ(fast.positive, "pos");
  EXPECT_THAT(fast.labels, ElementsAre(0, 1));
}

TEST(LabelledText, JsonLines) {
  const LabelledText data = parse(
      "{\"id\": 1, \"text\": \"caf\\u00e9\", \"label\": true, \"extra\": [1]}\n\n{\"label\": false, "
      "\"text\": \"b\"}\n",
      "a.json");
  EXPECT_THAT(data.texts, ElementsAre("caf\u00e9", "b"));
  EXPECT_THAT(data.labels, ElementsAre(1, 0));
  const Options named{.text_column = "body", .label_column = "stars"};
  EXPECT_THAT(
      parse("{\"body\": \"a\", \"stars\": 2}\n{\"body\": \"b\", \"stars\": 1}", "a.jsonl", named).labels,
      ElementsAre(1, 0));
}

TEST(LabelledText, ColumnsByNameOrNumber) {
  EXPECT_THAT(parse("y,title,body\n1,t,a\n0,u,b\n1,v,c\n", "a.csv", {.text_column = "body"}).texts,
              ElementsAre("a", "b", "c"))
      << "a name that is asked for makes the first line one of names; y is the column with two values";
  EXPECT_THAT(parse("1,t,a\n2,u,b\n", "a.csv", {.text_column = "3", .label_column = "1"}).texts,
              ElementsAre("a", "b"));
}

TEST(LabelledText, WhichLabelIsPositive) {
  const auto positive = [](const std::string& a, const std::string& b) {
    const std::string one = parse(a + " x\n" + b + " y\n", "a.txt").positive;
    EXPECT_EQ(one, parse(b + " x\n" + a + " y\n", "a.txt").positive)
        << "the order of the file does not matter";
    return one;
  };
  EXPECT_EQ(positive("0", "1"), "1");
  EXPECT_EQ(positive("1", "2"), "2");
  EXPECT_EQ(positive("-1", "1"), "1");
  EXPECT_EQ(positive("10", "9"), "10");
  EXPECT_EQ(positive("POS", "neg"), "POS");
  EXPECT_EQ(positive("good", "zero"), "good");
  EXPECT_EQ(positive("bad", "art"), "art");
  EXPECT_EQ(positive("ham", "spam"), "spam");
  EXPECT_EQ(positive("1", "1.0"), "1.0");
  const LabelledText data = parse("spam x\nham y\n", "a.txt", {.positive = "ham"});
  EXPECT_EQ(data.positive, "ham");
  EXPECT_EQ(data.negative, "spam");
  EXPECT_THAT(data.labels, ElementsAre(0, 1));
}

TEST(LabelledText, EmptyTextsAreLeftOutWithANote) {
  const LabelledText data = parse("1\ta\n0\t \n0\tb\n1\t\n", "a.tsv");
  EXPECT_THAT(data.texts, ElementsAre("a", "b"));
  EXPECT_THAT(data.rows, ElementsAre(0, 2));
  EXPECT_THAT(data.notes, ElementsAre("2 empty texts were left out, the first at a.tsv, line 2"));
  EXPECT_THAT(parse("1\ta\n0\tb\n1\t\n", "a.tsv").notes,
              ElementsAre("1 empty text was left out, the first at a.tsv, line 3"));
}

TEST(LabelledText, ClassesThatAreNotTwo) {
  EXPECT_EQ(
      complaint("1 a\n1 b\n", "a.txt"),
      "bad_format | a.txt: all 2 texts have the label \"1\"; expected two classes | texts of both classes "
      "are needed");
  EXPECT_EQ(
      complaint("0 a\n1 b\n2 c\n", "a.txt"),
      "bad_format | a.txt, line 3: a third label \"2\", after \"0\" and \"1\"; expected two classes | leave "
      "the texts of "
      "other classes out, or name the column with the labels");
  EXPECT_THAT(complaint("label,text\n1,\n0, \n", "a.csv"), HasSubstr("bad_format | a.csv: no text is left"));
  EXPECT_EQ(complaint("label,text\n1,a\n,b\n", "a.csv"), "bad_format | a.csv, line 3: the label is empty | ");
  EXPECT_EQ(complaint("0 a\n1 b\n", "a.txt", {.positive = "2"}),
            "usage | a.txt: no text has the label \"2\" | did you mean \"0\"? known: 0, 1");
}

TEST(LabelledText, FilesThatAreNotRight) {
  EXPECT_EQ(complaint(" \n", "a.csv"), "bad_format | a.csv: the file is empty | expected labelled texts");
  EXPECT_EQ(complaint("text,label\na,1,2\n", "a.csv"),
            "bad_format | a.csv, line 2: 3 cells, expected 2 as in the first record | ");
  EXPECT_EQ(complaint("text\tlabel\na\n", "a.tsv"),
            "bad_format | a.tsv, line 2: 1 cells, expected 2 as in the first record | ");
  EXPECT_EQ(complaint("text,label\n\"a,1\n", "a.csv"),
            "truncated | a.csv, record 2 (line 2), column 1: a field in double quotes is open at the end of "
            "the file | ");
  EXPECT_EQ(complaint("text,label\n", "a.csv"),
            "bad_format | a.csv: there are no texts behind the names of the columns | ");
  EXPECT_THAT(complaint("[{\"text\": 1}]", "a.json"),
              HasSubstr("unsupported | a.json: one JSON array, expected an object a line"));
}

TEST(LabelledText, ColumnsThatAreNotClear) {
  EXPECT_EQ(complaint("review,label\na,1\nb,0\n", "a.csv", {.text_column = "revue"}),
            "usage | a.csv: no column is called \"revue\" | did you mean \"review\"? known: review, label");
  EXPECT_EQ(complaint("a,1\nb,0\n", "a.csv", {.label_column = "3"}),
            "usage | a.csv: no column is called \"3\" | the columns have no names; their numbers are 1 to 2");
  EXPECT_EQ(complaint("id,title,body,label\n1,t,a,1\n2,u,b,0\n", "a.csv"),
            "usage | a.csv: which of 4 columns holds the text is not clear | name the text column; the "
            "columns are \"id\", "
            "\"title\", \"body\", \"label\"");
  EXPECT_THAT(complaint("a,1\nb,2\nc,3\n", "a.csv"),
              HasSubstr("usage | a.csv: no column has two values, as labels of two classes have | name the "
                        "label column; the "
                        "columns have no names"));
  EXPECT_EQ(complaint("sex,smiles,text\nm,1,a\nf,0,b\nm,0,c\n", "a.csv"),
            "usage | a.csv: columns \"sex\" and \"smiles\" have two values: which holds the labels is not "
            "clear | name the label column (--label-column); the columns are \"sex\", \"smiles\", \"text\"");
  EXPECT_THAT(complaint("a,1\nb,0\n", "a.csv"), HasSubstr("columns 1 and 2 have two values"));
  EXPECT_THAT(complaint("label\n1\n0\n", "a.csv"),
              HasSubstr("there is one column, expected a text and a label"));
  EXPECT_THAT(complaint("text,label\na,1\n", "a.csv", {.label_column = "text"}),
              HasSubstr("column \"text\" cannot be both text and label"));
}

TEST(LabelledText, JsonLinesThatAreNotRight) {
  const std::string good = "{\"text\": \"a\", \"label\": 1}\n";
  EXPECT_EQ(complaint(good + "{\"text\": \"b\"}", "a.jsonl"),
            "bad_format | a.jsonl, line 2, field \"label\": the object has no such field | ");
  EXPECT_EQ(complaint(good + "{\"text\": [], \"label\": 1}", "a.jsonl"),
            "bad_format | a.jsonl, line 2, field \"text\": expected a string, a number or a truth value, "
            "found array | ");
  EXPECT_THAT(complaint(good + "[1]", "a.jsonl"),
              HasSubstr("bad_format | a.jsonl, line 2: expected an object, found array"));
  EXPECT_THAT(complaint(good + "{\"text\": ", "a.jsonl"), HasSubstr("bad_format | a.jsonl, line 2"));
  EXPECT_EQ(complaint("{\"a\": 1, \"label\": 2}", "a.jsonl"),
            "usage | a.jsonl, line 1: which field holds the text is not clear | name the text column; the "
            "fields are \"a\", \"label\"");
  EXPECT_THAT(complaint("{}", "a.jsonl"), HasSubstr("the object is empty"));
  EXPECT_THAT(complaint(good, "a.jsonl", {.text_column = "texts"}),
              HasSubstr("no column is called \"texts\" | did you mean \"text\"?"));
}

TEST(LabelledFolder, OneTextAFileInTheOrderOfNames) {
  const test::ScratchDirectory scratch;
  scratch.file("pos/2.txt", "good");
  scratch.file("pos/10.txt", "better\n");
  scratch.file("neg/1.txt", "bad");
  scratch.file("neg/.hidden", "x");
  scratch.file("neg/0.txt", "");
  scratch.file("unsup/1.txt", "unknown");
  const LabelledText data = read_labelled_text(scratch.path());
  EXPECT_THAT(data.texts, ElementsAre("bad", "better", "good"));
  EXPECT_THAT(data.labels, ElementsAre(0, 1, 1));
  ASSERT_EQ(data.notes.size(), 1u);
  EXPECT_THAT(data.notes[0], HasSubstr("1 empty text was left out"));
}

TEST(LabelledFolder, TwoFoldersOfAnyName) {
  const test::ScratchDirectory scratch;
  scratch.file("ham/1", "a");
  scratch.file("spam/1", "b");
  EXPECT_EQ(read_labelled_text(scratch.path()).positive, "spam");
}

TEST(LabelledFolder, OneTextALineInTwoFiles) {
  const test::ScratchDirectory scratch;
  scratch.file("rt-polarity.pos", "good\n\nfine\n");
  scratch.file("rt-polarity.neg", "bad\n");
  const LabelledText data = read_labelled_text(scratch.path());
  EXPECT_THAT(data.texts, ElementsAre("bad", "good", "fine"));
  EXPECT_THAT(data.labels, ElementsAre(0, 1, 1));
}

TEST(LabelledFolder, OthersAreRefusedWithWhatTheyHold) {
  const test::ScratchDirectory scratch;
  const auto complaint_here = [&] { return complaint_of([&] { read_labelled_text(scratch.path()); }); };
  EXPECT_THAT(complaint_here(),
              HasSubstr("expected two folders, pos and neg | one folder a class, one text a file"));
  scratch.file("train/pos/1.txt", "a");
  scratch.file("test/pos/1.txt", "a");
  EXPECT_THAT(complaint_here(), HasSubstr("it holds the folders \"test\", \"train\"; give one of them"));
  EXPECT_THAT(complaint_of([&] { read_labelled_text(scratch / "nothing"); }), HasSubstr("missing_file"));
  scratch.file("train/neg/1.txt", "\xE9t\xE9");
  EXPECT_THAT(complaint_of([&] { read_labelled_text(scratch / "train"); }), HasSubstr("iconv -f LATIN1"));
}

/// Files of real collections: TELOS_TEST_DATA/sentiment.
TEST(LabelledText, RealFiles) {
  const char* data = std::getenv("TELOS_TEST_DATA");
  const std::string folder = data == nullptr ? "" : std::string(data) + "/sentiment/";
  if (folder.empty() || !std::filesystem::is_directory(folder))
    GTEST_SKIP() << "TELOS_TEST_DATA/sentiment is not there";
  struct Case {
    const char* file;
    std::size_t texts, positive;
  };
  for (const Case& expected :
       {Case{"amazon_cells_labelled.txt", 1000, 500}, Case{"imdb_labelled.txt", 1000, 500},
        Case{"yelp_labelled.txt", 1000, 500}, Case{"imdb_train.tsv.gz", 25000, 12500},
        Case{"imdb_test.tsv.gz", 25000, 12500}, Case{"movie_reviews_v2.tsv.gz", 2000, 1000},
        Case{"rt_polarity.tsv", 10662, 5331}, Case{"sst2_train.csv", 6920, 3610},
        Case{"sst2_dev.csv", 872, 444}, Case{"sst2_test.csv", 1821, 909}}) {
    const LabelledText read = read_labelled_text(folder + expected.file);
    EXPECT_EQ(read.texts.size(), expected.texts) << expected.file;
    EXPECT_EQ(std::accumulate(read.labels.begin(), read.labels.end(), std::size_t{0}), expected.positive)
        << expected.file;
    EXPECT_EQ(read.positive, "1") << expected.file;
    EXPECT_THAT(read.notes, IsEmpty()) << expected.file;
  }
  EXPECT_THAT(complaint_of([&] { read_labelled_text(folder + "opinion_lexicon_negative.txt"); }),
              HasSubstr("no text is left"));
}

}  // namespace
}  // namespace telos
