// Steps that act on each entry alone.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>

#include "symmetry/kernel_strip.h"
#include "symmetry/transform_kernel.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

/// Products and roots of two variances must not leave the range of float.
void require_single(double variance) {
  constexpr double kLeast = 1e-15, kMost = 1e15;
  if (variance != 0 && !(variance >= kLeast && variance <= kMost))
    throw Error(
        ErrorKind::kNotFinite, "kernel",
        fmt::format("a variance of {:.3g} is out of the range of f32, {:g} to {:g}", variance, kLeast, kMost),
        "take --precision f64, or norms between the layers");
}

template <class T>
void append_side(const Step& step, double epsilon, const StepCache& cache, Side<T>& side) {
  const auto form = step.kind == Step::Kind::kActivate ? kernel::row_transform(step.phi, step.slope)
                                                       : std::optional<kernel::RowTransform>();
  for (std::size_t a = 0; a < cache.variance.size(); ++a) {
    const double v = cache.variance[a];
    if (std::is_same_v<T, float>) require_single(v);
    side.variance.push_back(static_cast<T>(v));
    if (step.kind == Step::Kind::kNorm) side.factor.push_back(static_cast<T>(1 / std::sqrt(v + epsilon)));
    if (form) side.factor.push_back(static_cast<T>(kernel::inverse_root(form->form, v)));
    if (!cache.series.empty()) side.series.push_back(cache.series.row(a));
  }
}

/// φ without vectors of its own.
template <class T>
void activate_one_by_one(const Step& step, const Side<T>& rows, const Side<T>& cols, std::size_t i,
                         std::span<T> c, T* slopes) {
  for (std::size_t j = 0; j < c.size(); ++j) {
    const double a = rows.variance[i], b = cols.variance[j];
    double covariance = c[j];
    if (std::is_same_v<T, float>) covariance = std::clamp(covariance, -std::sqrt(a * b), std::sqrt(a * b));
    const Transformed t = rows.series.empty()
                              ? transform(step.phi, step.slope, a, b, covariance)
                              : transform_series(std::span(rows.series[i], kSeriesTerms),
                                                 std::span(cols.series[j], kSeriesTerms), a, b, covariance);
    c[j] = static_cast<T>(t.value);
    if (slopes) slopes[j] = static_cast<T>(t.slope);
  }
}

template <class T>
void activate_row(const Step& step, const Side<T>& rows, const Side<T>& cols, std::size_t i, std::span<T> c,
                  T* slopes) {
  const auto form = kernel::row_transform(step.phi, step.slope);
  if (!form) return activate_one_by_one(step, rows, cols, i, c, slopes);
  if (!kernel::transform_row<T>(*form, {.a = rows.variance[i],
                                        .inverse_a = rows.factor[i],
                                        .b = cols.variance.data(),
                                        .inverse_b = cols.factor.data(),
                                        .c = c.data(),
                                        .slope = slopes,
                                        .n = c.size()}))
    kernel::refuse_covariance();
}

/// One row of K and, unless null, of Θ.
template <class T>
class RowRun {
 public:
  RowRun(const KernelProgram& program, Sides<T>& rows, Sides<T>& cols, const EmbeddedIn* embedded,
         StripState<T>& state)
      : program_(program),
        rows_(rows),
        cols_(cols),
        embedded_(embedded),
        state_(state),
        n_(state.here.k.cols()),
        slopes_(state.here.theta.empty() ? 0 : n_) {}

  /// Steps [first, last) of row i. Leaves the numbers of what is saved then.
  void run(std::size_t first, std::size_t last, std::size_t i) {
    k_ = state_.here.k.row(i);
    theta_ = state_.here.theta.empty() ? nullptr : state_.here.theta.row(i);
    depth = state_.depth;
    forms = state_.forms.size();
    for (std::size_t s = first; s < last; ++s) {
      const Step& step = program_.steps[s];
      switch (step.kind) {
        case Step::Kind::kSave:
          save(i, state_.saved[depth++]);
          break;
        case Step::Kind::kAdd:
          if (depth > 0)
            add(i, state_.saved[--depth]);
          else
            add(i, state_.forms[--forms]);
          break;
        case Step::Kind::kNorm:
          norm(s, i);
          break;
        case Step::Kind::kDense:
          dense(step);
          break;
        case Step::Kind::kActivate:
          activate(s, i);
          break;
        case Step::Kind::kAttend:
          break;
      }
    }
  }

  std::size_t depth = 0, forms = 0;

 private:
  void save(std::size_t i, Strip<T>& saved) const {
    std::copy_n(k_, n_, saved.k.row(i));
    if (theta_) std::copy_n(theta_, n_, saved.theta.row(i));
  }
  void add(std::size_t i, const Strip<T>& saved) const {
    kernel::scale_add_row<T>(1, saved.k.row(i), k_, n_);
    if (theta_) kernel::scale_add_row<T>(1, saved.theta.row(i), theta_, n_);
  }
  void add(std::size_t i, const EmbeddingForm& form) const {
    const Token x = embedded_->x.tokens[i];
    const std::size_t place = embedded_->x.places[i];
    embedded_->columns.add(form.token, form.position, x, place, k_);
    if (theta_) embedded_->columns.add(form.token_theta, form.position_theta, x, place, theta_);
  }
  void norm(std::size_t s, std::size_t i) const {
    const T left = rows_.at(s).factor[i];
    const T* const right = cols_.at(s).factor.data();
    kernel::scale_row(left, right, k_, n_);
    if (theta_) kernel::scale_row(left, right, theta_, n_);
  }
  void dense(const Step& step) const {
    const T weight = static_cast<T>(step.weight), bias = static_cast<T>(step.bias);
    if (weight != 1 || bias != 0) kernel::affine_row(weight, bias, k_, n_);
    if (theta_) kernel::scale_add_row<T>(weight, k_, theta_, n_);
  }
  void activate(std::size_t s, std::size_t i) {
    activate_row(program_.steps[s], rows_.at(s), cols_.at(s), i, std::span(k_, n_),
                 theta_ ? slopes_.data() : nullptr);
    if (theta_) kernel::multiply_row(slopes_.data(), theta_, n_);
  }

  const KernelProgram& program_;
  Sides<T>&rows_, &cols_;
  const EmbeddedIn* embedded_;
  StripState<T>& state_;
  std::size_t n_;
  std::vector<T> slopes_;
  T *k_ = nullptr, *theta_ = nullptr;
};

/// Memory for what the steps save.
template <class T>
void prepare_saved(const KernelProgram& program, std::size_t first, std::size_t last, StripState<T>& state) {
  const Strip<T>& here = state.here;
  std::size_t depth = state.depth;
  for (std::size_t s = first; s < last; ++s) {
    if (program.steps[s].kind == Step::Kind::kAdd && depth > 0) --depth;
    if (program.steps[s].kind != Step::Kind::kSave) continue;
    if (state.saved.size() == depth) state.saved.emplace_back();
    resize_strip(here.k.rows(), here.k.cols(), !here.theta.empty(), state.saved[depth++]);
  }
}

}  // namespace

template <class T>
const Side<T>& Sides<T>::at(std::size_t step) {
  std::optional<Side<T>>& side = sides_[step];
  if (!side) {
    side.emplace();
    for (const SequenceCache* c : sequences_)
      append_side(program_->steps[step], program_->architecture.epsilon, c->steps[variant_][step], *side);
  }
  return *side;
}

template <class T>
void run_entrywise(const KernelProgram& program, std::size_t first, std::size_t last, Sides<T>& rows,
                   Sides<T>& cols, const EmbeddedIn* embedded, StripState<T>& state) {
  if (first == last) return;
  prepare_saved(program, first, last, state);
  RowRun<T> row(program, rows, cols, embedded, state);
  for (std::size_t i = 0; i < state.rows; ++i) row.run(first, last, i);
  state.depth = row.depth;
  state.forms.resize(row.forms);
}

template class Sides<float>;
template class Sides<double>;
template void run_entrywise(const KernelProgram&, std::size_t, std::size_t, Sides<float>&, Sides<float>&,
                            const EmbeddedIn*, StripState<float>&);
template void run_entrywise(const KernelProgram&, std::size_t, std::size_t, Sides<double>&, Sides<double>&,
                            const EmbeddedIn*, StripState<double>&);

}  // namespace telos::symmetry
