// Laws from numbers and from text.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/io/files.h"
#include "telos/io/table.h"
#include "telos/symmetry/laws.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kParameters = 0x53794C00;  // stream

void require_letters(std::uint32_t letters) {
  if (letters < 1 || letters > Law::kMostLetters)
    throw Error(ErrorKind::kUsage, "law",
                fmt::format("expected 1 to {} letters, found {}", Law::kMostLetters, letters));
}

void require_states(std::size_t states) {
  if (states < 1 || states > Law::kMostStates)
    throw Error(ErrorKind::kUsage, "law",
                fmt::format("expected 1 to {} hidden states, found {}", Law::kMostStates, states));
}

void require_rows(const std::vector<double>& values, std::size_t rows, std::size_t cols, const char* name) {
  if (values.size() != rows * cols)
    throw Error(ErrorKind::kUsage, "law",
                fmt::format("{} has {} numbers, expected {} × {}", name, values.size(), rows, cols));
  for (std::size_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < cols; ++j) {
      const double p = values[i * cols + j];
      if (!(p >= 0)) throw Error(ErrorKind::kUsage, "law", fmt::format("{} row {} holds {}", name, i, p));
      sum += p;
    }
    if (!(std::abs(sum - 1) < 1e-9))
      throw Error(ErrorKind::kUsage, "law", fmt::format("{} row {} sums to {}, expected 1", name, i, sum));
  }
}

/// A row drawn uniformly from the simplex: exponential variables over their sum.
void draw_simplex(std::span<double> row, Random& random) {
  for (double& p : row) p = -std::log1p(-random.uniform());
  const double sum = std::accumulate(row.begin(), row.end(), 0.0);
  for (double& p : row) p = sum > 0 ? p / sum : 1 / static_cast<double>(row.size());
}

void draw_rows(std::vector<double>& values, std::size_t rows, std::size_t cols, Random& random) {
  values.resize(rows * cols);
  for (std::size_t i = 0; i < rows; ++i) draw_simplex(std::span(values).subspan(i * cols, cols), random);
}

std::vector<double> numbers_of(const nlohmann::json& value) {
  std::vector<double> numbers;
  for (const auto& entry : value)
    if (entry.is_array()) {
      for (const auto& number : entry) numbers.push_back(number.get<double>());
    } else {
      numbers.push_back(entry.get<double>());
    }
  return numbers;
}

Hmm read_hmm(const std::string& path, std::uint32_t letters) {
  Hmm h;
  try {
    const nlohmann::json file = nlohmann::json::parse(read_text(path, 1 << 26));
    h.start = numbers_of(file.at("start"));
    h.transition = numbers_of(file.at("transition"));
    h.emission = numbers_of(file.at("emission"));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kBadFormat, path, printable(error.what()),
                R"(expected {"start": [M], "transition": [M × M], "emission": [M × V]})");
  }
  h.states = h.start.size();
  h.letters = letters;
  return h;
}

std::vector<std::string> law_parts(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c == ',')
      parts.emplace_back();
    else
      parts.back().push_back(c);
  return parts;
}

}  // namespace

Law Law::iid(std::uint32_t letters) {
  require_letters(letters);
  return Law(std::vector<Hmm>{{1, letters, {1}, {1}, std::vector<double>(letters, 1.0 / letters)}}, letters,
             "iid");
}

Law Law::polya(double alpha, std::uint32_t letters) {
  require_letters(letters);
  // Beyond, an urn cannot be told from letters that are all the same, or drawn apart.
  if (!(alpha >= 1e-9 && alpha <= 1e9))
    throw Error(ErrorKind::kUsage, "law", fmt::format("expected α from 1e-9 to 1e9, found {}", alpha));
  return Law(Polya{alpha}, letters, fmt::format("polya:{}", alpha));
}

Law Law::mixture(std::vector<Hmm> components) {
  if (components.empty() || components.size() > kMostComponents)
    throw Error(ErrorKind::kUsage, "law",
                fmt::format("expected 1 to {} components, found {}", kMostComponents, components.size()));
  const std::size_t letters = components.front().letters;
  require_letters(static_cast<std::uint32_t>(std::min<std::size_t>(letters, kMostLetters + 1)));
  for (const Hmm& h : components) {
    require_states(h.states);
    if (h.letters != letters)
      throw Error(ErrorKind::kUsage, "law",
                  fmt::format("components of {} and of {} letters", letters, h.letters));
    require_rows(h.start, 1, h.states, "start");
    require_rows(h.transition, h.states, h.states, "transition");
    require_rows(h.emission, h.states, letters, "emission");
  }
  std::string name = components.size() == 1 ? fmt::format("hmm of {} states", components.front().states)
                                            : fmt::format("mixture of {} hmms", components.size());
  return Law(std::move(components), static_cast<std::uint32_t>(letters), std::move(name));
}

Hmm Law::random_hmm(std::size_t states, std::uint32_t letters, Random& random) {
  require_letters(letters);
  require_states(states);
  Hmm h{states, letters, {}, {}, {}};
  draw_rows(h.start, 1, states, random);
  draw_rows(h.transition, states, states, random);
  draw_rows(h.emission, states, letters, random);
  return h;
}

Hmm Law::sticky_hmm(double stay, std::size_t states, std::uint32_t letters, Random& random) {
  require_letters(letters);
  require_states(states);
  if (!(stay >= 0 && stay <= 1))
    throw Error(ErrorKind::kUsage, "law", fmt::format("expected a probability to stay, found {}", stay));
  Hmm h{states, letters, std::vector<double>(states, 1 / static_cast<double>(states)), {}, {}};
  const double leave = states > 1 ? (1 - stay) / static_cast<double>(states - 1) : 0;
  h.transition.assign(states * states, leave);
  for (std::size_t s = 0; s < states; ++s) h.transition[s * states + s] = states > 1 ? stay : 1;
  draw_rows(h.emission, states, letters, random);
  return h;
}

Law Law::parse(std::string_view text, std::uint32_t letters, std::uint64_t seed, const std::string& where) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string rest(colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1));
  const std::vector<std::string> parts = law_parts(rest);
  const auto refuse = [&]() -> Error {
    return {ErrorKind::kUsage, where, fmt::format("unknown law {}", printable(text)),
            "one of iid, polya:ALPHA, hmm:STATES, hmm:FILE, mixture:COMPONENTS,STATES, "
            "hmm-sticky:STAY[,STATES]"};
  };
  const auto number = [&](std::size_t i) {
    double value = 0;
    if (i >= parts.size() || !parse_number(parts[i], value) || !std::isfinite(value)) throw refuse();
    return value;
  };
  const auto whole = [&](std::size_t i) {
    const double value = number(i);
    if (value < 0 || value > 1e6 || value != std::floor(value)) throw refuse();
    return static_cast<std::size_t>(value);
  };
  const auto with = [&](std::size_t least, std::size_t most) {
    if (rest.empty() ? least > 0 : parts.size() < least || parts.size() > most) throw refuse();
  };
  Random random(seed, kParameters);
  double ignored = 0;
  const auto named = [&](std::vector<Hmm> components) {
    Law law = mixture(std::move(components));
    law.name_ = text;
    return law;
  };
  if (kind == "iid" && colon == std::string_view::npos) return iid(letters);
  if (kind == "polya") {
    with(1, 1);
    return polya(number(0), letters);
  }
  if (kind == "hmm-sticky") {
    with(1, 2);
    return named({sticky_hmm(number(0), parts.size() > 1 ? whole(1) : 4, letters, random)});
  }
  if (kind == "mixture") {
    with(2, 2);
    const std::size_t count = whole(0), states = whole(1);
    if (count < 1 || count > kMostComponents) throw refuse();
    require_memory(8.0 * static_cast<double>(count * states) * static_cast<double>(states + letters), where,
                   "take fewer components, states or letters");
    std::vector<Hmm> components;
    for (std::size_t k = 0; k < count; ++k) components.push_back(random_hmm(states, letters, random));
    return named(std::move(components));
  }
  if (kind == "hmm" && !rest.empty())
    return parse_number(rest, ignored) ? named({random_hmm(whole(0), letters, random)})
                                       : named({read_hmm(rest, letters)});
  throw refuse();
}

}  // namespace telos::symmetry
