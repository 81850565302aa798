#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/error.h"
#include "telos/base/nearest.h"
#include "telos/nn/graph.h"

namespace telos::nn {

std::size_t ParameterLayout::add(std::string name, std::size_t rows, std::size_t cols, bool decay) {
  if (std::any_of(entries_.begin(), entries_.end(), [&](const ParameterInfo& p) { return p.name == name; }))
    throw Error(ErrorKind::kUsage, "parameters", "the name " + printable(name) + " is taken");
  if (rows == 0 || cols == 0)
    throw Error(ErrorKind::kShape, "parameters", "the parameter " + printable(name) + " has no elements");
  constexpr std::size_t kMostParameters = std::size_t{1} << 48;  // of all parameters, far beyond any memory
  if (rows > (kMostParameters - size_) / cols)
    throw Error(ErrorKind::kLimit, "parameters",
                "with the parameter " + printable(name) + " there are more than 2^48 elements");
  entries_.push_back({.name = std::move(name),
                      .rows = rows,
                      .cols = cols,
                      .offset = size_,
                      .vector = false,
                      .decay = decay});
  size_ += rows * cols;
  return entries_.size() - 1;
}

std::size_t ParameterLayout::add_vector(std::string name, std::size_t size, bool decay) {
  const std::size_t index = add(std::move(name), 1, size, decay);
  entries_[index].vector = true;
  return index;
}

std::size_t ParameterLayout::find(std::string_view name) const {
  const auto at =
      std::find_if(entries_.begin(), entries_.end(), [&](const ParameterInfo& p) { return p.name == name; });
  if (at != entries_.end()) return static_cast<std::size_t>(at - entries_.begin());
  std::vector<std::string> names;
  for (const ParameterInfo& p : entries_) names.push_back(p.name);
  throw Error(ErrorKind::kUsage, "parameters", "there is no parameter " + printable(name),
              nearest_hint(name, names));
}

}  // namespace telos::nn
