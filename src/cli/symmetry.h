#pragma once

#include "cli/app.h"

namespace CLI {
class App;
}

namespace telos::cli {

// The commands of `telos symmetry`, each of which only sets context.action.
void add_symmetry_corpus(CLI::App& group, Context& context);
void add_symmetry_irreps(CLI::App& group, Context& context);
void add_symmetry_measure(CLI::App& group, Context& context);
void add_symmetry_kernel(CLI::App& group, Context& context);
void add_symmetry_predict(CLI::App& group, Context& context);
void add_symmetry_spectrum(CLI::App& group, Context& context);
void add_symmetry_learn(CLI::App& group, Context& context);

}  // namespace telos::cli
