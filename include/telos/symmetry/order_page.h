#pragma once

#include <string>
#include <vector>

#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/order.h"

namespace telos::symmetry {

/// Definitions of every number that is printed of a model's sensitivity to order.
std::vector<Definition> order_definitions();

/// What was measured of a model.
struct OrderFindings {
  OrderMeasures layers;                ///< a readout for each of `names`, the output last
  std::vector<std::string> names;      ///< "embedding", "layer 1", …, "output"
  std::vector<OrderMeasures> lengths;  ///< the output alone in windows of other lengths, ascending; or none
  std::string read_at;                 ///< "the last token"
  std::size_t shuffles = 0;
};
/// By layer, for another report: ids begin with `prefix`.
Section order_section(const OrderFindings& findings, const std::string& prefix);
KeyNumber order_key(const OrderFindings& findings);
/// How much of what the context adds to the output ignores its order.
Report order_report(const OrderFindings& findings, const PageContext& context);

}  // namespace telos::symmetry
