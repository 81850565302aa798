// Labelled texts: the first byte chooses the name of the file and the options. What is accepted has two
// classes with different names, both of them present, and no empty text.
#include <algorithm>
#include <array>
#include <string>

#include "io/labelled_rows.h"
#include "support.h"

namespace {

using namespace telos;

void check(const LabelledText& data, std::size_t bytes) {
  fuzz::require(data.texts.size() == data.labels.size(), "labels do not fit");
  fuzz::require(data.texts.size() == data.rows.size() && std::is_sorted(data.rows.begin(), data.rows.end()),
                "row numbers do not fit");
  fuzz::require(data.positive != data.negative && !data.positive.empty() && !data.negative.empty(),
                "one class");
  for (const int label : {0, 1})
    fuzz::require(std::count(data.labels.begin(), data.labels.end(), label) > 0, "a class without texts");
  std::size_t sum = 0;
  for (const std::string& text : data.texts) {
    fuzz::require(!text.empty() && trim_space(text) == text, "a text that is not trimmed");
    sum += text.size();
  }
  fuzz::require(sum <= 2 * bytes, "more text than there was");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::array<const char*, 5> kNames{"a.csv", "a.tsv", "a.jsonl", "a.json", "a.txt"};
  constexpr std::array<const char*, 4> kColumns{"", "label", "body", "2"};
  const std::string name = kNames[data[0] % kNames.size()];
  const unsigned choice = data[0] / kNames.size();
  const LabelledTextOptions options{.text_column = kColumns[choice % 4],
                                    .label_column = kColumns[choice / 4 % 4],
                                    .positive = choice / 16 % 2 == 0 ? "" : "1"};
  const std::string_view text = fuzz::as_text(data + 1, size - 1);
  fuzz::accepts([&] { check(label_rows(parse_labelled_rows(text, name, options), name, options), size); });
  return 0;
}
