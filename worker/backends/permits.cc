#include "worker/backends/permits.h"

#include <algorithm>

#include "wire/http/request.h"
#include "worker/channels/hub.h"
#include "worker/channels/rules.h"
#include "worker/routing/command.h"

namespace holdfast {

Permit permit_for(const conf::Config& config, const Session& session, std::string_view channel,
                  bool may_ask) {
  const conf::ChannelRule* rule = rule_for(config.channels, channel);
  if (rule == nullptr || !rule->subscribe) return {Entry::free};
  switch (*rule->subscribe) {
    case conf::Subscribe::anyone:
      return {Entry::let_in};
    case conf::Subscribe::token: {
      bool named = std::any_of(session.memberships.begin(), session.memberships.end(),
                               [&](const auto& m) { return m.channel->name == channel; });
      return named ? Permit{Entry::let_in} : Permit{Entry::kept_out, "token"};
    }
    case conf::Subscribe::backend:
      return may_ask ? Permit{Entry::ask} : Permit{Entry::kept_out, "backend"};
    case conf::Subscribe::nobody:
      break;
  }
  return {Entry::kept_out, "nobody"};
}

std::vector<std::string> ruled_channels(const conf::Config& config, const http::Request& request,
                                        size_t most) {
  std::vector<std::string> ruled;
  auto named = http::query_values(request.query(), "channel");
  if (!named) return ruled;
  for (std::string& channel : *named) {
    if (ruled.size() > most) break;
    const conf::ChannelRule* rule = rule_for(config.channels, channel);
    bool known = std::find(ruled.begin(), ruled.end(), channel) != ruled.end();
    if (rule != nullptr && rule->subscribe && valid_channel(channel) && !known)
      ruled.push_back(std::move(channel));
  }
  return ruled;
}

bool may_publish(const conf::ChannelRule* rule) {
  return rule == nullptr || rule->publish != conf::ClientPublish::nobody;
}

}  // namespace holdfast
