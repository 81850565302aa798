#include "report/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sample.h"
#include "telos/base/philox.h"

namespace telos::report {
namespace {

TEST(FormatNumber, IsWhatAPersonReads) {
  struct Case {
    double value;
    int digits;
    const char* text;
  };
  const double inf = std::numeric_limits<double>::infinity();
  const Case cases[] = {
      {0, 4, "0"},
      {-0.0, 4, "0"},
      {0.5, 4, "0.5"},
      {-0.5, 4, "−0.5"},
      {1, 4, "1"},
      {12, 1, "12"},
      {1.0 / 3, 4, "0.3333"},
      {-1.0 / 3, 2, "−0.33"},
      {2.0 / 3, 3, "0.667"},
      {3.14159265358979, 4, "3.142"},
      {99.9999, 4, "100.0"},
      {9.99961, 4, "10.00"},
      {0.00123456, 3, "0.00123"},
      {0.000999951, 3, "0.00100"},
      {0.0009994, 3, "9.99e−4"},
      {1.5e-7, 4, "1.5e−7"},
      {1234.56, 4, "1,235"},
      {123456.7, 4, "123,457"},
      {999999.4, 4, "999,999"},
      {999999.6, 3, "1.00e6"},
      {1e6, 4, "1e6"},
      {-1.23456e9, 4, "−1.235e9"},
      {6.02214076e23, 4, "6.022e23"},
      {0.1 + 0.2, 17, "0.30000000000000004"},
      {1.0 / 3, 0, "0.3"},
      {1.0 / 3, 99, "0.3333333333333333"},
      {inf, 4, "∞"},
      {-inf, 4, "−∞"},
      {std::nan(""), 4, "–"},
      {5e-324, 3, "5e−324"},
      {std::numeric_limits<double>::max(), 3, "1.80e308"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(format_number(c.value, c.digits), c.text) << c.value << " " << c.digits;
}

/// Reads what format_number writes.
double read_back(std::string text) {
  std::string ascii;
  for (std::size_t i = 0; i < text.size();) {
    if (text.compare(i, 3, "−") == 0) {
      ascii += '-';
      i += 3;
    } else {
      if (text[i] != ',') ascii += text[i];
      ++i;
    }
  }
  return std::strtod(ascii.c_str(), nullptr);
}

TEST(FormatNumber, IsAsCloseAsItsDigitsAllow) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const double value = random.normal() * std::pow(10.0, 40 * random.uniform() - 20);
    const int digits = 1 + static_cast<int>(random.below(8));
    const double error = std::abs(read_back(format_number(value, digits)) - value);
    // Half a unit of the last digit, which is at most 10^(1−digits) of the value.
    EXPECT_LE(error, 0.5000001 * std::pow(10.0, 1 - digits) * std::abs(value)) << value << " " << digits;
  }
}

TEST(ExactNumber, ReadsBackAsTheSameDouble) {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const double value = random.normal() * std::pow(10.0, 600 * random.uniform() - 300);
    EXPECT_EQ(std::strtod(exact_number(value).c_str(), nullptr), value);
  }
  EXPECT_EQ(exact_number(0.1), "0.1");
  EXPECT_EQ(exact_number(std::nan("")), "nan");
  EXPECT_EQ(exact_number(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(Text, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("−0.04"), 5u);
  EXPECT_EQ(display_width("e\xCC\x81"), 1u);  // e and a combining acute accent
  EXPECT_EQ(display_width("日本語"), 6u);
  EXPECT_EQ(display_width(""), 0u);
}

TEST(Text, CutsToWidth) {
  EXPECT_EQ(cut_to_width("abcdef", 6), "abcdef");
  EXPECT_EQ(cut_to_width("abcdef", 4), "abc…");
  EXPECT_EQ(cut_to_width("日本語", 5), "日本…");
  EXPECT_EQ(cut_to_width("日本語", 4), "日…");
  EXPECT_EQ(cut_to_width("ab", 0), "");
  for (const std::string& text : test::hostile_strings())
    for (std::size_t width = 0; width < 30; ++width)
      EXPECT_LE(display_width(cut_to_width(terminal_text(text), width)), width);
}

TEST(Text, WrapsAtSpaces) {
  EXPECT_EQ(wrap("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap("incomprehensible a", 5), (std::vector<std::string>{"incomprehensible", "a"}));
  EXPECT_EQ(wrap("", 5), (std::vector<std::string>{""}));
}

TEST(Text, TerminalTextCannotSteerATerminal) {
  EXPECT_EQ(terminal_text("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(terminal_text("a\nb\tc"), "a b c");
  EXPECT_EQ(terminal_text("\xE2\x80\xAE!"), "\\u202e!");
  EXPECT_EQ(terminal_text("\xC2\x9B"
                          "31m"),
            "\\x9b31m");  // the one-byte CSI of C1
  EXPECT_EQ(terminal_text("\xff"), "\xEF\xBF\xBD");
}

TEST(Text, HtmlTextIsEscaped) {
  EXPECT_EQ(html_text("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
  EXPECT_EQ(html_text(std::string("\0", 1)), "\xEF\xBF\xBD");
}

TEST(Text, ProseSetsIndices) {
  EXPECT_EQ(html_prose("H = W_V W_O"), "H = W<sub>V</sub> W<sub>O</sub>");
  EXPECT_EQ(html_prose("‖X‖²_F, σ_2, x_i."), "‖X‖²<sub>F</sub>, σ<sub>2</sub>, x<sub>i</sub>.");
  for (const char* same : {"q_proj", "W_V_2", "aW_V", "_x", "x_", "a_bcd", "_", "3_4"})
    EXPECT_EQ(html_prose(same), same);
  EXPECT_EQ(html_prose("W_V<b_i>"), "W<sub>V</sub>&lt;b<sub>i</sub>&gt;");
  EXPECT_EQ(html_prose("&_x"), "&amp;_x");
}

TEST(Text, MarkdownTextStaysInItsCell) {
  EXPECT_EQ(markdown_text("a|b"), "a\\|b");
  EXPECT_EQ(markdown_text("a\nb"), "a b");
  EXPECT_EQ(markdown_text("<b>*x*"), "&lt;b\\>\\*x\\*");
}

TEST(Text, SlugIsAFileNameAndAnAnchor) {
  EXPECT_EQ(slug("mean cosine"), "mean-cosine");
  EXPECT_EQ(slug("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(slug(".."), "untitled");
  EXPECT_EQ(slug(""), "untitled");
  EXPECT_EQ(slug("5.7"), "5.7");
  for (const std::string& text : test::hostile_strings())
    for (const char c : slug(text))
      EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-') << c;
}

}  // namespace
}  // namespace telos::report
