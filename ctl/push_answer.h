// ctl/push_answer.h - the meaning of an API's answer to the person who gave the order.
#pragma once

#include <string>

#include "base/result.h"
#include "ctl/options.h"

namespace holdfast::ctl {

struct Order {
  const Options& options;
  size_t body_bytes = 0;
};

struct Outcome {
  ExitCode code = kOk;
  std::string text;     // for stdout
  std::string trouble;  // for stderr, "" if all went well
  std::string json;     // one line, for --json
};

// `body` as it came with `status`. Errc::bad_input if it is not the JSON it should be.
Result<Outcome> judge_answer(const Order& order, int status, const std::string& body);

}  // namespace holdfast::ctl
