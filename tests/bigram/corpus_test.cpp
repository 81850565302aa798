#include "telos/bigram/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "bigram/corpus_parts.h"
#include "reference/bigram_corpus.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"

namespace telos::bigram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace slow = reference::corpus;

void expect_error(const std::function<void()>& body, ErrorKind kind, const std::string& part) {
  try {
    body();
    ADD_FAILURE() << "no error with \"" << part << '"';
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.message(), HasSubstr(part));
  }
}

std::vector<std::uint16_t> as_tokens(const slow::Text& text) {
  return {text.begin(), text.end()};
}

slow::Text text_of(const slow::Process& process, std::size_t length, std::uint64_t seed) {
  Random random(seed, 31);
  return slow::draw_text(process, length, [&] { return random.uniform(); });
}

/// Three tokens; 0 looks at itself and at offset 2, 1 at offset 1, 2 at offset 3.
slow::Process three_tokens() {
  return {{{0.8, 0.1, 0.1}, {0.15, 0.1, 0.7}, {0.05, 0.8, 0.2}},
          {{0.4, 0, 0.6, 0}, {0, 1, 0, 0}, {0, 0, 0, 1}}};
}

// ---- Dependence

Dependence dependence_of_pairs(const std::vector<std::pair<int, int>>& pairs, std::size_t vocabulary) {
  return dependence_of(count_pairs(pairs.size(), vocabulary,
                                   [&](std::size_t i) {
                                     return static_cast<std::size_t>(pairs[i].first) * vocabulary +
                                            static_cast<std::size_t>(pairs[i].second);
                                   }),
                       vocabulary);
}

std::vector<std::pair<int, int>> random_pairs(std::size_t n, std::uint32_t tokens, std::uint64_t seed) {
  Random random(seed, 32);
  std::vector<std::pair<int, int>> pairs(n);
  for (auto& [a, b] : pairs) {
    a = static_cast<int>(random.below(tokens));
    b = random.uniform() < 0.3 ? a : static_cast<int>(random.below(tokens));
  }
  return pairs;
}

TEST(Dependence, TailsOfChiSquared) {
  // Quantiles of tables, and the law with two degrees of freedom, exp(−x/2).
  EXPECT_NEAR(chi_squared_tail(3.841458820694124, 1), 0.05, 1e-14);
  EXPECT_NEAR(chi_squared_tail(18.307038053275146, 10), 0.05, 1e-14);
  EXPECT_NEAR(chi_squared_tail(124.34211340400407, 100), 0.05, 1e-13);
  for (const double x : {0.1, 1.0, 2.0, 5.0, 60.0, 1000.0})
    EXPECT_NEAR(chi_squared_tail(x, 2) / std::exp(-x / 2), 1, 1e-12) << x;
  for (const double degrees : {2.5, 7.3, 90.1})
    for (const double x : {0.5, 3.0, 8.0, 100.0})
      EXPECT_NEAR(chi_squared_tail(x, degrees), slow::chi_squared_tail(x, degrees), 1e-11)
          << degrees << ' ' << x;
  EXPECT_EQ(chi_squared_tail(0, 3), 1);
  EXPECT_EQ(chi_squared_tail(1e6, 3), 0);
}

TEST(Dependence, OfTenTokens) {
  // a b a a b b a b a b: ab 4 times, ba 3, aa and bb once each.
  const Corpus corpus = read_units("abaabbabab", Unit::kCharacter, 2);
  const Arena arena(1);
  const Dependence d = lag_dependence(corpus.tokens, 2, 1, 1, arena)[0];
  EXPECT_EQ(d.pairs, 9u);
  EXPECT_EQ(d.degrees, 1);
  EXPECT_NEAR(d.chi_squared, 9 * 11.0 * 11 / (5 * 4 * 4 * 5), 1e-13);
  EXPECT_NEAR(
      d.information,
      (4 * std::log(36.0 / 25) + 3 * std::log(27.0 / 16) + std::log(9.0 / 20) + std::log(9.0 / 20)) / 9,
      1e-14);
  // With b as the last token: aab → a is "bba"'s …: offset 1 before b is a, a, b, a; the next a, b, a, a.
  std::vector<std::uint16_t> rare;
  EstimateOptions options;
  options.min_count = 4;
  const auto tests = test_offsets(windows_of(corpus.tokens, 2, 1), 2, options, rare, arena);
  ASSERT_EQ(tests.size(), 2u);
  EXPECT_EQ(tests[1].last, 1);
  EXPECT_EQ(tests[1].offset, 1u);
  EXPECT_EQ(tests[1].dependence.pairs, 4u);
  EXPECT_NEAR(tests[1].dependence.chi_squared, 4.0 / 9, 1e-13);  // aa 2, ab 1, ba 1
  EXPECT_TRUE(rare.empty());
}

TEST(Dependence, AsTheReferenceHasIt) {
  for (const std::size_t n : {7, 60, 5000}) {
    const auto pairs = random_pairs(n, 12, n);
    const slow::Pairs expected = slow::measure_pairs(slow::pool_rare(pairs, 12), 24);
    const Dependence d = dependence_of_pairs(pairs, 12);
    EXPECT_NEAR(d.chi_squared, expected.chi_squared, 1e-13 * static_cast<double>(n));
    EXPECT_EQ(d.degrees, expected.degrees);
    EXPECT_NEAR(d.information, slow::measure_pairs(pairs, 12).information, 1e-13);
    // A vocabulary too large for a table gives the same bits.
    const Dependence sorted = dependence_of_pairs(pairs, 400);
    EXPECT_EQ(sorted.chi_squared, d.chi_squared);
    EXPECT_EQ(sorted.information, d.information);
    EXPECT_EQ(sorted.p_value, d.p_value);
  }
}

TEST(Dependence, ProbabilityFromTheExactMoments) {
  const std::vector<std::pair<int, int>> pairs = {{0, 0}, {0, 0}, {1, 1}, {1, 2},
                                                  {2, 1}, {2, 2}, {2, 2}, {0, 1}};
  const auto pooled = slow::pool_rare(pairs, 3);  // first tokens: 3, 2, 3; 2 < √8
  EXPECT_EQ(std::count_if(pooled.begin(), pooled.end(), [](const auto& p) { return p.first == 3; }), 2);
  const slow::Moments m = slow::permutation_moments(pooled, 4);
  const double x = slow::measure_pairs(pooled, 4).chi_squared, scale = m.variance / (2 * m.mean);
  EXPECT_NEAR(dependence_of_pairs(pairs, 3).p_value, slow::chi_squared_tail(x / scale, m.mean / scale),
              1e-11);
}

TEST(Dependence, TablesWithoutFreedom) {
  EXPECT_EQ(dependence_of_pairs({{0, 0}, {0, 1}, {0, 1}, {0, 0}, {0, 1}}, 2).p_value, 1);  // one row
  EXPECT_EQ(dependence_of_pairs({{0, 1}, {1, 0}, {2, 2}, {3, 3}, {4, 4}}, 5).p_value, 1);  // all tokens once
  EXPECT_EQ(dependence_of_pairs({{0, 1}, {1, 0}}, 2).p_value, 1);                          // too few
  EXPECT_EQ(dependence_of_pairs({}, 2).p_value, 1);
}

TEST(Dependence, HolmsCorrection) {
  std::vector<OffsetTest> tests(4);
  const double p[] = {0.01, 0.04, 0.03, 0.005};
  for (std::size_t i = 0; i < 4; ++i) tests[i].dependence.p_value = p[i];
  correct_for_all(tests, 0.05);
  const double expected[] = {0.03, 0.06, 0.06, 0.02};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(tests[i].holm, expected[i]);
    EXPECT_EQ(tests[i].significant, i == 0 || i == 3);
  }
}

// Independent tokens: of 20 texts few give any finding at a level of 0.05 (5 or more: one in 400), single
// p-values are uniform, and chance explains the information. In tables with many cells and few counts too.
TEST(Dependence, NothingIsFoundWhereThereIsNothing) {
  const Arena arena(2);
  for (const std::uint32_t tokens : {4u, 40u}) {
    std::size_t texts = 0, below = 0, tests = 0;
    double information = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Random random(seed, 33);
      std::vector<std::uint16_t> text(8000);
      for (auto& token : text)
        token = static_cast<std::uint16_t>(std::min(random.below(tokens), random.below(tokens)));
      std::vector<std::uint16_t> rare;
      const auto found = test_offsets(windows_of(text, tokens, 5), tokens, {}, rare, arena);
      texts += std::any_of(found.begin(), found.end(), [](const OffsetTest& t) { return t.significant; });
      for (const OffsetTest& t : found) {
        below += t.dependence.p_value < 0.05;
        information += t.dependence.information - t.dependence.chance;
      }
      tests += found.size();
    }
    EXPECT_LE(texts, 4u) << tokens;
    const double share = static_cast<double>(below) / static_cast<double>(tests);
    EXPECT_NEAR(share, 0.05, 0.015) << tokens;
    EXPECT_NEAR(information / static_cast<double>(tests), 0, 0.002) << tokens;
  }
}

// ---- Mixture

void expect_same(const Matrix<double>& found, const slow::Table& expected, double tolerance) {
  ASSERT_EQ(found.rows(), expected.size());
  for (std::size_t i = 0; i < found.rows(); ++i)
    for (std::size_t j = 0; j < found.cols(); ++j)
      EXPECT_NEAR(found(i, j), expected[i][j], tolerance) << i << ' ' << j;
}

TEST(Mixture, AsTheReferenceHasIt) {
  const Arena arena(2);
  const slow::Text text = text_of(three_tokens(), 3000, 4);
  for (const std::size_t sparsity : {1, 2, 3, 6}) {
    MixtureOptions options;
    options.max_offset = 5;
    options.sparsity = sparsity;
    options.smooth = 2.5;
    options.iterations = 12;
    options.tolerance = 0;
    options.min_count = 1;
    const Mixture found = fit_mixture(as_tokens(text), 3, options, arena);
    const slow::Fit expected = slow::fit_mixture(text, 3, 5, static_cast<int>(sparsity), 2.5, 12);
    expect_same(found.p, expected.process.p, 1e-12);
    expect_same(found.q, expected.process.q, 1e-12);
    ASSERT_LE(found.objective.size(), expected.objective.size());
    for (std::size_t i = 0; i < found.objective.size(); ++i)
      EXPECT_NEAR(found.objective[i], expected.objective[i], 1e-12);
  }
}

TEST(Mixture, TheObjectiveNeverFalls) {
  const Arena arena(2);
  MixtureOptions options;
  options.max_offset = 6;
  options.sparsity = 7;
  options.tolerance = 0;
  options.iterations = 60;
  const Mixture mixture = fit_mixture(as_tokens(text_of(three_tokens(), 2000, 5)), 3, options, arena);
  ASSERT_GT(mixture.objective.size(), 1u);
  for (std::size_t i = 1; i < mixture.objective.size(); ++i)
    EXPECT_GE(mixture.objective[i] - mixture.objective[i - 1], -1e-14) << i;
}

TEST(Mixture, FindsTheProcessOfAText) {
  const Arena arena(2);
  const slow::Process process = three_tokens();
  MixtureOptions options;
  options.max_offset = 8;
  const Mixture mixture = fit_mixture(as_tokens(text_of(process, 200000, 6)), 3, options, arena);
  EXPECT_TRUE(mixture.converged);
  for (std::size_t k = 0; k < 3; ++k) {
    for (std::size_t d = 0; d <= 8; ++d) {
      const double truth = d < 4 ? process.q[k][d] : 0;
      EXPECT_EQ(mixture.q(k, d) > 0, truth > 0) << k << ' ' << d;
      EXPECT_NEAR(mixture.q(k, d), truth, 0.02);
    }
    for (std::size_t o = 0; o < 3; ++o) EXPECT_NEAR(mixture.p(o, k), process.p[o][k], 0.01);
  }
}

TEST(Mixture, StartsWhereThereIsSomethingToSee) {
  // Four interleaved chains: neighbours do not depend on each other, and a start from them would not move.
  const Arena arena(1);
  slow::Process process = three_tokens();
  for (auto& row : process.q) row = {0, 0, 0, 1};
  MixtureOptions options;
  options.max_offset = 6;
  const Mixture mixture = fit_mixture(as_tokens(text_of(process, 20000, 7)), 3, options, arena);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(mixture.q(k, 3), 1) << k;
}

TEST(Mixture, RareLastTokensShareTheirWeights) {
  const Arena arena(1);
  slow::Text text = text_of(three_tokens(), 4000, 8);
  text[100] = 3;
  text[2000] = 4;
  MixtureOptions options;
  options.max_offset = 4;
  const Mixture mixture = fit_mixture(as_tokens(text), 6, options, arena);
  for (std::size_t d = 0; d <= 4; ++d) EXPECT_EQ(mixture.q(3, d), mixture.q(4, d));
  options.contextual = false;
  const Mixture shared = fit_mixture(as_tokens(text), 6, options, arena);
  for (std::size_t d = 0; d <= 4; ++d) EXPECT_EQ(shared.q(0, d), shared.q(1, d));
  // A token that never came, by itself.
  options.contextual = true;
  options.min_count = 0;
  EXPECT_EQ(fit_mixture(as_tokens(text), 6, options, arena).q(5, 0), 1);
}

TEST(Mixture, SameBitsForAnyNumberOfThreads) {
  const auto text = as_tokens(text_of(three_tokens(), 5000, 9));
  const Mixture one = fit_mixture(text, 3, {}, Arena(1));
  for (const int threads : {2, 7}) {
    const Mixture more = fit_mixture(text, 3, {}, Arena(threads));
    EXPECT_EQ(more.objective, one.objective);
    EXPECT_TRUE(std::equal(one.p.data(), one.p.data() + one.p.size(), more.p.data()));
    EXPECT_TRUE(std::equal(one.q.data(), one.q.data() + one.q.size(), more.q.data()));
  }
}

TEST(Mixture, RefusesWhatItCannotFit) {
  const Arena arena(1);
  const std::vector<std::uint16_t> text = {0, 1, 0, 1, 2, 0, 1};
  const auto fit = [&](std::size_t vocabulary, auto change) {
    MixtureOptions options;
    options.max_offset = 3;
    change(options);
    return [&arena, &text, vocabulary, options] { fit_mixture(text, vocabulary, options, arena); };
  };
  using O = MixtureOptions;
  EXPECT_NO_THROW(fit(3, [](O&) {})());
  expect_error(fit(2, [](O&) {}), ErrorKind::kUsage, "token 4 is 2, expected below 2");
  expect_error(fit(1, [](O&) {}), ErrorKind::kUsage, "expected a vocabulary of 2 to 4096 tokens, found 1");
  expect_error(fit(3, [](O& o) { o.max_offset = 6; }), ErrorKind::kUsage,
               "7 tokens, offsets up to 6 need at least 8");
  expect_error(fit(3, [](O& o) { o.max_offset = 0; }), ErrorKind::kUsage, "offsets up to 1 to 1024, found 0");
  expect_error(fit(3, [](O& o) { o.sparsity = 0; }), ErrorKind::kUsage, "at least one offset");
  expect_error(fit(3, [](O& o) { o.min_offset = 4; }), ErrorKind::kUsage, "at least one offset");
  expect_error(fit(3, [](O& o) { o.smooth = 0; }), ErrorKind::kUsage, "a smoothing above 0");
  expect_error(fit(3, [](O& o) { o.tolerance = std::nan(""); }), ErrorKind::kUsage, "tolerance");
}

// ---- Estimate

Corpus corpus_of(const slow::Text& text, std::size_t vocabulary) {
  Corpus corpus;
  corpus.tokens = as_tokens(text);
  for (std::size_t i = 0; i < vocabulary; ++i) corpus.names.push_back(std::to_string(i));
  return corpus;
}

TEST(Estimate, PredictsAsWellAsTheProcessAllows) {
  const slow::Process process = three_tokens();
  const Arena arena(2);
  EstimateOptions options;
  options.max_offset = 6;
  const CorpusEstimate e = estimate(corpus_of(text_of(process, 100000, 10), 3), options, arena);
  EXPECT_EQ(e.train + e.validation + e.held_out, 100000u - 7);
  EXPECT_EQ(e.blocks, 32u);
  ASSERT_EQ(e.models.size(), 5u);
  const HeldOut &unigram = e.models[0], &bigram = e.models[1], &one = e.models[2], &contextual = e.models[3],
                &earlier = e.models[4];
  EXPECT_EQ(contextual.model, "q by last token");
  EXPECT_NEAR(contextual.nats.value, slow::entropy_rate(process), 3 * contextual.nats.error);
  EXPECT_GT(contextual.gain.value, 5 * contextual.gain.error);
  EXPECT_DOUBLE_EQ(contextual.gain.value, bigram.nats.value - contextual.nats.value);
  EXPECT_LT(contextual.nats.value, one.nats.value);
  EXPECT_LT(contextual.nats.value, earlier.nats.value);
  EXPECT_LT(bigram.nats.value, unigram.nats.value);
  EXPECT_EQ(bigram.gain.value, 0);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(e.earlier.q(k, 0), 0);
  // Each last token's own offsets are the ones that say most of the next token.
  const auto information = [&](std::size_t k, std::size_t d) {
    return e.tests[k * 6 + d - 1].dependence.information;
  };
  EXPECT_TRUE(e.tests[0 * 6 + 1].significant);
  for (std::size_t d = 2; d <= 6; ++d) EXPECT_GT(information(1, 1), information(1, d));
  for (const std::size_t d : {1, 2, 4, 5, 6}) EXPECT_GT(information(2, 3), information(2, d));
}

TEST(Estimate, ASmoothingThatTheBigramLikes) {
  const Arena arena(1);
  EstimateOptions options;
  options.max_offset = 2;
  const Corpus corpus = corpus_of(text_of(three_tokens(), 600, 11), 3);
  const CorpusEstimate chosen = estimate(corpus, options, arena);
  EXPECT_GE(chosen.smooth, 0.01);
  options.smooth = 3.5;
  EXPECT_EQ(estimate(corpus, options, arena).smooth, 3.5);
  // Of the whole text: (c + αμ)/(n + α).
  const CorpusEstimate e = estimate(corpus, options, arena);
  double after = 0, both = 0, ones = 0;
  for (std::size_t i = 0; i < 600; ++i) {
    ones += corpus.tokens[i] == 1;
    if (i + 1 == 600 || corpus.tokens[i] != 2) continue;
    ++after;
    both += corpus.tokens[i + 1] == 1;
  }
  EXPECT_DOUBLE_EQ(e.mu[1], (ones + 0.5) / 601.5);
  EXPECT_DOUBLE_EQ(e.p(1, 2), (both + 3.5 * e.mu[1]) / (after + 3.5));
}

TEST(Estimate, SameBitsForAnyNumberOfThreads) {
  const Corpus corpus = corpus_of(text_of(three_tokens(), 3000, 12), 3);
  const CorpusEstimate one = estimate(corpus, {}, Arena(1)), more = estimate(corpus, {}, Arena(5));
  for (std::size_t m = 0; m < one.models.size(); ++m) {
    EXPECT_EQ(one.models[m].nats.value, more.models[m].nats.value);
    EXPECT_EQ(one.models[m].gain.error, more.models[m].gain.error);
  }
  for (std::size_t i = 0; i < one.tests.size(); ++i) {
    EXPECT_EQ(one.tests[i].holm, more.tests[i].holm);
    EXPECT_EQ(one.tests[i].dependence.chance, more.tests[i].dependence.chance);
  }
  for (std::size_t l = 0; l < one.lags.size(); ++l) EXPECT_EQ(one.lags[l].chance, more.lags[l].chance);
}

TEST(Estimate, RareTokensAreListed) {
  slow::Text text = text_of(three_tokens(), 2000, 13);
  text[50] = 3;
  const CorpusEstimate e = estimate(corpus_of(text, 4), {}, Arena(1));
  EXPECT_THAT(e.rare, ElementsAre(3));
  EXPECT_EQ(e.tests.size(), 3u * 16);
  ASSERT_FALSE(e.notes.empty());
  EXPECT_THAT(e.notes.back(), HasSubstr("1 of 4 last tokens came fewer than 50 times"));
}

TEST(Estimate, TheMixtureAsATask) {
  const CorpusEstimate e = estimate(corpus_of(text_of(three_tokens(), 20000, 14), 3), {}, Arena(1));
  const Instance task = instance_of(e.contextual, {"x", "y", "z"});
  EXPECT_EQ(task.length, 17u);
  EXPECT_EQ(task.name(2), "z");
  EXPECT_THAT(task.q[1].positions, ElementsAre(15u));  // offset 1 of 0 … 16
  EXPECT_THAT(task.q[2].positions, ElementsAre(13u));
}

TEST(Estimate, Refuses) {
  const Arena arena(1);
  const Corpus corpus = corpus_of(text_of(three_tokens(), 36, 15), 3);
  expect_error([&] { estimate(corpus, {}, arena); }, ErrorKind::kUsage,
               "19 windows with a next token, expected at least 20");
  EstimateOptions options;
  options.max_offset = 4;
  EXPECT_NO_THROW(estimate(corpus, options, arena));
  options.level = 1;
  expect_error([&] { estimate(corpus, options, arena); }, ErrorKind::kUsage, "a level between 0 and 1");
}

// ---- Probe

TEST(Probe, AsTheReferenceHasIt) {
  const Arena arena(2);
  const slow::Text text = text_of(three_tokens(), 1500, 16);
  ProbeOptions options;
  options.max_offset = 4;
  options.rounds = 5;
  const Probe probe = fit_probe(corpus_of(text, 3), options, arena);
  EXPECT_EQ(probe.train, 1346u);  // 1495 windows less a tenth
  EXPECT_EQ(probe.held_out, 149u);
  const slow::Process expected = slow::fit_probe(text, 3, 4, probe.train, 5);
  expect_same(probe.model.v, expected.p, 1e-6);  // telos adds a ridge of 1e-9
  for (std::size_t k = 0; k < 3; ++k)
    for (std::size_t d = 0; d <= 4; ++d) EXPECT_NEAR(probe.model.a(k, 4 - d), expected.q[k][d], 1e-6);

  // Held-out losses by their definition.
  double loss = 0, marginal = 0;
  for (std::size_t i = 4 + probe.train; i + 1 < text.size(); ++i) {
    for (int o = 0; o < 3; ++o) {
      const double target = text[i + 1] == o ? 1 : 0;
      double f = 0;
      for (std::size_t d = 0; d <= 4; ++d)
        f += probe.model.v(static_cast<std::size_t>(o), static_cast<std::size_t>(text[i - d])) *
             probe.model.a(static_cast<std::size_t>(text[i]), 4 - d);
      loss += (f - target) * (f - target) / 2 / 149;
      marginal += (probe.mu[static_cast<std::size_t>(o)] - target) *
                  (probe.mu[static_cast<std::size_t>(o)] - target) / 2 / 149;
    }
  }
  EXPECT_NEAR(probe.loss.value, loss, 1e-12);
  EXPECT_NEAR(probe.marginal.value, marginal, 1e-12);
  EXPECT_NEAR(probe.gain_marginal.value, marginal - loss, 1e-12);
}

TEST(Probe, FindsWhereToLook) {
  const slow::Process process = three_tokens();
  const Arena arena(2);
  ProbeOptions options;
  options.max_offset = 6;
  const Probe probe = fit_probe(corpus_of(text_of(process, 100000, 17), 3), options, arena);
  for (std::size_t k = 0; k < 3; ++k)
    for (std::size_t d = 0; d <= 6; ++d)
      EXPECT_NEAR(probe.model.a(k, 6 - d), d < 4 ? process.q[k][d] : 0, 0.06) << k << ' ' << d;
  EXPECT_GT(probe.gain_last.value, 5 * probe.gain_last.error);
  std::vector<std::string> notes;
  const Instance task = instance_of(probe, {}, &notes);
  EXPECT_EQ(task.length, 7u);
  ASSERT_FALSE(notes.empty());
  EXPECT_THAT(notes[0], HasSubstr("columns became laws by projection"));
  // As in the paper, without the last token; then token 0 looks at offset 2 alone.
  options.with_last = false;
  const Probe paper = fit_probe(corpus_of(text_of(process, 100000, 17), 3), options, arena);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(paper.model.a(k, 6), 0);
  EXPECT_GT(paper.loss.value, probe.loss.value);
}

TEST(Probe, RareLastTokensLookAtTheNearest) {
  slow::Text text = text_of(three_tokens(), 2000, 18);
  text[50] = 3;
  const Probe probe = fit_probe(corpus_of(text, 4), {}, Arena(1));
  EXPECT_EQ(probe.counts[3], 1u);
  EXPECT_EQ(probe.model.a(3, 16), 1);
  EXPECT_EQ(probe.model.a(3, 15), 0);
}

TEST(Probe, SameBitsForAnyNumberOfThreads) {
  const Corpus corpus = corpus_of(text_of(three_tokens(), 2000, 19), 3);
  const Probe one = fit_probe(corpus, {}, Arena(1)), more = fit_probe(corpus, {}, Arena(5));
  EXPECT_EQ(one.loss.value, more.loss.value);
  EXPECT_TRUE(std::equal(one.model.a.data(), one.model.a.data() + one.model.a.size(), more.model.a.data()));
}

TEST(Probe, Refuses) {
  const Arena arena(1);
  expect_error(
      [&] {
        fit_probe(corpus_of({0, 1, 0, 1}, 2), {}, arena);
      },
      ErrorKind::kUsage, "need at least 18");
  expect_error(
      [&] {
        fit_probe(corpus_of({0, 1, 0, 1}, 1025), {}, arena);
      },
      ErrorKind::kLimit, "a probe of 1025 tokens, at most 1024");
}

}  // namespace
}  // namespace telos::bigram
