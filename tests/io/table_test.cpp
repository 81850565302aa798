#include "telos/io/table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "support.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos {
namespace {

using Cells = std::vector<std::string>;

/// The error that `call` throws, as "kind | where | message | hint".
template <class Call>
std::string complaint(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(to_string(error.kind())) + " | " + error.where() + " | " + error.message() + " | " +
           error.hint();
  }
  return "no error";
}

std::string number_complaint(std::string_view text, const CsvOptions& options = {}) {
  return complaint([&] { parse_number_csv(text, "a.csv", options); });
}

TEST(Table, QuotedFieldsHoldDelimitersLineEndsAndQuotes) {
  const TextTable table =
      parse_csv("name,note\r\n\"a, b\",\"line 1\nline 2\"\r\nc,\"says \"\"x\"\"\"\r\n", "a.csv");
  EXPECT_EQ(table.labels, (Cells{"name", "note"}));
  EXPECT_EQ(table.cells, (Cells{"a, b", "line 1\nline 2", "c", "says \"x\""}));
  EXPECT_EQ(table.lines, (std::vector<std::uint64_t>{2, 4}));
  EXPECT_EQ(table.cell(1, 0), "c");
  EXPECT_EQ(table.column("note"), 1u);
}

TEST(Table, LabelsAreFoundWhereACellIsNoNumber) {
  EXPECT_TRUE(parse_csv("1,2\n3,4\n", "a.csv").labels.empty());
  EXPECT_EQ(parse_csv("1,x\n3,4\n", "a.csv").labels.size(), 2u);
  EXPECT_TRUE(parse_csv("1,\n3,4\n", "a.csv").labels.empty());
  CsvOptions options;
  options.labels = CsvOptions::Labels::kYes;
  EXPECT_EQ(parse_csv("1,2\n3,4\n", "a.csv", options).labels, (Cells{"1", "2"}));
  options.labels = CsvOptions::Labels::kNo;
  EXPECT_EQ(parse_csv("x,y\n3,4\n", "a.csv", options).rows(), 2u);
}

TEST(Table, EmptyLinesMarkAndMissingLastLineEnd) {
  const NumberTable table =
      parse_number_csv("\xEF\xBB\xBFx;y\n\n1; 2 \n\r\n+3;-4e1", "a.csv", {.delimiter = ';'});
  EXPECT_EQ(table.labels, (Cells{"x", "y"}));
  ASSERT_EQ(table.values.rows(), 2u);
  EXPECT_EQ(table.values(0, 1), 2);
  EXPECT_EQ(table.values(1, 0), 3);
  EXPECT_EQ(table.values(1, 1), -40);
  EXPECT_EQ(table.lines[1], 5u);
}

TEST(Table, NamesOfRows) {
  const CsvOptions options{.row_names = true};
  const NumberTable named = parse_number_csv("id,x,y\na,1,2\nb,3,4\n", "a.csv", options);
  EXPECT_EQ(named.names, (Cells{"a", "b"}));
  EXPECT_EQ(named.labels, (Cells{"x", "y"}));
  EXPECT_EQ(named.values.cols(), 2u);
  EXPECT_EQ(named.values(1, 0), 3);
  EXPECT_EQ(parse_number_csv("a,1\nb,2\n", "a.csv", options).names, (Cells{"a", "b"}));
  EXPECT_TRUE(parse_number_csv("1,2\n", "a.csv", options).names.empty());
  EXPECT_TRUE(parse_number_csv("id\n1\n", "a.csv", options).names.empty())
      << "the only column is one of numbers";
}

TEST(Table, QuotesAsCharactersAndTheFirstRowsOnly) {
  const CsvOptions options{.delimiter = '\t', .quotes = false, .max_rows = 1};
  const TextTable table = parse_csv("t\tu\n\"a\tb\"\n\"c\td\te\n", "a.tsv", options);
  EXPECT_EQ(table.cells, (Cells{"\"a", "b\""}));
}

TEST(Table, LabelsAloneAreATableWithoutRows) {
  const NumberTable table = parse_number_csv("x,y\n", "a.csv");
  EXPECT_EQ(table.values.rows(), 0u);
  EXPECT_EQ(table.values.cols(), 2u);
  EXPECT_EQ(parse_csv("x,y\n", "a.csv").columns, 2u);
}

TEST(Table, ErrorsNameRowLineAndColumn) {
  EXPECT_EQ(number_complaint("x,y\n1,2\n3,four\n"),
            "bad_format | a.csv, row 2 (line 3), column 2 (\"y\") | expected a number, found \"four\" | ");
  EXPECT_EQ(number_complaint("1,2\n,4\n"),
            "bad_format | a.csv, row 2 (line 2), column 1 | the cell is empty, expected a number | ");
  EXPECT_EQ(number_complaint("1,2\n3,nan\n"),
            "not_finite | a.csv, row 2 (line 2), column 2 | expected a finite number, found \"nan\" | ");
  EXPECT_EQ(number_complaint("1,2\n1e999,3\n"),
            "not_finite | a.csv, row 2 (line 2), column 1 | expected a finite number, found \"1e999\" | ");
  EXPECT_EQ(number_complaint("1,2\n3\n"),
            "bad_format | a.csv, line 2 | 1 cells, expected 2 as in the first record | ");
  EXPECT_EQ(number_complaint("1,2\n3,\"4"),
            "truncated | a.csv, record 2 (line 2), column 2 | a field in double quotes is open at the end of "
            "the file | ");
  EXPECT_EQ(number_complaint("1,\"2\"x\n"),
            "bad_format | a.csv, record 1 (line 1), column 2 | expected a delimiter or the end of the line, "
            "found \"x\" | ");
  EXPECT_EQ(number_complaint("1,2\"3\n"),
            "bad_format | a.csv, record 1 (line 1), column 2 | a double quote inside a field that does not "
            "begin with one | ");
  EXPECT_EQ(number_complaint(""), "bad_format | a.csv | no records | ");
  EXPECT_EQ(number_complaint("\n\n"), "bad_format | a.csv | no records | ");
}

TEST(Table, Limits) {
  CsvOptions options;
  options.max_columns = 2;
  EXPECT_EQ(number_complaint("1,2,3\n", options),
            "limit | a.csv, record 1 (line 1), column 3 | more than 2 columns | ");
  options = {};
  options.max_cells = 3;
  EXPECT_EQ(number_complaint("1,2\n3,4\n", options), "limit | a.csv | more than 3 cells | ");
  options = {};
  options.delimiter = '"';
  EXPECT_EQ(number_complaint("1\n", options),
            "usage | a.csv | the delimiter cannot be a quote or a line end | ");
}

TEST(Table, NotFiniteNumbersAreKeptOnDemand) {
  CsvOptions options;
  options.keep_not_finite = true;
  const NumberTable table = parse_number_csv("NaN,inf,-Infinity,\n", "a.csv", options);
  EXPECT_TRUE(std::isnan(table.values(0, 0)));
  EXPECT_EQ(table.values(0, 1), HUGE_VAL);
  EXPECT_EQ(table.values(0, 2), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(table.values(0, 3)));
  EXPECT_NE(number_complaint("1,two\n3,4\n5,six\n", options), "no error");
}

TEST(Table, NumbersBeyondTheRangeOfDouble) {
  const auto value = [](std::string_view text) {
    double number = 7;
    EXPECT_TRUE(parse_number(text, number)) << text;
    return number;
  };
  EXPECT_EQ(value("1e999"), HUGE_VAL);
  EXPECT_EQ(value("-1e+999"), -HUGE_VAL);
  EXPECT_EQ(value("1e-999"), 0);
  EXPECT_EQ(value("1e99999999999999999999"), HUGE_VAL);
  EXPECT_EQ(value("1e-99999999999999999999"), 0);
  EXPECT_EQ(value(std::string(400, '9')), HUGE_VAL);
  EXPECT_EQ(value("0." + std::string(400, '0') + "1"), 0);
  EXPECT_EQ(value("0." + std::string(400, '0') + "1e401"), 1);
  EXPECT_EQ(value("4.9e-324"), 4.9e-324);
  double number = 7;
  for (const char* text : {"", " ", "+", "+-1", "1 2", "0x10", "1,5", "--1", "e5", "1e"})
    EXPECT_FALSE(parse_number(text, number)) << text;
}

TEST(Table, UnknownLabel) {
  const TextTable table = parse_csv("alpha,beta\n1,2\n", "a.csv");
  EXPECT_EQ(complaint([&] { table.column("bta"); }),
            "usage | table | no column is called \"bta\" | did you mean \"beta\"?");
}

TEST(Table, FilesInUtf16) {
  const test::ScratchDirectory scratch;
  write_file_atomically(scratch / "a.csv", std::string("\xFF\xFE"
                                                       "1\0,\0"
                                                       "2\0\n\0",
                                                       10));
  EXPECT_EQ(read_number_csv(scratch / "a.csv").values(0, 1), 2);
  EXPECT_EQ(read_csv(scratch / "a.csv").cells, (Cells{"1", "2"}));
}

// Whatever the cells hold, quoting each of them and reading the text gives them back.
RC_GTEST_PROP(Table, QuotedCellsSurvive, ()) {
  const auto columns = *rc::gen::inRange<std::size_t>(1, 4);
  const auto rows = *rc::gen::inRange<std::size_t>(1, 5);
  const auto cells = *rc::gen::container<Cells>(
      rows * columns, rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab,\"\n\r1 "))));
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    text += '"';
    for (const char c : cells[i]) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    text += (i + 1) % columns == 0 ? "\"\n" : "\",";
  }
  CsvOptions options;
  options.labels = CsvOptions::Labels::kNo;
  const TextTable table = parse_csv(text, "a.csv", options);
  RC_ASSERT(table.columns == columns);
  RC_ASSERT(table.cells == cells);
}

}  // namespace
}  // namespace telos
