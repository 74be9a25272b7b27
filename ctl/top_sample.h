// ctl/top_sample.h - the data that `top` ranks: sessions out of two looks at the directory, channels
// out of two walks through the API's list.
//
// Only the best of each ranking are kept; of the rest a few bytes each are remembered.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ctl/http_client.h"
#include "shm/segment.h"

namespace holdfast::ctl {

struct SessionRow {
  shm::SessionId id;
  std::string user;
  uint16_t worker = 0;
  uint32_t unsent_bytes = 0;
  double in_per_s = 0, out_per_s = 0;
  double per_s() const { return in_per_s + out_per_s; }
};

struct SessionRanks {
  uint64_t sessions = 0;  // connecting or open
  uint64_t unsent_bytes = 0;
  double in_per_s = 0, out_per_s = 0;  // of all of them
  std::vector<SessionRow> by_unsent;   // without those that have none
  std::vector<SessionRow> by_rate;     // likewise
};

class SessionSampler {
 public:
  // The rates are those since the look before; a session that is new has had all its messages
  // since. In the first look all rates are 0.
  SessionRanks look(const shm::Segment& segment, uint64_t now_ns, size_t rows);
  // Another segment comes next.
  void forget() { *this = {}; }

 private:
  struct Seen {
    uint64_t id_lo = 0;  // 0: free
    uint32_t in = 0, out = 0;
  };
  void add(const shm::SessionView& view, Seen& seen, size_t rows, SessionRanks& ranks) const;

  std::vector<std::vector<Seen>> seen_;  // by slot, then by place in the slab
  uint64_t at_ns_ = 0;                   // of the look before
  double passed_s_ = 0;                  // since then; 0: no look before
};

struct ChannelRow {
  std::string name;
  uint64_t members = 0, subscribers = 0;
  double per_s = 0;
};

struct ChannelRanks {
  static constexpr uint64_t kMost = 100'000;
  uint64_t channels = 0;  // seen
  bool more = false;      // there are more than kMost, not looked at
  bool incomplete = false;
  std::vector<ChannelRow> by_members;
  std::vector<ChannelRow> by_rate;  // without those that had no message
};

class ChannelSampler {
 public:
  explicit ChannelSampler(Fetch fetch) : fetch_(std::move(fetch)) {}
  // Rates as above. After an Error the next look is a first one.
  Result<ChannelRanks> look(uint64_t now_ns, size_t rows);

 private:
  struct Walk {
    std::map<std::string, uint64_t> published;
    uint64_t at_ns = 0;
    bool complete = false;
  };
  // 0 if the walk before does not have it.
  double rate(const Walk& now, const std::string& name, uint64_t published) const;

  Fetch fetch_;
  std::optional<Walk> before_;
};

}  // namespace holdfast::ctl
