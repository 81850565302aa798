#pragma once

#include <cstddef>

#include "telos/nn/operations.h"

namespace telos::nn {

/// Layers of pure attention on the tokens of one sample. Rows of weight 0 are left out from the start: what
/// follows sees `present` rows, packed.
template <class T>
struct HardmaxProblem {
  std::size_t rows = 0, cols = 0, layers = 1;
  HardmaxOptions::Mode mode = HardmaxOptions::Mode::kSoft;
  T temperature = 1, ste_temperature = 1, cut = 25;
  T alpha = 1;

  const T* weights = nullptr;
  std::size_t weights_row = 1;
  const T* x = nullptr;
  std::size_t x_row = 0;
  T* y = nullptr;  ///< forward; rows of weight 0 become 0
  std::size_t y_row = 0;
  const T* dy = nullptr;  ///< backward
  std::size_t dy_row = 0;
  T* dx = nullptr;  ///< backward; added to; null: not needed
  std::size_t dx_row = 0;
  T* dalpha = nullptr;   ///< backward; added to; null: not needed
  T* saved = nullptr;    ///< saved_elements(): from forward to backward
  T* scratch = nullptr;  ///< scratch_elements()

  /// Columns of a transposed matrix: whole vectors of the widest instruction set, of either type.
  std::size_t padded() const { return (rows + 15) / 16 * 16; }
  /// The tokens that each layer reads, and the one token that each row follows, or −1 for several.
  std::size_t saved_elements() const { return layers * rows * (cols + 1); }
  std::size_t scratch_elements() const { return padded() * (cols + 8) + 2 * rows * cols + 2 * (cols + 16); }
};

void hardmax_forward(const HardmaxProblem<float>& p);
void hardmax_forward(const HardmaxProblem<double>& p);
void hardmax_backward(const HardmaxProblem<float>& p);
void hardmax_backward(const HardmaxProblem<double>& p);

}  // namespace telos::nn
