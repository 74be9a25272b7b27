#include "worker/channels/rules.h"

#include <algorithm>

#include "base/glob.h"

namespace holdfast {

const conf::ChannelRule* rule_for(const std::vector<conf::ChannelRule>& rules,
                                  std::string_view channel) {
  auto found = std::find_if(rules.begin(), rules.end(), [&](const conf::ChannelRule& rule) {
    return glob_match(rule.pattern, channel);
  });
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace holdfast
