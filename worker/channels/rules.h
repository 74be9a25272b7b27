// worker/channels/rules.h - what the configuration says of a channel's name.
#pragma once

#include <string_view>
#include <vector>

#include "conf/config.h"

namespace holdfast {

// The first whose pattern matches; null: none does. At most 64 of them are tried (conf/read_channel.cc).
const conf::ChannelRule* rule_for(const std::vector<conf::ChannelRule>& rules,
                                  std::string_view channel);

}  // namespace holdfast
