#include "master/listeners_file.h"

#include "base/log.h"
#include "master/runtime_dir.h"

namespace holdfast::master {

std::string listeners_path(const conf::Server& server) {
  return server.runtime_dir + "/listeners";
}

Result<void> publish_listeners(const ListenSockets& sockets, const conf::Config& config) {
  std::string text;
  for (const BoundListener& one : sockets.bound(config)) {
    log_info("listening address={} kind=\"{}\" lanes={}", one.address, one.kind, one.lanes);
    text += fmt::format("{} {}\n", one.kind, one.address);
  }
  return write_whole_file(listeners_path(config.server), text);
}

}  // namespace holdfast::master
