// worker/backends/permits.h - which of the channels that its URL names a client is let into ([[channel]] subscribe, publish).
//
//   rule            the client is
//   none, or without subscribe   not this file's business: the relay lets it in, an application does not look at it
//   anyone          let in
//   token           let in if its token names the channel: it is a member then
//   backend         asked for by event `subscribe`, if the back end has that event
//   nobody          kept out
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "wire/http/request.h"
#include "worker/sessions/session.h"

namespace holdfast {

enum class Entry : uint8_t { free, let_in, ask, kept_out };  // free: no rule says anything

struct Permit {
  Entry entry;
  std::string_view reason = {};  // of kept_out, as the client is told
};

Permit permit_for(const conf::Config& config, const Session& session, std::string_view channel,
                  bool may_ask);
// Of the channels in its URL those for which there is a rule, each once; at most one more than `most`.
std::vector<std::string> ruled_channels(const conf::Config& config, const http::Request& request,
                                        size_t most);
// May clients of the relay publish to it?
bool may_publish(const conf::ChannelRule* rule);

}  // namespace holdfast
