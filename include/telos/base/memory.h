#pragma once

#include <string>

namespace telos {

/// Bytes of main memory of this machine; infinite where the system does not say.
double machine_memory();

/// Throws kLimit, "needs 91 GB of memory, this machine has 25 GB", with `where` and `hint`, for more than
/// machine_memory(). Asked before memory is taken whose size a user chose: systems that promise more than
/// they have would end the process later, without a word. `bytes` is a real number, because products of
/// sizes that are far too large must not wrap around.
void require_memory(double bytes, const std::string& where, const std::string& hint = {});

}  // namespace telos
