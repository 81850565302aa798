#include "bigram/sample_kernel.h"

#include <utility>

#include "linalg/targets.h"
#include "telos/base/philox.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bigram/sample_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using bigram::kernel::kBlock;
using bigram::kernel::kFewTokens;
using bigram::kernel::kLanes;
using bigram::kernel::kTableBits;
using bigram::kernel::Law;
using bigram::kernel::Source;

// Calls in a block, and the counter of call l of block b: 8b + l. Its word w belongs to position 32b + 8w +
// l.
constexpr std::size_t kCalls = 8;

#if HWY_TARGET == HWY_SCALAR

template <class F>
HWY_INLINE void ForWords(const Source& source, std::size_t first, std::size_t blocks, const F& f) {
  const hn::ScalableTag<std::uint32_t> d;
  for (std::size_t b = 0; b < blocks; ++b)
    for (std::size_t l = 0; l < kCalls; ++l) {
      const auto words = philox4x32(
          {static_cast<std::uint32_t>((first + b) * kCalls + l), static_cast<std::uint32_t>(source.sample),
           static_cast<std::uint32_t>(source.sample >> 32), source.stream},
          {static_cast<std::uint32_t>(source.seed), static_cast<std::uint32_t>(source.seed >> 32)});
      for (std::size_t w = 0; w < words.size(); ++w) f(b * kBlock + kCalls * w + l, hn::Set(d, words[w]));
    }
}

#else

// Ten rounds on counters that lie in the lower halves of 64-bit lanes. A multiplication reads lower halves
// only, so that what gathers in the upper ones need not be removed.
class Philox {
 public:
  using D = hn::CappedTag<std::uint64_t, kCalls>;
  using V = hn::VFromD<D>;
  using D32 = hn::Repartition<std::uint32_t, D>;

  HWY_INLINE explicit Philox(const Source& source)
      : calls_(hn::Iota(D(), 0)),
        sample_lo_(hn::Set(D(), source.sample & 0xFFFFFFFFu)),
        sample_hi_(hn::Set(D(), source.sample >> 32)),
        stream_(hn::Set(D(), source.stream)),
        m0_(hn::Set(D(), 0xD2511F53u)),
        m1_(hn::Set(D(), 0xCD9E8D57u)) {
    std::uint32_t k0 = static_cast<std::uint32_t>(source.seed),
                  k1 = static_cast<std::uint32_t>(source.seed >> 32);
    for (int round = 0; round < kRounds; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      keys_[round][0] = hn::Set(D(), k0);
      keys_[round][1] = hn::Set(D(), k1);
    }
  }

  HWY_INLINE void Draw(std::uint64_t counter, V (&words)[4]) const {
    V c0 = hn::Add(calls_, hn::Set(D(), counter)), c1 = sample_lo_, c2 = sample_hi_, c3 = stream_;
    TELOS_UNROLL
    for (int round = 0; round < kRounds; ++round) {
      const V p0 = Multiply(c0, m0_), p1 = Multiply(c2, m1_);
      c0 = hn::Xor3(hn::ShiftRight<32>(p1), c1, keys_[round][0]);
      c1 = p1;
      c2 = hn::Xor3(hn::ShiftRight<32>(p0), c3, keys_[round][1]);
      c3 = p0;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
  }

  // Lower halves of both, `low` first.
  static HWY_INLINE hn::VFromD<D32> Join(V low, V high) {
    return hn::ConcatEven(D32(), hn::BitCast(D32(), high), hn::BitCast(D32(), low));
  }

 private:
  static constexpr int kRounds = 10;
  static HWY_INLINE V Multiply(V a, V b) { return hn::MulEven(hn::BitCast(D32(), a), hn::BitCast(D32(), b)); }
  V calls_, sample_lo_, sample_hi_, stream_, m0_, m1_, keys_[kRounds][2];
};

// Calls f(position from the first block on, its words: a vector of 32-bit lanes).
template <class F>
HWY_INLINE void ForWords(const Source& source, std::size_t first, std::size_t blocks, const F& f) {
  const Philox philox(source);
  constexpr std::size_t kWidth = hn::MaxLanes(Philox::D());
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::uint64_t counter = (first + b) * kCalls;
    if constexpr (kWidth == kCalls) {
      Philox::V words[4];
      philox.Draw(counter, words);
      f(b * kBlock, Philox::Join(words[0], words[1]));
      f(b * kBlock + 2 * kCalls, Philox::Join(words[2], words[3]));
    } else {
      for (std::size_t l = 0; l < kCalls; l += 2 * kWidth) {
        Philox::V low[4], high[4];
        philox.Draw(counter + l, low);
        philox.Draw(counter + l + kWidth, high);
        TELOS_UNROLL
        for (std::size_t w = 0; w < 4; ++w) f(b * kBlock + kCalls * w + l, Philox::Join(low[w], high[w]));
      }
    }
  }
}

#endif

void RandomWords(const Source& source, std::size_t first, std::size_t blocks, std::uint32_t* words) {
  ForWords(source, first, blocks,
           [&](std::size_t t, auto u) HWY_ATTR { hn::StoreU(u, hn::DFromV<decltype(u)>(), words + t); });
}

// sum + value where the mask is set: one instruction where masks have registers of their own, else two. The
// bits are the same, as a sum that begins at +0 never becomes −0.
template <class M, class V>
HWY_INLINE V AddWhere(M mask, V value, V sum) {
#if HWY_TARGET == HWY_AVX3
  return hn::IfThenElse(mask, hn::Add(sum, value), sum);
#else
  return hn::Add(sum, hn::IfThenElseZero(mask, value));
#endif
}

// Few tokens: comparisons with all thresholds, in signed numbers as the hardware has them.
template <std::size_t kCount>
HWY_INLINE void DrawFew(const Source& source, const Law& law, std::size_t first, std::size_t blocks,
                        std::uint16_t* tokens) {
  const hn::CappedTag<std::int32_t, kLanes> d;
  const hn::Rebind<std::uint16_t, decltype(d)> d16;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::uint32_t kSign = std::uint32_t{1} << 31;
  V thresholds[kCount];
  TELOS_UNROLL
  for (std::size_t i = 0; i + 1 < kCount; ++i)
    thresholds[i] = hn::Set(d, static_cast<std::int32_t>(law.thresholds[i] ^ kSign));
  const V sign = hn::Set(d, static_cast<std::int32_t>(kSign)), last = hn::Set(d, kCount - 1),
          minus_one = hn::Set(d, -1);
  ForWords(source, first, blocks, [&](std::size_t t, auto u) HWY_ATTR {
    const V word = hn::Xor(hn::BitCast(d, u), sign);
    V token = last;  // less the thresholds above the word
    TELOS_UNROLL
    for (std::size_t i = 0; i + 1 < kCount; ++i)
      token = AddWhere(hn::Gt(thresholds[i], word), minus_one, token);
    hn::StoreU(hn::DemoteTo(d16, token), d16, tokens + t);
  });
}

// Many tokens: the table, and a step over the one threshold that its cell may hold; further steps where some
// cell holds several.
void DrawMany(const Source& source, const Law& law, std::size_t first, std::size_t blocks,
              std::uint16_t* tokens) {
  const hn::CappedTag<std::uint32_t, kLanes> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint16_t, decltype(d)> d16;
  const auto last = hn::Set(d, static_cast<std::uint32_t>(law.count - 1));
  ForWords(source, first, blocks, [&](std::size_t t, auto u) HWY_ATTR {
    const auto cell = hn::GatherIndex(d, law.table, hn::BitCast(di, hn::ShiftRight<32 - kTableBits>(u)));
    auto token = hn::And(cell, hn::Set(d, 0xFFFFu));
    const auto step = [&]() HWY_ATTR {
      const auto threshold = hn::GatherIndex(d, law.thresholds, hn::BitCast(di, token));
      const auto above = hn::AndNot(hn::Lt(u, threshold), hn::Lt(token, last));
      token = hn::Sub(token, hn::VecFromMask(d, above));
      return !hn::AllFalse(d, above);
    };
    step();
    if (!hn::AllFalse(di, hn::Lt(hn::BitCast(di, cell), hn::Zero(di))))  // kSeveral
      while (step()) {
      }
    hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di, token)), d16, tokens + t);
  });
}

template <std::size_t... kIndex>
void DrawByCount(std::index_sequence<kIndex...>, const Source& source, const Law& law, std::size_t first,
                 std::size_t blocks, std::uint16_t* tokens) {
  ((law.count == kIndex + 1 ? DrawFew<kIndex + 1>(source, law, first, blocks, tokens) : void()), ...);
}

void DrawBlocks(const Source& source, const Law& law, std::size_t first, std::size_t blocks,
                std::uint16_t* tokens) {
  if (law.count > kFewTokens) return DrawMany(source, law, first, blocks, tokens);
  DrawByCount(std::make_index_sequence<kFewTokens>(), source, law, first, blocks, tokens);
}

// Few tokens: a masked sum for each, in registers; as many passes as vectors make up the lanes.
template <std::size_t kCount>
HWY_INLINE void HistogramFew(const std::uint16_t* x, const float* a, std::size_t length, double* h) {
  const hn::CappedTag<float, kLanes> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint16_t, decltype(d)> d16;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  const std::size_t whole = length / kLanes * kLanes;
  alignas(64) std::uint16_t rest_x[kLanes] = {};
  alignas(64) float rest_a[kLanes] = {}, sums[kCount][kLanes];
  std::copy(x + whole, x + length, rest_x);
  std::copy(a + whole, a + length, rest_a);
  for (std::size_t lane = 0; lane < kLanes; lane += kWidth) {
    hn::VFromD<decltype(d)> sum[kCount];
    TELOS_UNROLL
    for (std::size_t j = 0; j < kCount; ++j) sum[j] = hn::Zero(d);
    const auto step = [&](const std::uint16_t* token, const float* weight) HWY_ATTR {
      const auto at = hn::PromoteTo(di, hn::LoadU(d16, token));
      const auto value = hn::LoadU(d, weight);
      TELOS_UNROLL
      for (std::size_t j = 0; j < kCount; ++j) {
        const auto here = hn::RebindMask(d, hn::Eq(at, hn::Set(di, static_cast<std::int32_t>(j))));
        sum[j] = AddWhere(here, value, sum[j]);
      }
    };
    for (std::size_t t = lane; t < whole; t += kLanes) step(x + t, a + t);
    step(rest_x + lane, rest_a + lane);
    TELOS_UNROLL
    for (std::size_t j = 0; j < kCount; ++j) hn::Store(sum[j], d, sums[j] + lane);
  }
  for (std::size_t j = 0; j < kCount; ++j) {
    h[j] = 0;
    for (const float part : sums[j]) h[j] += static_cast<double>(part);
  }
}

template <std::size_t... kIndex>
void HistogramByCount(std::index_sequence<kIndex...>, const std::uint16_t* x, const float* a,
                      std::size_t length, std::size_t count, double* h) {
  ((count == kIndex + 1 ? HistogramFew<kIndex + 1>(x, a, length, h) : void()), ...);
}

void HistogramOfFew(const std::uint16_t* x, const float* a, std::size_t length, std::size_t count,
                    double* h) {
  HistogramByCount(std::make_index_sequence<kFewTokens>(), x, a, length, count, h);
}

// Vectors of a table that fits a register are permuted by the tokens; a longer table is gathered from.
template <bool kInRegister, bool kAdd>
HWY_INLINE void LookUpFrom(const std::uint16_t* x, const float* w, std::size_t length, float* g) {
  const hn::CappedTag<float, kLanes> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint16_t, decltype(d)> d16;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  const auto table = hn::LoadU(d, w);
  const std::size_t whole = length / kWidth * kWidth;
  for (std::size_t t = 0; t < whole; t += kWidth) {
    const auto at = hn::PromoteTo(di, hn::LoadU(d16, x + t));
    hn::VFromD<decltype(d)> value;
    if constexpr (kInRegister)
      value = hn::TableLookupLanes(table, hn::IndicesFromVec(d, at));
    else
      value = hn::GatherIndex(d, w, at);
    if constexpr (kAdd) value = hn::Add(hn::LoadU(d, g + t), value);
    hn::StoreU(value, d, g + t);
  }
  for (std::size_t t = whole; t < length; ++t) g[t] = kAdd ? g[t] + w[x[t]] : w[x[t]];
}

void LookUp(const std::uint16_t* x, const float* w, std::size_t length, std::size_t count, bool add,
            float* g) {
  const bool fits = count <= hn::MaxLanes(hn::CappedTag<float, kLanes>());
  if (fits)
    add ? LookUpFrom<true, true>(x, w, length, g) : LookUpFrom<true, false>(x, w, length, g);
  else
    add ? LookUpFrom<false, true>(x, w, length, g) : LookUpFrom<false, false>(x, w, length, g);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

HWY_EXPORT(RandomWords);
HWY_EXPORT(DrawBlocks);
HWY_EXPORT(HistogramOfFew);
HWY_EXPORT(LookUp);

namespace bigram::kernel {
namespace {

// Many tokens: each lane has a table of its own, so that equal tokens in a row do not wait for each other.
void histogram_of_many(const std::uint16_t* x, const float* a, std::size_t length, std::size_t count,
                       float* sums, double* h) {
  std::fill_n(sums, count * kLanes, 0.0f);
  const std::size_t whole = length / kLanes * kLanes;
  for (std::size_t t = 0; t < whole; t += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane * count + x[t + lane]] += a[t + lane];
  for (std::size_t t = whole; t < length; ++t) sums[(t - whole) * count + x[t]] += a[t];
  std::fill_n(h, count, 0.0);
  for (std::size_t lane = 0; lane < kLanes; ++lane)
    for (std::size_t j = 0; j < count; ++j) h[j] += static_cast<double>(sums[lane * count + j]);
}

}  // namespace

void random_words(const Source& source, std::size_t first, std::size_t blocks, std::uint32_t* words) {
  HWY_DYNAMIC_DISPATCH(RandomWords)(source, first, blocks, words);
}

void draw_blocks(const Source& source, const Law& law, std::size_t first, std::size_t blocks,
                 std::uint16_t* tokens) {
  HWY_DYNAMIC_DISPATCH(DrawBlocks)(source, law, first, blocks, tokens);
}

std::size_t histogram_scratch(std::size_t count) {
  return count <= kFewTokens ? 0 : count * kLanes;
}

void weighted_histogram(const std::uint16_t* x, const float* a, std::size_t length, std::size_t count,
                        float* scratch, double* h) {
  if (count > kFewTokens) return histogram_of_many(x, a, length, count, scratch, h);
  HWY_DYNAMIC_DISPATCH(HistogramOfFew)(x, a, length, count, h);
}

void look_up(const std::uint16_t* x, const float* w, std::size_t length, std::size_t count, bool add,
             float* g) {
  HWY_DYNAMIC_DISPATCH(LookUp)(x, w, length, count, add, g);
}

}  // namespace bigram::kernel
}  // namespace telos
#endif  // HWY_ONCE
