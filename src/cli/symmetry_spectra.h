#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cli/option_names.h"
#include "telos/base/arena.h"
#include "telos/report/words.h"
#include "telos/symmetry/enumeration.h"
#include "telos/symmetry/spectrum.h"

// What `telos symmetry spectrum` and `telos symmetry predict` share: a kernel, a law, sizes, and how the
// spectrum is found.

namespace telos::cli {

struct SpectrumArguments {
  symmetry::SimplifiedBlock block;
  std::string norm = "1/L2", law = "iid", lengths = "8";
  std::uint32_t vocabulary = 8;
  std::string architecture, method;  // method: the first that can where empty
  bool ntk = false;
  std::uint32_t degree = std::numeric_limits<std::uint32_t>::max();
  symmetry::ZonalOptions zonal;
};
void add_spectrum_source(CLI::App& command, SpectrumArguments& a);

/// Refuses options of `command` that no method which the lengths take reads: throws kUsage.
void refuse_idle_options(const CLI::App& command, const SpectrumArguments& a);

/// Ascending. Throws kUsage.
std::vector<std::uint32_t> parse_lengths(const std::string& text);
/// "iid" or "polya:ALPHA". Throws kUsage at the option.
symmetry::TokenLaw parse_token_law(const std::string& text, const char* option = "--law");
/// Kernel and law.
void add_kernel_facts(const SpectrumArguments& a, PageContext& page);

/// What the library calls the options.
std::vector<OptionName> spectrum_options();

/// closed, enumerate, binary or zonal: what --method says, or the first that can. Throws kUsage where it
/// cannot.
std::string spectrum_method(const SpectrumArguments& a, std::uint32_t length);
symmetry::Spectrum spectrum_by(const SpectrumArguments& a, std::uint32_t length, const Arena& arena);
/// Of the method enumerate, with eigenfunctions.
symmetry::Enumeration enumeration_by(const SpectrumArguments& a, std::uint32_t length, const Arena& arena);

}  // namespace telos::cli
