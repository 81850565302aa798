#include "telos/clustering/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "clustering/preprocess_parts.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "tests/io/support.h"

namespace telos::clustering {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

const std::string kGolden = TELOS_TEST_DIR "/clustering/golden/";

TEST(Preprocess, PublishedPipelineOnSmallTexts) {
  const Preprocessor plain(published_preprocessing()), lemmas(published_preprocessing(kGolden + "wordnet"));
  const auto records = nlohmann::json::parse(read_file(kGolden + "preprocess.json"));
  ASSERT_GT(records.size(), 300u);
  for (const auto& record : records) {
    const auto text = record.at("text").get<std::string>();
    EXPECT_EQ(plain.words(text), record.at("words").get<Words>()) << record.at("text");
    EXPECT_EQ(lemmas.words(text), record.value("lemmas", record.at("words")).get<Words>())
        << record.at("text");
  }
}

TEST(Preprocess, DefaultsLowerTheCaseBeforeStopWords) {
  const Preprocessor preprocessor{PreprocessOptions{}};
  EXPECT_THAT(preprocessor.words("The film I LOVED was NOT Cannot-be-missed!"),
              ElementsAre("film", "loved", "missed"));
  EXPECT_THAT(preprocessor.words("SOoooo"), ElementsAre("sooo"))
      << "case is lowered after letters are repeated";
}

TEST(Preprocess, StepsCanBeLeftOut) {
  PreprocessOptions options;
  options.clean = false;
  EXPECT_THAT(Preprocessor(options).words("It's  GREAT,\u00a0<b>10/10</b>\n caf\u00e9"),
              ElementsAre("great,", "<b>10/10</b>", "caf\u00e9"));
  options.stop_words = false;
  EXPECT_THAT(Preprocessor(options).words("It's cannot"), ElementsAre("it's", "can", "not"));
  options.contractions = false;
  options.lower_case = false;
  EXPECT_THAT(Preprocessor(options).words("It's cannot"), ElementsAre("It's", "cannot"));
  EXPECT_EQ(Preprocessor(options).options(), options);
}

TEST(Preprocess, HostileTexts) {
  const Preprocessor preprocessor(published_preprocessing(kGolden + "wordnet"));
  const std::size_t n = 300'000;
  std::string links;
  while (links.size() < n) links += "http:// www. ";
  std::string suffixes = "x";
  while (suffixes.size() < n) suffixes += "ses";
  for (const std::string& text : {std::string(n, '<'), std::string(n, 's'), std::string(n, '\xC2'), links,
                                  suffixes, std::string("\xE2\x80"), std::string("a\0b", 3)})
    EXPECT_LE(preprocessor.words(text).size(), text.size() / 4 + 2);
  EXPECT_THAT(preprocessor.words(std::string(n, 's')), IsEmpty()) << "ss → s, a noun and a stop word";
}

TEST(Preprocess, StopWordsOfAnyCase) {
  for (const char* word : {"the", "The", "THE", "i", "yourselves", "should've", "y"})
    EXPECT_TRUE(is_stop_word(word)) << word;
  for (const char* word : {"", "film", "yourselvess", "<PAD>", "\xC3\xA9", "th"})
    EXPECT_FALSE(is_stop_word(word)) << word;
  EXPECT_FALSE(in_stop_list("The"));
}

class WordNetFiles : public ::testing::Test {
 protected:
  std::string complaint() const {
    try {
      Preprocessor{published_preprocessing(scratch.path())};
    } catch (const Error& error) {
      return std::string(to_string(error.kind())) + " | " + error.what() + " | " + error.hint();
    }
    return "no error";
  }
  test::ScratchDirectory scratch;
};

TEST_F(WordNetFiles, MissingOnesSayWhereToFindThem) {
  EXPECT_THAT(complaint(), HasSubstr("missing_file | " + scratch.path() +
                                     "/index.noun: WordNet's list of nouns is not there"));
  EXPECT_THAT(complaint(), HasSubstr("Debian's package wordnet-base"));
  scratch.file("index.noun", "film n 1\n");
  EXPECT_THAT(complaint(), HasSubstr("/noun.exc: WordNet's"));
}

TEST_F(WordNetFiles, OtherFilesAreRefusedWithTheirLine) {
  scratch.file("noun.exc", "men man\n");
  scratch.file("index.noun", "  licence\nfilm n 1\nrun v 2\n");
  EXPECT_THAT(complaint(),
              HasSubstr("bad_format | " + scratch.path() + "/index.noun, line 3: not a file of WordNet"));
  scratch.file("index.noun", "  licence only\n");
  EXPECT_THAT(complaint(), HasSubstr("expected nouns"));
  scratch.file("index.noun", "film n 1\n");
  scratch.file("noun.exc", "men man\n\nwomen\n");
  EXPECT_THAT(complaint(),
              HasSubstr("noun.exc, line 3: not a file of WordNet: expected a word and its lemma"));
}

TEST(Lemmas, ExceptionsWithoutANounLeaveTheWord) {
  const test::ScratchDirectory scratch;
  scratch.file("index.noun", "pea n 1\naxe n 1\naxis n 1\n");
  scratch.file("noun.exc", "peas pease\naxes axis axe\n");
  const NounLemmas lemmas(scratch.path());
  EXPECT_EQ(lemmas.lemma("peas"), "peas") << "an exception whose lemma is no noun ends the search";
  EXPECT_EQ(lemmas.lemma("axes"), "axe") << "the shortest";
  EXPECT_EQ(lemmas.lemma("peass"), "pea") << "two rules";
  EXPECT_EQ(lemmas.lemma("Peass"), "Peass");
  EXPECT_EQ(lemmas.lemma(std::string(256, 's')), std::string(256, 's'));
}

TEST(Vocabulary, IdsByCountThenFirstAppearance) {
  const std::vector<Words> documents{{"b", "a", "c"}, {}, {"a", "c", "d", "e"}};
  const Vocabulary all = Vocabulary::count(documents);
  EXPECT_THAT(all.words(), ElementsAre("<PAD>", "a", "c", "b", "d", "e"));
  EXPECT_THAT(all.counts(), ElementsAre(0u, 2u, 2u, 1u, 1u, 1u));
  EXPECT_EQ(all.size(), 6u);
  EXPECT_EQ(all.id("c"), 2);
  EXPECT_EQ(all.id("<PAD>"), Vocabulary::kPadding);
  EXPECT_EQ(all.id("z"), -1);
  EXPECT_EQ(all.word(3), "b");
  EXPECT_THAT(Vocabulary::count(documents, 2).words(), ElementsAre("<PAD>", "a", "c"));
  EXPECT_THAT(Vocabulary::count(documents, 1, 3).words(), ElementsAre("<PAD>", "a", "c", "b"));
  EXPECT_THAT(Vocabulary::count({}).words(), ElementsAre("<PAD>"));
  EXPECT_EQ(Vocabulary().size(), 1u);
}

TEST(Vocabulary, RefusesWhatHasNoIds) {
  const auto complaint = [](Words words, std::vector<std::uint64_t> counts = {}) -> std::string {
    try {
      Vocabulary(std::move(words), std::move(counts));
    } catch (const Error& error) {
      return std::string(to_string(error.kind())) + " | " + error.what();
    }
    return "no error";
  };
  EXPECT_EQ(complaint({"a", "b", "a"}), "usage | vocabulary: the word \"a\" has the ids 1 and 3");
  EXPECT_EQ(complaint({"a", ""}), "usage | vocabulary: word 2 is empty");
  EXPECT_EQ(complaint({"<PAD>"}), "usage | vocabulary: the word \"<PAD>\" has the ids 0 and 1");
  EXPECT_EQ(complaint({"a"}, {1, 2}), "usage | vocabulary: 1 words with 2 counts");
  EXPECT_EQ(Vocabulary({"a", "b"}).counts().size(), 3u);
}

}  // namespace
}  // namespace telos::clustering
