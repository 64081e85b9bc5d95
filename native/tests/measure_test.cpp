#include "device/measure.h"

#include "tests/check.h"

using namespace tr0n;

TEST(measurements_give_a_rate_for_each_run_and_can_be_cancelled) {
  CancelToken cancel;
  for (const std::vector<double>& rates : {measure_arithmetic(3, cancel), measure_copy(1000, 3, cancel),
                                           measure_product(33, 65, 129, 3, cancel)}) {
    CHECK(rates.size() == 3);
    for (const double rate : rates) CHECK(std::isfinite(rate) && rate > 1e5);
  }
  CHECK(!instructions().empty());
  cancel.cancel();
  CHECK_CODE("ERR_ABORTED", measure_product(33, 65, 129, 3, cancel));
}
