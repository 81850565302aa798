// SYSTEM.json: a SimulationSpec as a file. Every complaint names file and field, what was expected and what
// was found.
#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "io/json.h"
#include "smoothing/lab_parts.h"
#include "telos/base/error.h"
#include "telos/smoothing/lab.h"

namespace telos::smoothing {

namespace {

using Json = nlohmann::ordered_json;
using System = TransformerSystem;

// What was found, short enough for one line.
std::string shown(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return fmt::format("a list of {}", value.size());
    case Json::value_t::string:
      return fmt::format("\"{}\"", printable(value.get_ref<const std::string&>(), 40));
    default:
      return value.dump();
  }
}

// An object of the file, read field by field; fields that nobody asked for are refused at the end.
class Reader {
 public:
  Reader(const Json& object, std::string file, std::string path)
      : object_(object), file_(std::move(file)), path_(std::move(path)) {
    if (!object.is_object())
      throw Error(ErrorKind::kBadFormat,
                  path_.empty() ? file_ : file_ + ": " + path_.substr(0, path_.size() - 1),
                  "expected an object, found " + shown(object));
  }

  const Json* find(const char* key) {
    known_.push_back(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  const Json& require(const char* key, const char* expected) {
    const Json* value = find(key);
    if (!value) fail(key, expected, "nothing");
    return *value;
  }

  void read(const char* key, double& out) {
    const Json* value = find(key);
    if (!value) return;
    if (!value->is_number()) fail(key, "a number", shown(*value));
    out = value->get<double>();
  }
  void read(const char* key, bool& out) {
    const Json* value = find(key);
    if (!value) return;
    if (!value->is_boolean()) fail(key, "true or false", shown(*value));
    out = value->get<bool>();
  }
  void read(const char* key, std::string& out) {
    const Json* value = find(key);
    if (!value) return;
    if (!value->is_string()) fail(key, "a string", shown(*value));
    out = value->get<std::string>();
  }
  template <class Integer>
  void read_count(const char* key, Integer& out) {
    const Json* value = find(key);
    if (!value) return;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > static_cast<Integer>(-1))
      fail(key, "a whole number that is not negative", shown(*value));
    out = static_cast<Integer>(value->get<std::uint64_t>());
  }
  template <class Enum>
  void read_choice(const char* key, Enum& out, std::initializer_list<Enum> choices) {
    const Json* value = find(key);
    if (!value) return;
    std::string expected = "one of";
    for (Enum choice : choices) {
      if (value->is_string() && value->get_ref<const std::string&>() == to_string(choice)) {
        out = choice;
        return;
      }
      expected += fmt::format(" \"{}\"", to_string(choice));
    }
    fail(key, expected, shown(*value));
  }
  Matrix<double> read_matrix(const char* key) {
    const Json& rows = require(key, "a list of rows of numbers");
    if (!rows.is_array() || rows.empty() || !rows[0].is_array() || rows[0].empty())
      fail(key, "a list of rows of numbers", shown(rows));
    const std::size_t cols = rows[0].size();
    if (rows.size() > kLargestSize || cols > kLargestSize)
      fail(key, fmt::format("at most {} rows and columns", kLargestSize),
           fmt::format("{}×{}", rows.size(), cols));
    // All rows first: nothing is allocated before the file has proven the size.
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (!rows[i].is_array() || rows[i].size() != cols)
        fail(fmt::format("{}[{}]", key, i), fmt::format("a list of {} numbers, as the first row has", cols),
             shown(rows[i]));
    Matrix<double> out(rows.size(), cols);
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < cols; ++j) {
        if (!rows[i][j].is_number())
          fail(fmt::format("{}[{}][{}]", key, i, j), "a number", shown(rows[i][j]));
        out(i, j) = rows[i][j].get<double>();
      }
    return out;
  }

  void refuse_others() const {
    for (const auto& [key, value] : object_.items()) {
      bool is_known = false;
      std::string list;
      for (const char* known : known_) {
        is_known = is_known || key == known;
        list += (list.empty() ? "" : ", ") + std::string(known);
      }
      if (!is_known) fail(printable(key, 40), "one of the fields " + list, "an unknown field");
    }
  }

  [[noreturn]] void fail(const std::string& key, const std::string& expected,
                         const std::string& found) const {
    throw Error(ErrorKind::kBadFormat, file_ + ": " + path_ + key,
                "expected " + expected + ", found " + found,
                "telos smoothing simulate --example prints a complete file");
  }

 private:
  const Json& object_;
  std::string file_, path_;
  std::vector<const char*> known_;
};

LinearSystem read_linear(const Json& json, const std::string& file) {
  Reader in(json, file, "linear.");
  LinearSystem out;
  out.attention = in.read_matrix("attention");
  out.weights = in.read_matrix("weights");
  out.tokens = in.read_matrix("tokens");
  in.read("residual", out.residual);
  in.refuse_others();
  return out;
}

Interventions read_interventions(const Json& json, const std::string& file) {
  Reader in(json, file, "transformer.interventions.");
  Interventions out;
  in.read("residual_by_depth", out.residual_by_depth);
  in.read("attn_scale", out.attn_scale);
  in.read("feat_scale_low", out.feat_scale_low);
  in.read("feat_scale_high", out.feat_scale_high);
  in.read("feat_scale_official", out.feat_scale_official);
  in.read("contra_norm", out.contra_norm);
  in.read("neutreno", out.neutreno);
  in.refuse_others();
  return out;
}

System read_transformer(const Json& json, const std::string& file) {
  Reader in(json, file, "transformer.");
  System out;
  in.read_count("tokens", out.tokens);
  in.read_count("width", out.width);
  in.read_count("heads", out.heads);
  in.read_choice("spectrum", out.spectrum,
                 {System::Spectrum::kSmooth, System::Spectrum::kSharp, System::Spectrum::kFree});
  in.read_choice("norm", out.norm, {System::Norm::kNone, System::Norm::kPre, System::Norm::kPost});
  in.read_choice("mask", out.mask, {System::Mask::kFull, System::Mask::kCausal});
  in.read_choice("basis", out.basis, {System::Basis::kOrthogonal, System::Basis::kGeneral});
  in.read_choice("eigenvalues", out.eigenvalues,
                 {System::Eigenvalues::kUniform, System::Eigenvalues::kClip, System::Eigenvalues::kSquare,
                  System::Eigenvalues::kSigmoid});
  in.read("gamma", out.gamma);
  in.read("residual", out.residual);
  in.read("logit_scale", out.logit_scale);
  in.read_count("seeds", out.seeds);
  in.read_count("seed", out.seed);
  if (const Json* interventions = in.find("interventions"))
    out.interventions = read_interventions(*interventions, file);
  in.refuse_others();
  return out;
}

Json matrix_json(const Matrix<double>& m) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < m.rows(); ++i)
    rows.push_back(std::vector<double>(m.row(i), m.row(i) + m.cols()));
  return rows;
}

Json to_json(const LinearSystem& system) {
  return {{"attention", matrix_json(system.attention)},
          {"weights", matrix_json(system.weights)},
          {"tokens", matrix_json(system.tokens)},
          {"residual", system.residual}};
}

Json to_json(const System& system) {
  const Interventions& use = system.interventions;
  return {{"tokens", system.tokens},
          {"width", system.width},
          {"heads", system.heads},
          {"spectrum", to_string(system.spectrum)},
          {"norm", to_string(system.norm)},
          {"mask", to_string(system.mask)},
          {"basis", to_string(system.basis)},
          {"eigenvalues", to_string(system.eigenvalues)},
          {"gamma", system.gamma},
          {"residual", system.residual},
          {"logit_scale", system.logit_scale},
          {"seeds", system.seeds},
          {"seed", system.seed},
          {"interventions",
           {{"residual_by_depth", use.residual_by_depth},
            {"attn_scale", use.attn_scale},
            {"feat_scale_low", use.feat_scale_low},
            {"feat_scale_high", use.feat_scale_high},
            {"feat_scale_official", use.feat_scale_official},
            {"contra_norm", use.contra_norm},
            {"neutreno", use.neutreno}}}};
}

// One row of a matrix on one line: dump() would give each number its own.
std::string pretty(const Json& json, int indent = 0) {
  const std::string pad(static_cast<std::size_t>(indent) + 2, ' '),
      end(static_cast<std::size_t>(indent), ' ');
  const bool nested = json.is_object() || (json.is_array() && !json.empty() && json[0].is_array());
  if (!nested || json.empty()) return json.dump();
  std::string out = json.is_object() ? "{" : "[";
  bool first = true;
  for (const auto& [key, value] : json.items()) {
    out += std::string(first ? "" : ",") + "\n" + pad + (json.is_object() ? Json(key).dump() + ": " : "") +
           pretty(value, indent + 2);
    first = false;
  }
  return out + "\n" + end + (json.is_object() ? "}" : "]");
}

}  // namespace

SimulationSpec parse_system(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  Reader in(json, file, "");
  SimulationSpec spec;
  spec.name = file;
  in.read("name", spec.name);
  in.read_count("layers", spec.layers);
  in.read_count("record_every", spec.record_every);
  const Json *linear = in.find("linear"), *transformer = in.find("transformer");
  in.refuse_others();
  if (!linear == !transformer)
    in.fail(linear ? "transformer" : "linear", "exactly one of the fields linear and transformer",
            linear ? "both" : "neither");
  if (linear)
    spec.system = read_linear(*linear, file);
  else
    spec.system = read_transformer(*transformer, file);
  try {
    check_spec(spec);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFormat, file + ": " + error.where(), error.message(), error.hint());
  }
  return spec;
}

std::string system_json(const SimulationSpec& spec) {
  Json json{{"name", spec.name}, {"layers", spec.layers}, {"record_every", spec.record_every}};
  if (const auto* linear = std::get_if<LinearSystem>(&spec.system))
    json["linear"] = to_json(*linear);
  else
    json["transformer"] = to_json(std::get<System>(spec.system));
  return pretty(json) + "\n";
}

std::string system_json_example() {
  return system_json(preset("pre-smooth"));
}

}  // namespace telos::smoothing
