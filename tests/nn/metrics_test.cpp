#include "telos/nn/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "tests/io/support.h"

namespace telos::nn {
namespace {

using testing::HasSubstr;

MetricsLine line(std::uint64_t step) {
  return {step, {{"loss", 1.0 / static_cast<double>(step + 3)}, {"rate", 5e-324}}};
}

TEST(MetricsLog, ReadsBackWhatItWrote) {
  const test::ScratchDirectory directory;
  RunFolder folder(directory.path());
  MetricsLog log(folder.path());
  std::vector<MetricsLine> lines;
  for (const std::uint64_t step : {0, 10, 10, 30}) lines.push_back(line(step));
  lines.push_back({std::numeric_limits<std::uint64_t>::max(), {{"ödd \"name\"\n", -0.0}, {"whole", 3}}});
  for (const MetricsLine& l : lines) log.append(l);
  EXPECT_EQ(log.path(), directory / "metrics.jsonl");
  EXPECT_TRUE(read_metrics(directory.path()).empty());  // nothing is in the file before flush()
  log.flush();
  EXPECT_EQ(read_metrics(directory.path()), lines);
  EXPECT_THAT(read_file(log.path()),
              testing::StartsWith("{\"step\":0,\"loss\":0.3333333333333333,\"rate\":"));
}

TEST(MetricsLog, WhatIsNotFiniteBecomesNull) {
  const test::ScratchDirectory directory;
  {
    MetricsLog log(directory.path());
    log.append({1, {{"loss", std::numeric_limits<double>::infinity()}, {"norm", std::nan("")}}});
  }  // the destructor writes what is left
  EXPECT_EQ(read_file(directory / "metrics.jsonl"), "{\"step\":1,\"loss\":null,\"norm\":null}\n");
  const std::vector<MetricsLine> lines = read_metrics(directory.path());
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(std::isnan(lines[0].values[0].second));
}

TEST(MetricsLog, AResumedRunGoesOnAfterItsStep) {
  const test::ScratchDirectory directory;
  {
    MetricsLog log(directory.path());
    for (const std::uint64_t step : {10, 20, 30, 40}) log.append(line(step));
  }
  directory.file("metrics.jsonl", read_file(directory / "metrics.jsonl") + "{\"step\":50,\"lo");  // cut off
  EXPECT_EQ(read_metrics(directory.path()).size(), 4u);
  MetricsLog log(directory.path(), 20);
  EXPECT_THROW(log.append(line(19)), Error);
  log.append(line(30));
  log.flush();
  EXPECT_EQ(read_metrics(directory.path()), (std::vector<MetricsLine>{line(10), line(20), line(30)}));
}

TEST(MetricsLog, ANewRunBeginsAnew) {
  const test::ScratchDirectory directory;
  { MetricsLog(directory.path()).append(line(10)); }
  MetricsLog log(directory.path());
  EXPECT_TRUE(read_metrics(directory.path()).empty());
}

ErrorKind kind_of(const std::function<void()>& f, const char* says) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(says));
    return error.kind();
  }
  ADD_FAILURE() << "no error: " << says;
  return ErrorKind::kInternal;
}

TEST(MetricsLog, Refuses) {
  const test::ScratchDirectory directory;
  EXPECT_EQ(kind_of([&] { MetricsLog(directory / "absent"); }, "no such directory"), ErrorKind::kMissingFile);
  EXPECT_EQ(kind_of([&] { MetricsLog(directory.path(), 3); }, "metrics.jsonl"), ErrorKind::kMissingFile);
  EXPECT_EQ(kind_of([&] { read_metrics(directory.path()); }, "metrics.jsonl"), ErrorKind::kMissingFile);
  MetricsLog log(directory.path());
  log.append(line(5));
  EXPECT_EQ(kind_of([&] { log.append(line(4)); }, "step 4 after step 5"), ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { log.append({6, {{"step", 1}}}); }, "twice"), ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { log.append({6, {{"a", 1}, {"a", 2}}}); }, "twice"), ErrorKind::kUsage);
  for (const auto& [bad, says] : {std::pair{"{\"step\":1}\nnonsense\n", "line 2"},
                                  {"[]\n", "line 1: expected an object with a step"},
                                  {"{\"loss\":1}\n", "line 1: expected an object with a step"},
                                  {"{\"step\":-1}\n", "line 1: expected an object with a step"},
                                  {"{\"step\":1,\"loss\":\"x\"}\n", "line 1: \"loss\" is not a number"}}) {
    directory.file("metrics.jsonl", bad);
    EXPECT_EQ(kind_of([&] { read_metrics(directory.path()); }, says), ErrorKind::kBadFormat);
    EXPECT_EQ(kind_of([&] { MetricsLog(directory.path(), 9); }, says), ErrorKind::kBadFormat);
  }
}

}  // namespace
}  // namespace telos::nn
