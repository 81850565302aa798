#include "clustering/hardmax_kernel.h"

#include <algorithm>
#include <limits>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "clustering/hardmax_kernel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

float Largest(const float* x, std::size_t n) {
  const hn::ScalableTag<float> d;
  const std::size_t width = hn::Lanes(d);
  auto a = hn::Set(d, -std::numeric_limits<float>::infinity()), b = a;
  std::size_t j = 0;
  for (; j + 2 * width <= n; j += 2 * width) {
    a = hn::Max(a, hn::LoadU(d, x + j));
    b = hn::Max(b, hn::LoadU(d, x + j + width));
  }
  float most = hn::GetLane(hn::MaxOfLanes(d, hn::Max(a, b)));
  for (; j < n; ++j) most = std::max(most, x[j]);
  return most;
}

std::size_t FindAtLeast(const float* x, std::size_t n, float least, std::uint32_t* indices) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const std::size_t width = hn::Lanes(d);
  const auto bound = hn::Set(d, least);
  std::size_t count = 0, j = 0;
  for (; j + 4 * width <= n; j += 4 * width) {
    const auto most = hn::Max(hn::Max(hn::LoadU(d, x + j), hn::LoadU(d, x + j + width)),
                              hn::Max(hn::LoadU(d, x + j + 2 * width), hn::LoadU(d, x + j + 3 * width)));
    if (HWY_LIKELY(hn::AllFalse(d, hn::Ge(most, bound)))) continue;
    for (std::size_t i = j; i < j + 4 * width; i += width) {
      const auto mask = hn::RebindMask(du, hn::Ge(hn::LoadU(d, x + i), bound));
      count += hn::CompressStore(hn::Iota(du, static_cast<std::uint32_t>(i)), mask, du, indices + count);
    }
  }
  for (; j < n; ++j)
    if (x[j] >= least) indices[count++] = static_cast<std::uint32_t>(j);
  return count;
}

float DotSingle(const float* a, const float* b, std::size_t n) {
  const hn::ScalableTag<float> d;
  const std::size_t width = hn::Lanes(d);
  auto sum = hn::Zero(d), other = sum;
  std::size_t j = 0;
  for (; j + 2 * width <= n; j += 2 * width) {
    sum = hn::MulAdd(hn::LoadU(d, a + j), hn::LoadU(d, b + j), sum);
    other = hn::MulAdd(hn::LoadU(d, a + j + width), hn::LoadU(d, b + j + width), other);
  }
  float total = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, other)));
  for (; j < n; ++j) total += a[j] * b[j];
  return total;
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

HWY_EXPORT(Largest);
HWY_EXPORT(FindAtLeast);
HWY_EXPORT(DotSingle);

namespace clustering {

float largest(const float* x, std::size_t n) {
  return HWY_DYNAMIC_DISPATCH(Largest)(x, n);
}
std::size_t find_at_least(const float* x, std::size_t n, float least, std::uint32_t* indices) {
  return HWY_DYNAMIC_DISPATCH(FindAtLeast)(x, n, least, indices);
}
float dot_single(const float* a, const float* b, std::size_t n) {
  return HWY_DYNAMIC_DISPATCH(DotSingle)(a, b, n);
}

}  // namespace clustering
}  // namespace telos
#endif  // HWY_ONCE
