#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "telos/base/error.h"

namespace telos::test {

/// The error that `call` throws, as "kind | where | message | hint"; "no error" if it returns.
template <class Call>
std::string complaint(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(to_string(error.kind())) + " | " + error.where() + " | " + error.message() + " | " +
           error.hint();
  }
  return "no error";
}

/// `call` throws an error of that kind, whose text or hint holds `text`.
template <class Call>
void expect_error(ErrorKind kind, const std::string& text, Call&& call) {
  try {
    call();
    ADD_FAILURE() << "no error; expected " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(std::string(error.what()) + " " + error.hint(), ::testing::HasSubstr(text));
  }
}

}  // namespace telos::test
