#include "selftest/test.h"

namespace tr0n::selftest {

Row::Row(Test& test, std::string sizes) : test_(test) {
  line_.kernel = test.kernel_;
  line_.sizes = std::move(sizes);
}

Row::~Row() { test_.report_.add(line_); }

Row& Row::hold(Against against, const char* what, double error, double tolerance) {
  line_.add({what, against, error, tolerance});
  return *this;
}

Row& Row::timed(const Work& work, const std::function<void()>& calls) {
  if (line_.passed()) line_.timing = test_.machine_.time(work, calls);
  return *this;
}

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

}  // namespace tr0n::selftest
