#include "ctl/top_sample.h"

#include <algorithm>

#include "ctl/json_read.h"
#include "ctl/pages.h"

namespace holdfast::ctl {
namespace {

constexpr uint64_t kNamesInAPage = 10'000;

// `rows` stays sorted by `key`, the largest first, and at most `most` long.
template <class Row, class Key>
void keep_best(std::vector<Row>& rows, const Row& row, size_t most, Key key) {
  if (rows.size() == most && key(row) <= key(rows.back())) return;
  auto at = std::find_if(rows.begin(), rows.end(),
                         [&](const Row& other) { return key(row) > key(other); });
  rows.insert(at, row);
  if (rows.size() > most) rows.pop_back();
}

bool is_connected(const shm::SessionView& view) {
  return view.control.state == shm::SessionState::connecting ||
         view.control.state == shm::SessionState::open;
}

}  // namespace

void SessionSampler::add(const shm::SessionView& view, Seen& seen, size_t rows,
                         SessionRanks& ranks) const {
  bool known = seen.id_lo == view.id.lo;
  SessionRow row{.id = view.id, .worker = view.control.owner, .unsent_bytes = view.unsent_bytes};
  if (passed_s_ > 0) {  // the counts are 32 bits wide and may have begun anew
    row.in_per_s = double(uint32_t(view.messages_in - (known ? seen.in : 0))) / passed_s_;
    row.out_per_s = double(uint32_t(view.messages_out - (known ? seen.out : 0))) / passed_s_;
  }
  seen = {view.id.lo, view.messages_in, view.messages_out};
  ++ranks.sessions;
  ranks.unsent_bytes += row.unsent_bytes;
  ranks.in_per_s += row.in_per_s;
  ranks.out_per_s += row.out_per_s;
  if (row.unsent_bytes == 0 && row.per_s() == 0) return;
  row.user = view.user;
  if (row.unsent_bytes > 0)
    keep_best(ranks.by_unsent, row, rows, [](const SessionRow& r) { return r.unsent_bytes; });
  if (row.per_s() > 0)
    keep_best(ranks.by_rate, row, rows, [](const SessionRow& r) { return r.per_s(); });
}

SessionRanks SessionSampler::look(const shm::Segment& segment, uint64_t now_ns, size_t rows) {
  passed_s_ = at_ns_ == 0 || now_ns <= at_ns_ ? 0 : double(now_ns - at_ns_) / 1e9;
  at_ns_ = now_ns;
  SessionRanks ranks;
  shm::SessionDirectory directory = segment.directory();
  seen_.resize(directory.slots());
  for (uint32_t slot = 0; slot < directory.slots(); ++slot) {
    std::vector<Seen>& seen = seen_[slot];
    seen.resize(std::max<size_t>(seen.size(), directory.used(slot)));
    for (uint32_t i = 0; i < directory.used(slot) && i < seen.size(); ++i) {
      std::optional<shm::SessionView> view = directory.view(slot * directory.per_slab() + i);
      // One that changes too fast to be read is in the next look again.
      if (view && is_connected(*view)) add(*view, seen[i], rows, ranks);
    }
  }
  return ranks;
}

double ChannelSampler::rate(const Walk& now, const std::string& name, uint64_t published) const {
  if (!before_ || now.at_ns <= before_->at_ns) return 0;
  auto it = before_->published.find(name);
  if (it == before_->published.end() && !before_->complete) return 0;
  uint64_t then = it == before_->published.end() ? 0 : it->second;
  // The count begins anew when a channel's last member has left.
  uint64_t more = published >= then ? published - then : published;
  return double(more) * 1e9 / double(now.at_ns - before_->at_ns);
}

Result<ChannelRanks> ChannelSampler::look(uint64_t now_ns, size_t rows) {
  Walk walk{.published = {}, .at_ns = now_ns};
  ChannelRanks ranks;
  Pages pages(fetch_, {"/v1/channels", "channels", kNamesInAPage, "", ChannelRanks::kMost});
  for (;;) {
    Result<std::optional<Pages::Page>> page = pages.next();
    if (!page) {
      before_.reset();
      return page.error();
    }
    if (!*page) break;
    for (simdjson::dom::object item : (*page)->items) {
      uint64_t published = number_of(item, "published");
      ChannelRow row{std::string(text_of(item, "name")), number_of(item, "members"),
                     number_of(item, "subscribers")};
      row.per_s = rate(walk, row.name, published);
      ++ranks.channels;
      keep_best(ranks.by_members, row, rows,
                [](const ChannelRow& r) { return r.members + r.subscribers; });
      if (row.per_s > 0)
        keep_best(ranks.by_rate, row, rows, [](const ChannelRow& r) { return r.per_s; });
      walk.published[std::move(row.name)] = published;
    }
  }
  ranks.more = pages.more();
  ranks.incomplete = pages.incomplete();
  walk.complete = !ranks.more && !ranks.incomplete;
  before_ = std::move(walk);
  return ranks;
}

}  // namespace holdfast::ctl
