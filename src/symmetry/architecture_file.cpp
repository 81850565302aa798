// Architectures from JSON.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/json_fields.h"
#include "symmetry/architecture_parts.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/symmetry/architecture.h"

namespace telos::symmetry {
namespace {

using Json = nlohmann::ordered_json;

JsonFieldReader architecture_reader(const Json& object, const std::string& where) {
  return {object, where, ErrorKind::kBadFormat, false};
}

template <class Enum>
void read_name(JsonFieldReader& reader, const char* field, std::span<const std::string_view> names,
               Enum& value) {
  std::string name;
  if (!reader.find(field)) return;
  reader(field, name);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    reader.refuse(
        field, fmt::format("expected one of {}, found \"{}\"", fmt::join(names, ", "), printable(name, 60)));
  value = static_cast<Enum>(found - names.begin());
}

void read_size(JsonFieldReader& reader, const char* field, std::size_t& value) {
  std::uint64_t number = value;
  reader(field, number);
  value = number;
}

Embedding read_embedding(const Json& json, const std::string& where) {
  JsonFieldReader reader = architecture_reader(json, where);
  Embedding e;
  reader("se2", e.token);
  reader("sp2", e.position);
  read_name(reader, "pos", kPositionNames, e.positions);
  read_size(reader, "dimension", e.dimension);
  reader("trained", e.trained);
  reader.refuse_unknown();
  return e;
}

RotaryEmbedding read_rope(const Json& json, const std::string& where) {
  JsonFieldReader reader = architecture_reader(json, where);
  RotaryEmbedding r;
  reader("base", r.base);
  read_size(reader, "dimension", r.dimension);
  reader.refuse_unknown();
  return r;
}

AttentionLayer read_attention(const Json& json, const std::string& where) {
  JsonFieldReader reader = architecture_reader(json, where);
  AttentionLayer m;
  read_name(reader, "kind", kAttentionMapNames, m.map);
  read_name(reader, "scale", kAttentionScaleNames, m.scale);
  reader("qk", m.logit);
  reader("ov2", m.value);
  reader("b2", m.bias);
  reader("sp2", m.position);
  read_name(reader, "pos", kPositionNames, m.positions);
  reader("val_pos", m.value_positions);
  read_name(reader, "norm", kAttentionAverageNames, m.average);
  std::string mask = "none";
  reader("mask", mask);
  if (mask != "none" && mask != "causal")
    reader.refuse("mask", fmt::format("expected none or causal, found \"{}\"", printable(mask, 60)));
  m.causal = mask == "causal";
  if (const Json* rope = reader.find("rope"); rope && !rope->is_null())
    m.rope = read_rope(*rope, reader.place("rope"));
  reader("alibi", m.alibi);
  reader.refuse_unknown();
  return m;
}

MlpLayer read_mlp(const Json& json, const std::string& where) {
  JsonFieldReader reader = architecture_reader(json, where);
  MlpLayer m;
  read_name(reader, "phi", kNonlinearityNames, m.phi);
  reader("slope", m.slope);
  reader("w2", m.weight);
  reader("b2", m.bias);
  reader("out_w2", m.out_weight);
  reader("out_b2", m.out_bias);
  reader.refuse_unknown();
  return m;
}

TransformerBlock read_block(const Json& json, const std::string& where) {
  JsonFieldReader reader = architecture_reader(json, where);
  TransformerBlock b;
  read_name(reader, "norm", kNormPlaceNames, b.norm);
  reader("residual", b.residual);
  if (const Json* attention = reader.find("attn"); attention && !attention->is_null())
    b.attention = read_attention(*attention, reader.place("attn"));
  if (const Json* mlp = reader.find("mlp"); mlp && !mlp->is_null())
    b.mlp = read_mlp(*mlp, reader.place("mlp"));
  reader.refuse_unknown();
  return b;
}

SimplifiedBlock read_simplified(const Json& json, const std::string& place, const Embedding& e,
                                const std::string& where) {
  if (e.positions != Positions::kNone && e.positions != Positions::kIndependent)
    throw Error(ErrorKind::kBadFormat, where + ", field embed.pos",
                fmt::format("expected \"none\" or \"iid\" for the simplified block, found \"{}\"",
                            to_string(e.positions)));
  JsonFieldReader reader = architecture_reader(json, place);
  SimplifiedBlock block{
      .token = e.token, .position = e.positions == Positions::kNone ? 0 : e.position, .query = true};
  reader("query", block.query);
  read_name(reader, "norm", kAttentionAverageNames, block.average);
  reader.refuse_unknown();
  return block;
}

Json to_json_value(const AttentionLayer& m) {
  Json json = {{"kind", to_string(m.map)},
               {"scale", to_string(m.scale)},
               {"qk", m.logit},
               {"ov2", m.value},
               {"b2", m.bias},
               {"sp2", m.position},
               {"pos", to_string(m.positions)},
               {"val_pos", m.value_positions},
               {"norm", to_string(m.average)},
               {"mask", m.causal ? "causal" : "none"},
               {"rope", nullptr},
               {"alibi", m.alibi}};
  if (m.rope) json["rope"] = {{"base", m.rope->base}, {"dimension", m.rope->dimension}};
  return json;
}

Json to_json_value(const TransformerBlock& b) {
  Json json = {{"norm", to_string(b.norm)}, {"residual", b.residual}, {"attn", nullptr}, {"mlp", nullptr}};
  if (b.attention) json["attn"] = to_json_value(*b.attention);
  if (b.mlp)
    json["mlp"] = {{"phi", to_string(b.mlp->phi)}, {"slope", b.mlp->slope},
                   {"w2", b.mlp->weight},          {"b2", b.mlp->bias},
                   {"out_w2", b.mlp->out_weight},  {"out_b2", b.mlp->out_bias}};
  return json;
}

}  // namespace

std::string to_json(const Architecture& a) {
  const Json padding = a.padding ? Json(*a.padding) : Json();
  Json json = {{"name", printable(a.name)},
               {"embed",
                {{"se2", a.embedding.token},
                 {"sp2", a.embedding.position},
                 {"pos", to_string(a.embedding.positions)},
                 {"dimension", a.embedding.dimension},
                 {"trained", a.embedding.trained}}}};
  if (a.simplified) {
    json["embed"] = {
        {"se2", a.simplified->token}, {"sp2", a.simplified->position}, {"trained", a.embedding.trained}};
    json["simplified"] = {{"query", a.simplified->query}, {"norm", to_string(a.simplified->average)}};
    json["pad_token_id"] = padding;
    return json.dump();
  }
  json["blocks"] = Json::array();
  for (const TransformerBlock& b : a.blocks) json["blocks"].push_back(to_json_value(b));
  json["readout"] = to_string(a.readout);
  json["final_norm"] = a.final_norm;
  json["w2"] = a.weight;
  json["epsilon"] = a.epsilon;
  json["pad_token_id"] = padding;
  return json.dump();
}

Architecture parse_architecture(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where, {.max_bytes = 1'000'000, .max_depth = 16, .max_values = 100'000});
  JsonFieldReader reader = architecture_reader(json, where);
  Architecture a;
  a.name = std::filesystem::path(where).stem().string();
  reader("name", a.name);
  if (const Json* embedding = reader.find("embed"))
    a.embedding = read_embedding(*embedding, reader.place("embed"));
  if (const Json* simplified = reader.find("simplified"); simplified && !simplified->is_null()) {
    a.simplified = read_simplified(*simplified, reader.place("simplified"), a.embedding, where);
    for (const char* other : {"blocks", "readout", "final_norm", "w2", "epsilon"})
      if (json.contains(other)) reader.refuse(other, "has no meaning beside \"simplified\"");
  }
  if (const Json* blocks = reader.find("blocks")) {
    if (!blocks->is_array()) reader.refuse_type("blocks", "a list of objects", *blocks);
    for (std::size_t i = 0; i < blocks->size(); ++i)
      a.blocks.push_back(read_block((*blocks)[i], fmt::format("{}, blocks[{}]", where, i)));
  } else if (!a.simplified) {
    reader.refuse("", "expected the field \"blocks\", or \"simplified\"");
  }
  read_name(reader, "readout", kReadoutNames, a.readout);
  reader("final_norm", a.final_norm);
  reader("w2", a.weight);
  reader("epsilon", a.epsilon);
  if (const Json* padding = reader.find("pad_token_id"); padding && !padding->is_null()) {
    std::size_t id = 0;
    read_size(reader, "pad_token_id", id);
    if (id > UINT32_MAX) reader.refuse("pad_token_id", fmt::format("expected a token id, found {}", id));
    a.padding = static_cast<std::uint32_t>(id);
  }
  reader.refuse_unknown();
  try {
    require_valid(a, where);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFormat, error.where(), error.message(), error.hint());
  }
  return a;
}

Architecture load_architecture(const std::string& name_or_path) {
  for (const Preset& p : presets())
    if (p.name == name_or_path) return preset(p.name);
  const bool path = name_or_path.find_first_of("./") != std::string::npos;
  return path || std::filesystem::exists(name_or_path)
             ? parse_architecture(read_text(name_or_path, 1'000'000), name_or_path)
             : preset(name_or_path);
}

}  // namespace telos::symmetry
