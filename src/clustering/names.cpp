#include <string_view>

#include "telos/clustering/hardmax.h"
#include "telos/clustering/sentiment.h"

namespace telos::clustering {

std::string_view to_string(TokenEnd end) {
  switch (end) {
    case TokenEnd::kLeader:
      return "leader";
    case TokenEnd::kStatic:
      return "static";
    case TokenEnd::kFollows:
      return "follows";
    case TokenEnd::kFace:
      return "face";
    case TokenEnd::kAsymptotic:
      return "asymptotic";
    case TokenEnd::kUndecided:
      return "undecided";
  }
  return "undecided";
}

std::string_view to_string(LayerMode mode) {
  switch (mode) {
    case LayerMode::kSoft:
      return "soft";
    case LayerMode::kHard:
      return "hard";
    case LayerMode::kSte:
      return "ste";
  }
  return "soft";
}

}  // namespace telos::clustering
