// ctl/top.h - `holdfastctl top`: the sessions with the most unsent bytes and messages, the channels
// with the most members and messages, again and again.
//
// Sessions come from the directory and are there while workers hang. Channels are asked for through
// the API; if it does not answer, top reports it and goes on.
#pragma once

#include <optional>
#include <string>

#include "ctl/options.h"
#include "ctl/screen.h"
#include "ctl/snapshot.h"
#include "ctl/top_sample.h"

namespace holdfast::ctl {

struct TopLook {
  std::string instance;
  bool master_alive = true;
  uint64_t wall_ms = 0;
  double interval_s = 0;  // 0: a first look, without rates
  SessionRanks sessions;
  std::optional<ChannelRanks> channels;
  std::string channels_error;  // why they are not there
};

// Each list with at most `rows` rows; if a list is short, another one gets its rows, so that the
// text has no more than `height` lines (0: any).
std::string top_text(const TopLook& look, const Style& style, size_t height);
std::string top_json(const TopLook& look);
// How many of `rows` each list gets, if they would have `wanted` ones.
std::vector<size_t> share_rows(const std::vector<size_t>& wanted, size_t rows);

ExitCode run_top(const Options& options);

}  // namespace holdfast::ctl
