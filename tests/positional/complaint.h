#pragma once

#include <gmock/gmock.h>

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

}  // namespace telos::test
