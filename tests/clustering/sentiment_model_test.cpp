// The sentiment model: bags of words, predictions, files, and the import of published weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "telos/io/files.h"
#include "tests/clustering/sentiment_support.h"

namespace telos::clustering::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Without the flushing to disk of an atomic write: thousands of damaged files are tried.
void overwrite(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

const std::vector<std::string> kText = {"one", "two", "three", "two"};

// ---- Bags of words

TEST(WordBag, CountsWordsByFirstPositionAndFillsWithPadding) {
  const SentimentModel model = tiny_model();
  const WordBag bag = word_bag(model, kText);
  EXPECT_THAT(bag.ids, ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(bag.counts, ElementsAre(1, 2, 1, 1));
  EXPECT_THAT(bag.first, ElementsAre(0, 1, 2, 4));
  EXPECT_EQ(bag.length, 5u);
  EXPECT_EQ(bag.unknown + bag.cut, 0u);
}

TEST(WordBag, UnknownWordsTakeNoPositionAndLongTextsAreCut) {
  const SentimentModel model = tiny_model();
  const std::vector<std::string> words = {"three", "four", "<PAD>", "one", "one",
                                          "three", "two",  "two",   "five"};
  const WordBag bag = word_bag(model, words);
  EXPECT_THAT(bag.ids, ElementsAre(3, 1, 2));
  EXPECT_THAT(bag.counts, ElementsAre(2, 2, 1));
  EXPECT_EQ(bag.length, 5u);
  EXPECT_EQ(bag.unknown, 3u);
  EXPECT_EQ(bag.cut, 1u);
}

TEST(WordBag, WithoutPaddingATextHasItsOwnLength) {
  SentimentModel model = tiny_model();
  model.config.mask_padding = true;
  EXPECT_THAT(word_bag(model, kText).ids, ElementsAre(1, 2, 3));
  EXPECT_EQ(word_bag(model, kText).length, 4u);
  EXPECT_EQ(word_bag(model, {}).length, 0u);
}

// ---- Predictions

TEST(Prediction, IsTheWorkedExample) {
  const SentimentModel model = tiny_model();
  const WordBag bag = word_bag(model, kText);
  const Arena arena(1);
  const Prediction soft = predict(model, std::vector{bag}, LayerMode::kSoft, arena)[0];
  EXPECT_NEAR(soft.logit, -0.5604897102, 1e-7);  // weights are rounded to float
  const Prediction hard = predict(model, std::vector{bag}, LayerMode::kHard, arena)[0];
  EXPECT_NEAR(hard.logit, -0.6483460208, 1e-7);
  EXPECT_NEAR(hard.probability, 0.3433623545, 1e-7);
  EXPECT_FALSE(hard.positive);
  EXPECT_EQ(hard.words, 4u);
  const Matrix<double> tokens = final_tokens(model, bag, LayerMode::kHard);
  EXPECT_NEAR(tokens(3, 0), -0.4961937716, 1e-7);
  EXPECT_NEAR(tokens(3, 1), 0.7885813149, 1e-7);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 2; ++k)
      EXPECT_EQ(tokens(i, k), double{model.embedding(static_cast<std::size_t>(bag.ids[i]), k)});
}

TEST(Prediction, AtLowTemperatureSoftIsHard) {
  SentimentModel model = tiny_model();
  model.config.temperature = 1e-4;
  const WordBag bag = word_bag(model, kText);
  const Arena arena(1);
  EXPECT_NEAR(predict(model, std::vector{bag}, LayerMode::kSoft, arena)[0].logit,
              predict(model, std::vector{bag}, LayerMode::kHard, arena)[0].logit, 1e-10);
}

TEST(Prediction, TextsWithoutKnownWordsLeavePaddingOrNothing) {
  SentimentModel model = tiny_model();
  const std::vector<std::string> texts = {"", "unheard of"};
  const Arena arena(1);
  const double padding = 0.1 + 0.9f * -0.3f + -1.3f * 0.2f;
  for (const Prediction& p : predict(model, texts, LayerMode::kSoft, arena))
    EXPECT_NEAR(p.logit, padding, 1e-7);
  EXPECT_EQ(predict(model, texts, LayerMode::kHard, arena)[1].words, 0u);
  model.config.mask_padding = true;
  for (const Prediction& p : predict(model, texts, LayerMode::kHard, arena)) EXPECT_EQ(p.logit, 0.1);
}

TEST(Prediction, BitsDoNotDependOnThreads) {
  const SentimentModel model = tiny_model();
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i)
    texts.push_back(i % 3 == 0 ? "one two" : i % 3 == 1 ? "three three one" : "two");
  const std::vector<Prediction> base = predict(model, texts, LayerMode::kSoft, Arena(1));
  for (const int threads : {2, 7}) {
    const std::vector<Prediction> other = predict(model, texts, LayerMode::kSoft, Arena(threads));
    for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(base[i].logit, other[i].logit);
  }
}

TEST(Prediction, RefusesBagsOfAnotherVocabulary) {
  const SentimentModel model = tiny_model();
  WordBag bag = word_bag(model, kText);
  bag.ids[1] = 4;
  EXPECT_EQ(error_of([&] { predict(model, std::vector{bag}, LayerMode::kSoft, Arena(1)); }).kind(),
            ErrorKind::kUsage);
}

TEST(Evaluation, CountsByClass) {
  std::vector<Prediction> p(4);
  const double logits[] = {2, -1, 0.5, -300};
  for (std::size_t i = 0; i < 4; ++i) {
    p[i].logit = logits[i];
    p[i].positive = logits[i] >= 0;
  }
  const std::vector<std::uint8_t> labels = {1, 1, 0, 1};
  const Evaluation e = evaluate(p, labels);
  EXPECT_EQ(e.texts, 4u);
  EXPECT_EQ(e.accuracy, 0.25);
  EXPECT_DOUBLE_EQ(e.true_positive, 1.0 / 3);
  EXPECT_EQ(e.true_negative, 0);
  const auto loss = [](double margin) { return std::log1p(std::exp(-margin)); };
  EXPECT_NEAR(e.loss, (loss(2) + loss(-1) + loss(-0.5) + 100) / 4, 1e-12);  // logs are clamped
  EXPECT_EQ(evaluate({}, {}).accuracy, 0);
  EXPECT_EQ(error_of([&] { evaluate(p, {}); }).kind(), ErrorKind::kShape);
}

TEST(SentimentModelCheck, NamesWhatDoesNotFit) {
  const auto kind = [](const std::function<void(SentimentModel&)>& spoil) {
    SentimentModel model = tiny_model();
    spoil(model);
    return error_of([&] { model.check("model"); }).kind();
  };
  EXPECT_EQ(kind([](SentimentModel& m) { m.config.dim = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(kind([](SentimentModel& m) { m.config.max_length = 1 << 20; }), ErrorKind::kUsage);
  EXPECT_EQ(kind([](SentimentModel& m) { m.config.temperature = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(kind([](SentimentModel& m) { m.alpha = -0.1; }), ErrorKind::kUsage);
  EXPECT_EQ(kind([](SentimentModel& m) { m.alpha = NAN; }), ErrorKind::kNotFinite);
  EXPECT_EQ(kind([](SentimentModel& m) { m.bias = INFINITY; }), ErrorKind::kNotFinite);
  EXPECT_EQ(kind([](SentimentModel& m) { m.v = {1}; }), ErrorKind::kShape);
  EXPECT_EQ(kind([](SentimentModel& m) { m.v[1] = NAN; }), ErrorKind::kNotFinite);
  EXPECT_EQ(kind([](SentimentModel& m) { m.embedding = Matrix<float>(3, 2); }), ErrorKind::kShape);
  EXPECT_EQ(kind([](SentimentModel& m) { m.embedding(2, 1) = INFINITY; }), ErrorKind::kNotFinite);
}

// ---- Files

TEST(SentimentFile, KeepsEverything) {
  const TemporaryFolder folder("sentiment_file");
  SentimentModel model = tiny_model();
  model.config.mask_padding = true;
  model.preprocess.lower_case = false;
  model.preprocess.wordnet = "/somewhere";
  model.negative = "schlecht";
  model.positive = "größer";
  save_sentiment(model, folder.file("m.safetensors"));
  const SentimentModel back = load_sentiment(folder.file("m.safetensors"));
  EXPECT_EQ(back.config, model.config);
  EXPECT_EQ(back.preprocess, model.preprocess);
  EXPECT_EQ(back.vocabulary.words(), model.vocabulary.words());
  EXPECT_EQ(back.vocabulary.counts(), model.vocabulary.counts());
  EXPECT_EQ(back.alpha, model.alpha);
  EXPECT_EQ(back.bias, model.bias);
  EXPECT_EQ(back.v, model.v);
  EXPECT_EQ(back.negative, "schlecht");
  EXPECT_EQ(back.positive, "größer");
  EXPECT_EQ(back.origin, "test");
  EXPECT_EQ(std::memcmp(back.embedding.data(), model.embedding.data(), 8 * sizeof(float)), 0);
}

TEST(SentimentFile, EveryChangedByteIsFound) {
  const TemporaryFolder folder("sentiment_damage");
  const std::string path = folder.file("m.safetensors");
  save_sentiment(tiny_model(), path);
  const std::string good = read_file(path);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    overwrite(path, bad);
    try {
      load_sentiment(path);
      // Only the padding of the header says nothing.
      EXPECT_EQ(good[at], ' ') << at;
    } catch (const Error&) {
    }
  }
  overwrite(path, good.substr(0, good.size() - 1));
  EXPECT_EQ(error_of([&] { load_sentiment(path); }).kind(), ErrorKind::kTruncated);
}

TEST(SentimentFile, RefusesOtherFilesAndVersions) {
  const TemporaryFolder folder("sentiment_version");
  const std::string path = folder.file("m.safetensors");
  save_sentiment(tiny_model(), path);
  std::string text = read_file(path);
  const std::string key = "\"version\":\"";
  const std::size_t at = text.find(key);
  ASSERT_NE(at, std::string::npos);
  text[at + key.size()] = '2';
  overwrite(path, text);
  EXPECT_THAT(error_of([&] { load_sentiment(path); }).message(), HasSubstr("version \"2\""));
  text = read_file(path);
  text.replace(text.find("telos.clustering.sentiment"), 5, "other");
  overwrite(path, text);
  EXPECT_THAT(error_of([&] { load_sentiment(path); }).message(), HasSubstr("not a sentiment model"));
  EXPECT_EQ(error_of([&] { load_sentiment(folder.file("none")); }).kind(), ErrorKind::kMissingFile);
}

TEST(SentimentFile, AWordWithALineBreakCannotBeWritten) {
  const TemporaryFolder folder("sentiment_words");
  SentimentModel model = tiny_model();
  model.vocabulary = Vocabulary({"one", "t\nwo", "three"});
  EXPECT_EQ(error_of([&] { save_sentiment(model, folder.file("m")); }).kind(), ErrorKind::kUsage);
}

// ---- Import

void append(std::string& out, std::uint64_t value, int bytes) {
  for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value & 255);
}

struct Entry {
  std::string name, content;
  int method = 0;
};

/// A zip file as torch.save writes it.
std::string zip(const std::vector<Entry>& entries) {
  std::string out, directory;
  for (const Entry& entry : entries) {
    const auto sizes = [&](std::string& to) {
      append(to, entry.method, 2);
      append(to, 0, 8);  // time, date, checksum
      append(to, entry.content.size(), 4);
      append(to, entry.content.size(), 4);
      append(to, entry.name.size(), 2);
    };
    directory += "PK\x01\x02";
    append(directory, 0, 6);
    sizes(directory);
    append(directory, 0, 12);
    append(directory, out.size(), 4);
    directory += entry.name;
    out += "PK\x03\x04";
    append(out, 0, 4);
    sizes(out);
    append(out, 3, 2);
    out += entry.name + "pad" + entry.content;
  }
  const std::size_t start = out.size();
  out += directory + "PK\x05\x06";
  append(out, 0, 4);
  append(out, entries.size(), 2);
  append(out, entries.size(), 2);
  append(out, directory.size(), 4);
  append(out, start, 4);
  append(out, 0, 2);
  return out;
}

std::string bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::vector<Entry> tiny_entries() {
  return {{"m/data.pkl", "never read"},
          {"m/data/0", bytes_of({-0.3f, 0.2f, 0.8f, 0.5f, -0.6f, 1.1f, 1.2f, -0.4f})},
          {"m/data/1", bytes_of({0.7f})},
          {"m/data/2", bytes_of({0.9f, -1.3f})},
          {"m/data/3", bytes_of({0.1f})}};
}

class Import : public testing::Test {
 protected:
  Import() {
    overwrite(words_, "<PAD>\none\ntwo\nthree\n");
    overwrite(weights_, zip(tiny_entries()));
  }
  SentimentModel import() const { return import_published(weights_, words_); }
  Error error() const {
    return error_of([&] { import(); });
  }
  TemporaryFolder folder_{"sentiment_import"};
  std::string words_ = folder_.file("words.txt"), weights_ = folder_.file("m.pth");
};

TEST_F(Import, ReadsTheStoragesOfATorchFile) {
  const SentimentModel model = import();
  EXPECT_EQ(model.config.dim, 2u);
  EXPECT_EQ(model.config.layers, 8u);
  EXPECT_EQ(model.embedding(2, 1), 1.1f);
  EXPECT_EQ(model.alpha, double{0.7f});
  EXPECT_EQ(model.bias, double{0.1f});
  EXPECT_THAT(model.v, ElementsAre(0.9f, -1.3f));
  EXPECT_EQ(model.vocabulary.id("three"), 3);
  EXPECT_FALSE(model.preprocess.lower_case);
}

TEST_F(Import, ReadsVocabulariesInEachForm) {
  for (const char* text :
       {"one\ntwo\nthree", "<PAD>\r\none\r\ntwo\r\nthree\r\n",
        "id\tword\n0\t<PAD>\n1\tone\n2\ttwo\n3\tthree\n", "word\tid\none\t1\ntwo\t2\nthree\t3\n"}) {
    overwrite(words_, text);
    EXPECT_EQ(import().vocabulary.id("three"), 3) << text;
  }
  overwrite(words_, "id\tword\tcount\n1\tone\t9\n2\ttwo\t5\n3\tthree\t1\n");
  EXPECT_THAT(import().vocabulary.counts(), ElementsAre(0, 9, 5, 1));
}

TEST_F(Import, RefusesVocabulariesThatDoNotFit) {
  const auto message = [&](const char* text) {
    overwrite(words_, text);
    return error().message();
  };
  EXPECT_THAT(message("one\ntwo\n"), HasSubstr("2 words, expected 3"));
  EXPECT_THAT(message(""), HasSubstr("empty"));
  EXPECT_THAT(message("id\tword\n1\tone\n3\ttwo\n2\tthree\n"), HasSubstr("the id is 3, expected 2"));
  EXPECT_THAT(message("id\tword\n1\tone\n2\n"), HasSubstr("1 columns, expected 2"));
  EXPECT_THAT(message("id\tword\nx\tone\n"), HasSubstr("not a whole number"));
  EXPECT_THAT(message("a\tb\n1\tone\n"), HasSubstr("no column is called word"));
  EXPECT_THAT(message("one\none\ntwo\n"), HasSubstr("1 and 2"));
}

TEST_F(Import, RefusesOtherTorchFiles) {
  std::vector<Entry> entries = tiny_entries();
  const auto message = [&](std::vector<Entry> changed) {
    overwrite(weights_, zip(changed));
    return error().message();
  };
  entries[4].method = 8;
  EXPECT_THAT(message(entries), HasSubstr("no uncompressed entry ends in /data/3"));
  entries = tiny_entries();
  entries.push_back({"n/data/0", ""});
  EXPECT_THAT(message(entries), HasSubstr("two entries end in /data/0"));
  entries = tiny_entries();
  entries[2].content += "x";
  EXPECT_THAT(message(entries), HasSubstr("expected float32"));
  entries = tiny_entries();
  entries[2].content += "wxyz";
  EXPECT_THAT(message(entries), HasSubstr("1, d and 1"));
  overwrite(weights_, std::string("PK\x03\x04") + std::string(100, '\0'));
  EXPECT_THAT(error().message(), HasSubstr("no central directory"));
}

TEST_F(Import, AnyDamageIsAnErrorOrHarmless) {
  const std::string good = zip(tiny_entries());
  for (std::size_t at = 0; at < good.size(); ++at) try {
      std::string bad = good;
      bad[at] = static_cast<char>(~bad[at]);
      overwrite(weights_, bad);
      import();
    } catch (const Error&) {
    }
  for (std::size_t size = 0; size < good.size(); size += 7) {
    overwrite(weights_, good.substr(0, size));
    EXPECT_NE(error().kind(), ErrorKind::kInternal);
  }
}

TEST(PublishedModel, IsTheOneOfThePaper) {
  const char* data = std::getenv("TELOS_TEST_DATA");
  const std::string folder = std::string(data == nullptr ? "" : data) + "/models/hardmax-sentiment-d2/";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "TELOS_TEST_DATA/models/hardmax-sentiment-d2 is not there";
  const SentimentModel model =
      import_published(folder + "model.safetensors", folder + "vocab_reconstructed.tsv");
  EXPECT_EQ(model.vocabulary.size(), 121296u);
  EXPECT_NEAR(model.alpha, 2.352787, 1e-6);
  EXPECT_NEAR(model.v[0], -7.2868695, 1e-6);
  EXPECT_NEAR(model.bias, -0.28431964, 1e-7);
  const std::size_t time = static_cast<std::size_t>(model.vocabulary.id("time"));
  EXPECT_NEAR(model.embedding(time, 0), -1.6699595, 1e-6);
  // The words of the published figures, on their sides of the decoder's line.
  const auto side = [&](const char* word) {
    const float* z = model.embedding.row(static_cast<std::size_t>(model.vocabulary.id(word)));
    return double{model.v[0]} * double{z[0]} + double{model.v[1]} * double{z[1]} + model.bias;
  };
  for (const char* word : {"great", "love", "amazing", "perfect"}) EXPECT_GT(side(word), 2) << word;
  for (const char* word : {"worst", "awful", "boring", "poor"}) EXPECT_LT(side(word), -2) << word;
}

}  // namespace
}  // namespace telos::clustering::test
