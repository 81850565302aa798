// The parser with limits against nlohmann's own: whatever is accepted is accepted by both, with equal trees.
#include "io/json.h"
#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace telos;
  const std::string_view text = fuzz::as_text(data, size);
  nlohmann::ordered_json tree;
  const bool accepted = fuzz::accepts([&] { tree = parse_json(text, "a.json"); });
  if (accepted) {
    fuzz::require(tree == nlohmann::ordered_json::parse(text), "the trees differ");
    const std::string again = tree.dump();
    fuzz::require(parse_json(again, "again").dump() == again, "written and read again, the tree differs");
  } else if (nlohmann::ordered_json::accept(text)) {
    // Legal JSON is refused for a duplicate key, a NUL byte or a limit only.
    const std::string what = [&] {
      try {
        parse_json(text, "a.json");
      } catch (const Error& error) {
        return error.message();
      }
      return std::string();
    }();
    fuzz::require(what.find("appears twice") != std::string::npos || what.find("NUL") != std::string::npos ||
                      what.find("more than") != std::string::npos,
                  "legal JSON is refused");
  }
  return 0;
}
