#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace telos {

/// What went wrong, as a closed set: a caller can switch over it, and tests trigger each member.
enum class ErrorKind {
  kUsage,          ///< an argument or option is wrong; nothing was read
  kMissingFile,    ///< a file or a shard is not there
  kIo,             ///< the operating system refused a read, a write or a mapping
  kBadFormat,      ///< a file breaks a rule of its format
  kTruncated,      ///< a file ends before what its header promises
  kUnsupported,    ///< well-formed, but not something telos reads (pickle, quantised weights, an unknown
                   ///< family)
  kShape,          ///< a tensor or matrix has another shape than the one required
  kNotFinite,      ///< NaN or Inf where a finite number is required
  kNoConvergence,  ///< an iterative solver gave up, or a matrix is not positive definite
  kLimit,          ///< a size exceeds a stated limit (memory, header length, context length)
  kInterrupted,    ///< the user or the system asked to stop
  kInternal,       ///< a broken invariant of telos itself: a bug
};

/// The kind as a stable lower-case word, e.g. "bad_format" (used in JSON output).
std::string_view to_string(ErrorKind kind) noexcept;

/// Exit code of the command line for an error of this kind: 2 usage; 3 bad input file; 4 numerical failure; 5
/// a bug; 130 interrupted.
int exit_code(ErrorKind kind) noexcept;

/// The one exception of the library.
///
/// `where` names the place (file, then tensor or line, then byte offset), `message` says what was expected
/// and what was found, `hint` what to do next. Each is one line without a trailing period or newline; `hint`
/// may be empty. what() is "where: message".
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string where, std::string message, std::string hint = {});

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorKind kind_;
  std::string where_, message_, hint_;
};

/// `text` with control characters, quotes and invalid UTF-8 shown as \xNN escapes, cut to `max_bytes` with
/// "…". Names from hostile files go through this before they reach a terminal.
std::string printable(std::string_view text, std::size_t max_bytes = 120);

}  // namespace telos
