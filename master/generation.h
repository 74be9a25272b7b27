// master/generation.h - one accepted configuration and the values the master derived from it.
//
// Made by start and reload, never changed afterwards. The master keeps it until the last worker
// that runs it is gone: a worker that crashes is respawned with the configuration it had.
#pragma once

#include <cstdint>

#include "conf/config.h"
#include "master/master_record.h"
#include "master/rights.h"

namespace holdfast::master {

struct Generation {
  uint32_t number;      // SlotHead::generation; published in the header once its workers serve
  conf::Config config;  // apis include the built-in one for holdfastctl
  Rights rights;

  unsigned workers() const { return config.server.workers; }
};

// The socket at which holdfastctl pushes: RUNTIME_DIR/api.sock.
std::string builtin_api_path(const conf::Server& server);
// Appends the built-in api (http, no tokens: the socket's mode 0600 guards it).
Result<void> add_builtin_api(conf::Config& config);

// Between two images of the master. The tokens and pages of a configuration are read anew.
GenerationRecord record_of(const Generation& generation, bool current);
// Errc::config: this version does not understand it.
Result<Generation> generation_of(const GenerationRecord& record);

}  // namespace holdfast::master
