#include "ctl/top.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/table.h"
#include "ctl/units.h"
#include "ctl/watch.h"

namespace holdfast::ctl {
namespace {

constexpr size_t kRowsWithoutScreen = 10;
constexpr size_t kHeadLines = 3;  // of a look
constexpr size_t kListLines = 2;  // of a list besides its rows: the heading and an empty line
// A question to the workers takes up to two seconds where one of them hangs.
constexpr uint64_t kTopTimeoutMs = 3'000;

std::string rate_cell(const TopLook& look, double per_second) {
  return look.interval_s > 0 ? short_rate(per_second) : "-";
}

std::string head(const TopLook& look) {
  const SessionRanks& s = look.sessions;
  std::string out = fmt::format("{}   {}", look.instance, human_wall_ms(look.wall_ms));
  if (!look.master_alive) out += "   the master is dead";
  out += fmt::format("\nsessions {}   unsent {}   in {}/s   out {}/s", human_count(s.sessions),
                     short_bytes(s.unsent_bytes), rate_cell(look, s.in_per_s),
                     rate_cell(look, s.out_per_s));
  if (look.channels)
    out += fmt::format("   channels {}{}", human_count(look.channels->channels),
                       look.channels->more ? "+" : "");
  return out + "\n\n";
}

std::string sessions_table(const TopLook& look, const std::vector<SessionRow>& rows, size_t shown,
                           const char* title, const Style& style) {
  Table table({{fmt::format("{:<32}", title)},  // as wide as an id, also where there is none
               {"UNSENT", Align::right},
               {"IN/S", Align::right},
               {"OUT/S", Align::right},
               {"WORKER", Align::right},
               {"USER", Align::left, 4}});
  for (size_t i = 0; i < std::min(shown, rows.size()); ++i) {
    const SessionRow& row = rows[i];
    table.row({row.id.hex(), short_bytes(row.unsent_bytes), rate_cell(look, row.in_per_s),
               rate_cell(look, row.out_per_s), std::to_string(row.worker),
               row.user.empty() ? "-" : printable(row.user)});
  }
  return table.text(style);
}

std::string channels_table(const TopLook& look, const std::vector<ChannelRow>& rows, size_t shown,
                           const char* title, const Style& style) {
  Table table({{"MEMBERS", Align::right},
               {"SUBSCRIBERS", Align::right},
               {"MESSAGES/S", Align::right},
               {title, Align::left, 8}});
  for (size_t i = 0; i < std::min(shown, rows.size()); ++i) {
    const ChannelRow& row = rows[i];
    table.row({human_count(row.members), human_count(row.subscribers), rate_cell(look, row.per_s),
               printable(row.name)});
  }
  return table.text(style);
}

// Why a ranking of channels is not all there is to know.
std::string channels_note(const TopLook& look) {
  if (!look.channels) return "channels: " + printable(look.channels_error) + "\n";
  if (look.channels->more)
    return fmt::format("only the first {} channels by name were looked at\n",
                       human_count(ChannelRanks::kMost));
  return look.channels->incomplete ? "channels: not every worker has answered in time\n" : "";
}

void write_session_rows(Json& json, const char* key, const std::vector<SessionRow>& rows) {
  json.key(key).begin_array();
  for (const SessionRow& row : rows) {
    json.begin_object().member("session", row.id.hex()).member("user", row.user);
    json.member("worker", uint64_t{row.worker}).member("unsent_bytes", row.unsent_bytes);
    json.member("in_per_s", row.in_per_s).member("out_per_s", row.out_per_s).end_object();
  }
  json.end_array();
}

void write_channel_rows(Json& json, const char* key, const std::vector<ChannelRow>& rows) {
  json.key(key).begin_array();
  for (const ChannelRow& row : rows) {
    json.begin_object().member("name", row.name).member("members", row.members);
    json.member("subscribers", row.subscribers).member("published_per_s", row.per_s).end_object();
  }
  json.end_array();
}

void write_channels(Json& json, const TopLook& look) {
  json.key("channels").begin_object();
  if (look.channels) {
    json.member("seen", look.channels->channels).member("more", look.channels->more);
    json.member("partial", look.channels->incomplete);
    write_channel_rows(json, "by_members", look.channels->by_members);
    write_channel_rows(json, "by_rate", look.channels->by_rate);
  } else {
    json.member("error", look.channels_error);
  }
  json.end_object();
}

// Takes looks at an instance, one after the other.
class Looker {
 public:
  explicit Looker(const Options& options) : options_(options) {}

  Result<TopLook> look(size_t rows) {
    // Anew for every look: a restarted master has made another segment.
    Result<shm::Segment> segment = find_instance(options_);
    if (!segment) return segment.error();
    const shm::Header& header = segment->header();
    follow(header.started_wall_ms.load(std::memory_order_relaxed), *segment);
    TopLook look;
    look.instance = printable(field_text(header.instance, sizeof header.instance));
    look.master_alive = segment->master_alive();
    look.wall_ms = wall_ms();
    uint64_t now_ns = monotonic_ns();
    if (at_ns_ != 0) look.interval_s = double(now_ns - at_ns_) / 1e9;
    at_ns_ = now_ns;
    look.sessions = sessions_.look(*segment, now_ns, rows);
    add_channels(look, rows);
    return look;
  }

 private:
  // Counts of another life of the instance cannot be compared with ours.
  void follow(uint64_t started_wall_ms, const shm::Segment& segment) {
    if (channels_ && started_wall_ms == life_) return;
    life_ = started_wall_ms;
    at_ns_ = 0;
    sessions_.forget();
    channels_.emplace(fetch_from(api_socket(segment), kTopTimeoutMs));
  }

  void add_channels(TopLook& look, size_t rows) {
    Result<ChannelRanks> ranks = channels_->look(monotonic_ns(), rows);
    if (ranks)
      look.channels = std::move(*ranks);
    else
      look.channels_error = ranks.error().text();
  }

  const Options& options_;
  SessionSampler sessions_;
  std::optional<ChannelSampler> channels_;
  uint64_t life_ = 0;
  uint64_t at_ns_ = 0;
};

}  // namespace

std::vector<size_t> share_rows(const std::vector<size_t>& wanted, size_t rows) {
  std::vector<size_t> given(wanted.size(), 0);
  for (bool more = true; more && rows > 0;) {
    more = false;
    for (size_t i = 0; i < wanted.size() && rows > 0; ++i) {
      if (given[i] == wanted[i]) continue;
      ++given[i];
      --rows;
      more = true;
    }
  }
  return given;
}

std::string top_text(const TopLook& look, const Style& style, size_t height) {
  static const ChannelRanks kNone;
  const SessionRanks& s = look.sessions;
  const ChannelRanks& c = look.channels ? *look.channels : kNone;
  std::vector<size_t> wanted{s.by_unsent.size(), s.by_rate.size(), c.by_members.size(),
                             c.by_rate.size()};
  std::string note = channels_note(look);
  // The last line of a screen is left to the cursor, and the last list has no empty line behind it.
  size_t fixed = kHeadLines + wanted.size() * kListLines + (note.empty() ? 0 : 1);
  std::vector<size_t> rows =
      share_rows(wanted, height == 0 ? SIZE_MAX : std::max(height, fixed) - fixed);
  return head(look) +
         sessions_table(look, s.by_unsent, rows[0], "SESSIONS BY UNSENT BYTES", style) + "\n" +
         sessions_table(look, s.by_rate, rows[1], "SESSIONS BY MESSAGES A SECOND", style) + "\n" +
         channels_table(look, c.by_members, rows[2], "CHANNELS BY MEMBERS", style) + "\n" +
         channels_table(look, c.by_rate, rows[3], "CHANNELS BY MESSAGES A SECOND", style) + note;
}

std::string top_json(const TopLook& look) {
  Json json;
  json.begin_object().member("instance", look.instance).member("at_ms", look.wall_ms);
  json.member("interval_s", look.interval_s).member("master_alive", look.master_alive);
  json.key("sessions").begin_object();
  json.member("online", look.sessions.sessions);
  json.member("unsent_bytes", look.sessions.unsent_bytes);
  json.member("in_per_s", look.sessions.in_per_s).member("out_per_s", look.sessions.out_per_s);
  write_session_rows(json, "by_unsent", look.sessions.by_unsent);
  write_session_rows(json, "by_rate", look.sessions.by_rate);
  json.end_object();
  write_channels(json, look);
  json.end_object();
  return json.line();
}

ExitCode run_top(const Options& options) {
  Watch watch(false, options.interval_ms, !options.json);
  Looker looker(options);
  uint64_t shown = 0;
  do {
    Screen screen = ctl::screen();
    bool fits = screen.terminal && screen.rows > 0;
    size_t rows = options.limit != 0 ? options.limit : fits ? screen.rows : kRowsWithoutScreen;
    Result<TopLook> look = looker.look(rows);
    if (!look) return fail_to_find(options, look.error());
    // The first look has no rates. It fills a screen until the second, but is none of those asked
    // for.
    bool first = look->interval_s == 0;
    if (first && !screen.terminal) continue;
    size_t height = fits && options.limit == 0 ? screen.rows : 0;
    if (first && options.json) continue;
    ExitCode printed =
        watch.show(options.json ? top_json(*look) : top_text(*look, screen.style, height));
    if (printed != kOk) return printed;
    shown += !first;
  } while ((options.looks == 0 || shown < options.looks) && watch.next());
  return kOk;
}

}  // namespace holdfast::ctl
