#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "positional/tasks_parts.h"
#include "telos/positional/tasks.h"
#include "tests/positional/complaint.h"
#include "tests/positional/tasks_support.h"

namespace telos::positional {
namespace {

using namespace test_tasks;

// ---- Expressions

TEST(ListExpression, EqualsTheBuiltInTask) {
  const std::pair<const char*, const char*> kPairs[] = {{"prefix(min)", "min"},
                                                        {"scan(min(a, b))", "min"},
                                                        {"prefix(sum)", "sum"},
                                                        {"scan(a+b)", "sum"},
                                                        {"prefix(median)", "median"},
                                                        {"scan( -min(-a, -b) )", "max"},
                                                        {"prefix(max)", "max"},
                                                        {"scan(b + 1*a)", "sum"},
                                                        {"prefix(maxsub)", "maxsub"},
                                                        {"scan(a - -b)", "sum"},
                                                        {"scan(2*a+b-a)", "sum"},
                                                        {"scan(max(a,b,a))", "max"},
                                                        {"scan(0.5*(a+b+abs(a-b)))", "max"}};
  for (const auto& [text, name] : kPairs) {
    const auto expression = make_task(text, {.nodes = 9}), built_in = make_task(name, {.nodes = 9});
    EXPECT_EQ(expression->name(), text);
    EXPECT_TRUE(expression->homogeneous()) << text;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Sample a = sample_of(*expression, seed), b = sample_of(*built_in, seed);
      EXPECT_EQ(a.x, b.x);
      for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(a.y[i], b.y[i], 1e-14) << text;
    }
  }
  EXPECT_EQ(make_task("scan(b+a)", {})->exact_program(), "cumsum");
  EXPECT_EQ(make_task("prefix(min)", {})->exact_program(), "cummin");
  EXPECT_EQ(make_task("scan(a-b)", {})->exact_program(), "");
  const Sample whole = sample_of(*make_task("whole(max)", {}), 1),
               list = sample_of(*make_task("max", {.cumulative = false}), 1);
  EXPECT_EQ(whole.y, list.y);
}

TEST(ListExpression, Precedence) {
  const auto value = [](const std::string& text) {
    Numbers y(2);
    parse_list_rule("scan(" + text + ")").apply(Numbers{3, 5}, y);
    return y[1];  // a = 3, b = 5
  };
  EXPECT_EQ(value("a+b*2"), 13);
  EXPECT_EQ(value("(a+b)*2"), 16);
  EXPECT_EQ(value("a-b-1"), -3);
  EXPECT_EQ(value("-a*b"), -15);
  EXPECT_EQ(value("--a"), 3);
  EXPECT_EQ(value("abs(a-b)*1.5e1"), 30);
  EXPECT_EQ(value("min(a,b,-1)+max(a,b)"), 4);
}

TEST(ListExpression, HomogeneousIsADegreeOfOne) {
  for (const char* text :
       {"scan(a+b)", "scan(2*a)", "scan(min(a, 0))", "scan(abs(a-b)+0)", "scan(max(-a,b)*3)"})
    EXPECT_TRUE(parse_list_rule(text).homogeneous()) << text;
  for (const char* text : {"scan(a+1)", "scan(a*b)", "scan(3)", "scan(max(a,1))", "scan(a*a+b)"})
    EXPECT_FALSE(parse_list_rule(text).homogeneous()) << text;
}

std::string rule_complaint(const std::string& text) {
  return test::complaint([&] { parse_list_rule(text); });
}

TEST(ListExpression, ErrorsNameTheColumn) {
  EXPECT_EQ(rule_complaint("scan(a+)"),
            "usage | expression \"scan(a+)\" | column 8: expected a number, a, b, min, max, abs, '-' or '(', "
            "found \")\" | ");
  EXPECT_EQ(rule_complaint("prefx(min)"),
            "usage | expression \"prefx(min)\" | column 1: expected prefix, scan or whole, found \"prefx\" | "
            "did you mean \"prefix\"? known: prefix, scan, whole");
  EXPECT_EQ(rule_complaint("scan(a b)"),
            "usage | expression \"scan(a b)\" | column 8: expected an operator or ')', found \"b\" | ");
  EXPECT_EQ(
      rule_complaint("prefix(medain)"),
      "usage | expression \"prefix(medain)\" | column 8: expected sum, min, max, median, maxsub or an "
      "expression of a and b, found \"medain\" | did you mean \"median\"? known: sum, min, max, median, "
      "maxsub");
  EXPECT_THAT(rule_complaint("scan(c+1)"), testing::HasSubstr("column 6"));
  EXPECT_THAT(rule_complaint("scan(a"),
              testing::HasSubstr("column 7: expected an operator or ')', found the end"));
  EXPECT_THAT(rule_complaint("scan a"), testing::HasSubstr("column 6: expected '('"));
  EXPECT_THAT(rule_complaint("scan(a)x"), testing::HasSubstr("column 8: expected the end, found \"x\""));
  EXPECT_THAT(rule_complaint("scan(min(a))"), testing::HasSubstr("expected an operator or ','"));
  EXPECT_THAT(rule_complaint("scan(abs a)"), testing::HasSubstr("column 10: expected '('"));
  EXPECT_THAT(rule_complaint("scan(1e999)"), testing::HasSubstr("within the range of double"));
  EXPECT_THAT(rule_complaint("scan(.)"), testing::HasSubstr("within the range of double"));
  EXPECT_THAT(rule_complaint(""), testing::HasSubstr("column 1"));
  EXPECT_THAT(rule_complaint("scan(" + std::string(100, '(') + "a"),
              testing::HasSubstr("nested more than 64"));
  EXPECT_THAT(rule_complaint("scan(" + std::string(100, '-') + "a)"),
              testing::HasSubstr("nested more than 64"));
  EXPECT_THAT(rule_complaint(std::string(5000, 'a')), testing::HasSubstr("at most 4096"));
}

TEST(ListExpression, ValuesBeyondFloatAreNamed) {
  const auto task = make_task("scan(a*b*1e30)", {});
  EXPECT_THAT(test::complaint([&] { draw(*task, 1, 1, 1, Split::kTrain, 8, 1, 10); }),
              testing::AllOf(testing::HasSubstr("not_finite | task scan(a*b*1e30), sample 0"),
                             testing::HasSubstr("beyond the range of float")));
}

// ---- Data files

std::string csv_rows(int rows) {
  std::string text;
  for (int i = 0; i < rows; ++i)
    text += std::to_string(i) + "," + std::to_string(i + 100) + "," + std::to_string(2 * i) + "," +
            std::to_string(3 * i) + "\n";
  return text;
}

TEST(DataFile, RowsAreDealtToTrainingAndTest) {
  const auto task = parse_data_task(csv_rows(50), "rows.csv", false);
  EXPECT_EQ(task->shape().nodes, 2u);
  EXPECT_FALSE(task->scalable());
  EXPECT_EQ(given_samples(*task, Split::kTrain), 40u);
  EXPECT_EQ(given_samples(*task, Split::kTest), 10u);
  const auto held_back = [&](std::uint64_t seed) {
    const Dataset data = draw(*task, seed, 1, 1, Split::kTest, task->shape().nodes, 0, 10);
    return std::vector<double>(data.x.data(), data.x.data() + data.x.size());
  };
  EXPECT_EQ(held_back(1), held_back(2)) << "of one run and of another, trained or evaluated";
  std::set<double> seen;
  const Dataset train = draw(*task, 4, 1, 1, Split::kTrain, 2, 1, 40);
  const Dataset test = draw(*task, 4, 9, 1, Split::kTest, 2, 1, 10);
  for (const Dataset* data : {&train, &test})
    for (std::size_t i = 0; i < data->samples; ++i) {
      const double* x = data->x.row(i);
      const double* y = data->y.row(i);
      seen.insert(x[0]);
      EXPECT_EQ(x[1], x[0] + 100);
      EXPECT_EQ(x[2], 0);
      EXPECT_EQ(y[0], 2 * x[0]);
      EXPECT_EQ(y[1], 3 * x[0]);
    }
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_THAT(test::complaint([&] { draw(*task, 4, 1, 1, Split::kTrain, 2, 1, 41); }),
              testing::HasSubstr("the file has 40 training samples"));
}

TEST(DataFile, LabelsChooseTheColumnsAndOneAnswerServesTheList) {
  std::string text = "y,x1,x2\n";
  for (int i = 0; i < 10; ++i) text += "7," + std::to_string(i) + ",5\n";
  const auto task = parse_data_task(text, "rows.csv", false);
  Numbers x(2), y(2);
  task->given(3, x, y);
  EXPECT_EQ(x, (Numbers{3, 5}));
  EXPECT_EQ(y, (Numbers{7, 7}));
}

TEST(DataFile, NumberedLabelsStandInTheirOrder) {
  std::string text = "y10,y2,y1,x1,x10,x2\n";
  for (int i = 0; i < 10; ++i) text += "6,5,4,1,3,2\n";
  const auto task = parse_data_task(text, "rows.csv", false);
  Numbers x(3), y(3);
  task->given(0, x, y);
  EXPECT_EQ(x, (Numbers{1, 2, 3}));
  EXPECT_EQ(y, (Numbers{4, 5, 6}));
  // With a label of another kind among them nothing is guessed.
  const std::string other =
      test::complaint([] { parse_data_task("id,x1,x2,y1,y2,w\n1,2,3,4,5,6\n", "rows.csv", false); });
  EXPECT_THAT(other, testing::HasSubstr("column \"id\" is neither x nor y"));
}

TEST(DataFile, JsonLines) {
  std::string text;
  for (int i = 0; i < 10; ++i)
    text += R"({"x": [1, 2, )" + std::to_string(i) +
            R"(], "y": 4})"
            "\n\n";
  const auto task = parse_data_task(text, "rows.jsonl", true);
  Numbers x(3), y(3);
  task->given(9, x, y);
  EXPECT_EQ(x, (Numbers{1, 2, 9}));
  EXPECT_EQ(y, (Numbers{4, 4, 4}));
}

std::string data_complaint(const std::string& text, bool jsonl) {
  return test::complaint([&] { parse_data_task(text, "rows", jsonl); });
}

TEST(DataFile, ErrorsNameRowAndColumn) {
  EXPECT_EQ(
      data_complaint("x,y\n1,2\n3,nan\n", false),
      "not_finite | rows, row 2 (line 3), column 2 (\"y\") | expected a finite number, found \"nan\" | ");
  EXPECT_THAT(data_complaint("1,2,3\n4,5,6\n", false), testing::HasSubstr("1 columns of x and 2 of y"));
  EXPECT_THAT(data_complaint("1,2\n3,4\n", false), testing::HasSubstr("2 samples, expected at least 10"));
  EXPECT_EQ(data_complaint("{\"x\": [1], \"y\": [2]}\n{\"x\": [NaN], \"y\": [2]}\n", true),
            "not_finite | rows, row 2 (line 2), x[0] | expected a finite number, found none | ");
  EXPECT_THAT(data_complaint("{\"x\": [1], \"y\": [-Infinity]}", true),
              testing::HasSubstr("row 1 (line 1), y[0]"));
  EXPECT_THAT(data_complaint("{\"x\": [1], \"y\": [\"2\"]}", true),
              testing::HasSubstr("expected a number, found"));
  EXPECT_THAT(data_complaint("{\"x\": [1]}", true), testing::HasSubstr("expected an object"));
  EXPECT_THAT(data_complaint("[1]", true), testing::HasSubstr("expected an object"));
  EXPECT_THAT(data_complaint("{\"x\": [], \"y\": []}", true), testing::HasSubstr("0 numbers in x"));
  EXPECT_THAT(data_complaint("{\"x\": [1,2], \"y\": [2,1]}\n{\"x\": [1], \"y\": [2]}", true),
              testing::HasSubstr("row 2 (line 2) | 1 numbers in x and 1 in y, expected 2 in x"));
  EXPECT_THAT(data_complaint("{\"x\": [1,", true), testing::HasSubstr("bad_format | rows, row 1 (line 1)"));
}

TEST(DataFile, ByName) {
  EXPECT_THAT(test::complaint([] { make_task("no-such-file.csv", {}); }), testing::HasSubstr("missing_file"));
}

}  // namespace
}  // namespace telos::positional
