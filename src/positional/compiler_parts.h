#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "positional/circuit.h"
#include "telos/positional/compiler.h"

// The compiler between program and weights.

namespace telos::positional {

/// A channel in the state after a layer: its variants lie in consecutive slots.
struct ChannelState {
  std::size_t channel = 0, first_slot = 0;
  std::vector<std::string> formulas{}, roles{};  ///< by variant
  std::vector<std::size_t> of_node{};            ///< the variant that a node really has
  Size size{};
  std::size_t variants() const { return formulas.size(); }
};
using StateLayout = std::vector<ChannelState>;

/// A head before it has a number: a table and the slots that are read through it.
struct Fetch {
  std::string source;
  std::vector<std::vector<Source>> table{};
  std::vector<std::size_t> slots{};
  std::vector<std::string> channels{}, roles{};
};

/// Where a symbol of the circuit is found: a column of X, or parts of what heads bring.
struct SymbolPlace {
  bool in_state = false;
  std::size_t slot = 0;                                        ///< in_state
  std::vector<std::pair<std::size_t, std::size_t>> fetched{};  ///< (fetch, slot's index in it), to be summed
};

/// One layer: what is fetched, what is computed from it, what the state is afterwards.
struct LayerDraft {
  std::string name;
  std::vector<Fetch> fetches{};
  std::vector<SymbolPlace> symbols{};
  Circuit circuit{};
  std::vector<Circuit::Value> outputs{};  ///< by slot of the state afterwards
  StateLayout state{};
  Size select_limit{};  ///< of the values that select() meets
};

struct Draft {
  StateLayout start{};
  std::vector<LayerDraft> layers{};
  std::size_t width = 0;   ///< most slots of a state
  std::size_t hidden = 1;  ///< hidden layers of the MLPs
  Size largest{};          ///< of all sums in encoder, attention and decoder
};

/// The program without assignments that no output depends on.
Program without_dead_assignments(const Program& program);
/// Rounds to layers; channels that nobody reads any more are dropped.
Draft draft_layers(const Program& program);

}  // namespace telos::positional
