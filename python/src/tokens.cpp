#include <nanobind/nanobind.h>

#include <string>

#include "module.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

constexpr long long kLargestToken = 0x7fffffff;

/// `value` as C API calls leave it, or TypeError with `message` where they found another type.
nb::object or_type_error(PyObject* value, nb::handle found, const std::string& message) {
  if (value != nullptr) return nb::steal(value);
  if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw nb::python_error();
  PyErr_Clear();
  throw nb::type_error((message + ", found " + nb::repr(found).c_str()).c_str());
}

std::uint32_t token_of(nb::handle value, const std::string& where) {
  // Not int(): that takes 0.9 for 0 and "3" for 3.
  const nb::object whole =
      or_type_error(PyNumber_Index(value.ptr()), value, where + ": expected a token id, a whole number");
  int overflow = 0;
  const long long id = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
  if (overflow != 0 || id < 0 || id > kLargestToken)
    throw nb::value_error((where + ": expected a token id of 0 to " + std::to_string(kLargestToken) +
                           ", found " + nb::repr(whole).c_str())
                              .c_str());
  return static_cast<std::uint32_t>(id);
}

}  // namespace

std::vector<std::vector<std::uint32_t>> token_rows(nb::object rows, const std::string& name) {
  if (nb::hasattr(rows, "__array__")) rows = nb::module_::import_("numpy").attr("asarray")(rows);
  std::vector<std::vector<std::uint32_t>> all;
  const nb::object each =
      or_type_error(PyObject_GetIter(rows.ptr()), rows, name + ": expected rows of token ids");
  for (const nb::handle row : nb::borrow<nb::iterator>(each)) {
    const std::string where = name + ": row " + std::to_string(all.size());
    const nb::object tokens =
        or_type_error(PyObject_GetIter(row.ptr()), row, where + ": expected a sequence of token ids");
    auto& ids = all.emplace_back();
    for (const nb::handle token : nb::borrow<nb::iterator>(tokens))
      ids.push_back(token_of(token, where + ", column " + std::to_string(ids.size())));
    if (ids.empty()) throw nb::value_error((where + ": expected at least one token").c_str());
  }
  if (all.empty()) throw nb::value_error((name + ": expected at least one row of token ids").c_str());
  return all;
}

}  // namespace telos::python
