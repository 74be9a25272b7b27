// ctl/control.h - reload, upgrade, stop and reopen-logs: one word to the master, its answer back.
//
// RUNTIME_DIR/control.sock: we write one line, the master writes lines until it closes: first `ok
// TEXT` or `error TEXT`, then details. Silence of kControlSilenceMs ends the wait; the order may be
// carried out all the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ctl/options.h"

namespace holdfast::ctl {

inline constexpr uint64_t kControlSilenceMs = 60'000;
inline constexpr uint64_t kUpgradeSilenceMs = 180'000;  // a check of 30 s, and a reload
inline constexpr size_t kMaxControlBytes = 1024 * 1024;

struct ControlAnswer {
  bool ok = false;
  std::string text;
  std::vector<std::string> details;
};

// All the bytes of an answer. Errc::bad_input: neither `ok` nor `error`.
Result<ControlAnswer> parse_control_answer(std::string_view bytes);
Result<ControlAnswer> ask_master(const std::string& socket_path, std::string_view word,
                                 uint64_t silence_ms = kControlSilenceMs);
std::string control_json(const ControlAnswer& answer);

ExitCode run_control(const Options& options);

}  // namespace holdfast::ctl
