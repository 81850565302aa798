#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <span>

#include "io/json.h"
#include "io/json_fields.h"
#include "telos/base/error.h"
#include "telos/bigram/instance.h"
#include "telos/io/files.h"

namespace telos::bigram {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "telos.bigram.instance";
constexpr std::uint64_t kVersion = 1;
constexpr JsonLimits kLimits{.max_bytes = 500'000'000, .max_depth = 4, .max_values = 20'000'000};

void append_numbers(std::string& text, const auto& numbers) {
  text += '[';
  for (const auto& number : numbers) fmt::format_to(std::back_inserter(text), "{}, ", number);
  if (!numbers.empty()) text.resize(text.size() - 2);
  text += ']';
}

void check_writable(const Instance& instance) {
  std::size_t values = instance.p.size() + 2 * instance.tokens();
  for (const SparseColumn& column : instance.q) values += 3 + 2 * column.positions.size();
  values += instance.names.size() + 8;
  if (values > kLimits.max_values)
    throw Error(ErrorKind::kLimit, "instance",
                fmt::format("has {} numbers, a file holds at most {}", values, kLimits.max_values),
                "keep fewer tokens");
}

Matrix<double> read_transitions(JsonFieldReader& reader, std::size_t tokens) {
  const Json* rows = reader.find("p");
  if (rows == nullptr || !rows->is_array() || rows->size() != tokens)
    reader.refuse("p", fmt::format("expected a list of {} rows", tokens));
  for (std::size_t i = 0; i < tokens; ++i) {
    const Json& row = (*rows)[i];
    if (!row.is_array() || row.size() != tokens)
      reader.refuse("p", fmt::format("row {}: expected a list of {} numbers", i, tokens));
    for (const Json& value : row)
      if (!value.is_number())
        reader.refuse("p",
                      fmt::format("row {}: expected numbers, found {}", i, JsonFieldReader::shown(value)));
  }
  Matrix<double> p(tokens, tokens);
  for (std::size_t i = 0; i < tokens; ++i)
    for (std::size_t j = 0; j < tokens; ++j) p(i, j) = (*rows)[i][j].get<double>();
  return p;
}

SparseColumn read_column(const Json& json, const std::string& where) {
  JsonFieldReader reader(json, where, ErrorKind::kBadFormat, false);
  std::vector<std::uint64_t> positions;
  SparseColumn column;
  reader("positions", positions);
  reader("weights", column.weights);
  reader.refuse_unknown();
  for (const std::uint64_t position : positions) {
    if (position > 0xFFFF'FFFF) reader.refuse("positions", fmt::format("{} is not a position", position));
    column.positions.push_back(static_cast<std::uint32_t>(position));
  }
  return column;
}

std::vector<SparseColumn> read_columns(JsonFieldReader& reader, const std::string& where,
                                       std::size_t tokens) {
  const Json* columns = reader.find("q");
  if (columns == nullptr || !columns->is_array() || columns->size() != tokens)
    reader.refuse("q", fmt::format("expected a list of {} columns", tokens));
  std::vector<SparseColumn> q;
  for (const Json& column : *columns)
    q.push_back(read_column(column, fmt::format("{}, q, column {}", where, q.size())));
  return q;
}

std::vector<std::string> read_names(JsonFieldReader& reader, std::size_t tokens) {
  const Json* list = reader.find("names");
  if (list == nullptr) return {};
  if (!list->is_array() || (!list->empty() && list->size() != tokens))
    reader.refuse("names", fmt::format("expected a list of {} texts", tokens));
  std::vector<std::string> names;
  for (const Json& name : *list) {
    if (!name.is_string()) reader.refuse_type("names", "texts", name);
    names.push_back(name.get<std::string>());
  }
  return names;
}

}  // namespace

std::string instance_json(const Instance& instance) {
  check_writable(instance);
  const std::size_t n = instance.tokens();
  std::string text =
      fmt::format("{{\"format\": \"{}\", \"version\": {},\n\"tokens\": {}, \"length\": {},\n\"p\": [",
                  kFormat, kVersion, n, instance.length);
  for (std::size_t i = 0; i < n; ++i) {
    text += i == 0 ? "\n" : ",\n";
    append_numbers(text, std::span(instance.p.row(i), n));
  }
  text += "],\n\"q\": [";
  for (std::size_t k = 0; k < n; ++k) {
    text += k == 0 ? "\n{\"positions\": " : ",\n{\"positions\": ";
    append_numbers(text, instance.q[k].positions);
    text += ", \"weights\": ";
    append_numbers(text, instance.q[k].weights);
    text += '}';
  }
  text += "],\n\"names\": ";
  text += Json(instance.names).dump(-1, ' ', false, Json::error_handler_t::replace);
  return text + "}\n";
}

Instance parse_instance(std::string_view text, const std::string& where, std::vector<std::string>* notes) {
  const Json json = parse_json(text, where, kLimits);
  JsonFieldReader reader(json, where, ErrorKind::kBadFormat, false);
  std::string format;
  std::uint64_t version = 0, tokens = 0, length = 0;
  reader("format", format);
  reader("version", version);
  if (format != kFormat)
    reader.refuse("format", fmt::format("expected \"{}\", found \"{}\"", kFormat, printable(format, 60)));
  if (version != kVersion) reader.refuse("version", fmt::format("expected {}, found {}", kVersion, version));
  reader("tokens", tokens);
  reader("length", length);
  Matrix<double> p = read_transitions(reader, tokens);
  std::vector<SparseColumn> q = read_columns(reader, where, tokens);
  std::vector<std::string> names = read_names(reader, tokens);
  reader.refuse_unknown();
  try {
    Instance instance = make_instance(std::move(p), std::move(q), length, notes);
    instance.names = std::move(names);
    return instance;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted || error.kind() == ErrorKind::kLimit) throw;
    throw Error(ErrorKind::kBadFormat, where + ", " + error.where(), error.message(), error.hint());
  }
}

void write_instance(const Instance& instance, const std::string& path) {
  write_file_atomically(path, instance_json(instance));
}

Instance read_instance(const std::string& path, std::vector<std::string>* notes) {
  return parse_instance(read_text(path, kLimits.max_bytes), path, notes);
}

}  // namespace telos::bigram
