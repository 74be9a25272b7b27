// master/listeners_file.h - a file for people and tools with the addresses at which we really listen.
//
// RUNTIME_DIR/listeners has one line for each, in the configuration's order: "websocket
// 127.0.0.1:45123", "tcp 0.0.0.0:9005", "api http unix:/run/holdfast/api.sock". It is written
// before READY, anew at every reload, and removed at the end.
#pragma once

#include "conf/config.h"
#include "master/listen_sockets.h"

namespace holdfast::master {

std::string listeners_path(const conf::Server& server);
// Logs one line for each and writes the file.
Result<void> publish_listeners(const ListenSockets& sockets, const conf::Config& config);

}  // namespace holdfast::master
