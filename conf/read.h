// conf/read.h - the sections of a configuration, one reader each. Private to conf/.
//
// load.cc calls them in this order; a reader may use the values that the ones before it stored. If a
// value was wrong, the default stands in its place, so later checks still make sense.
#pragma once

#include <string>
#include <vector>

#include "conf/config.h"
#include "conf/load.h"
#include "conf/report.h"
#include "conf/table.h"

namespace holdfast::conf {

// An address somebody will bind, and where it was written.
struct Bound {
  Address address;
  Place place;
  std::string key;  // "listen[0].address"
};

struct Reading {
  Config& config;
  Report& report;
  std::string folder;  // absolute: relative paths begin here
  Machine machine = Machine::any;
  std::vector<Bound> bound;  // filled by read_listens() and read_apis()

  std::string resolve(const std::string& path) const;
};

void read_server(Table& root, Reading& reading);         // [server]
void read_log(Table& root, Reading& reading);            // [log]
void read_limits(Table& root, Reading& reading);         // [limits]
void read_backends(Table& root, Reading& reading);       // [backend.NAME]
void read_listens(Table& root, Reading& reading);        // [[listen]]
void read_apis(Table& root, Reading& reading);           // [[api]]
void read_channel_rules(Table& root, Reading& reading);  // [[channel]]
void check_bound_once(Reading& reading);

// Shared by the readers.
// A required "address" of `table`.
bool read_address(Table& table, Address& out);
// An optional key that must be an absolute path.
bool read_absolute(Table& table, std::string_view key, std::string& out);
void read_framing(Table& listen, Listen& out);
void read_connect_token(Table& listen, Listen& out, const Reading& reading);
// Checks that this machine has server.user and a folder for log.target.
void check_user(Table& server, const std::string& user);
void check_log_target(Table& log, const std::string& target);
void read_tokens(Table& api, Api& out, const Reading& reading);
// The optional "slow_consumer" of `table`.
void read_slow_consumer(Table& table, SlowConsumer& out);
// The optional "tls" of `table`.
void read_tls(Table& table, std::vector<Certificate>& out, const Reading& reading);
void read_client_ca(Table& api, Api& out, const Reading& reading);
void read_tls_groups(Table& server, Server& out);

inline constexpr uint64_t kSecond = 1000;
inline constexpr uint64_t kHour = 3600 * kSecond;
inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

}  // namespace holdfast::conf
