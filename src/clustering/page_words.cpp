#include <algorithm>
#include <vector>

#include "clustering/page_parts.h"

namespace telos::clustering {

std::vector<Definition> clustering_definitions() {
  std::vector<Definition> all = hardmax_definitions();
  for (const auto& part : {lab_definitions(), sentiment_definitions(), measure_definitions()})
    for (const Definition& d : part) {
      const bool known =
          std::any_of(all.begin(), all.end(), [&d](const Definition& x) { return x.term == d.term; });
      if (!known) all.push_back(d);
    }
  return all;
}

}  // namespace telos::clustering
