#include "master/generation.h"

#include <fmt/format.h>

namespace holdfast::master {

std::string builtin_api_path(const conf::Server& server) {
  return server.runtime_dir + "/api.sock";
}

Result<void> add_builtin_api(conf::Config& config) {
  std::string path = builtin_api_path(config.server);
  auto address = conf::parse_address("unix:" + path);
  if (!address)
    return Error{Errc::config, 0,
                 fmt::format("server.runtime_dir = \"{}\": too long for a unix socket ({})",
                             config.server.runtime_dir, path)};
  conf::Api api;
  api.address = *address;
  config.apis.push_back(std::move(api));
  return {};
}

}  // namespace holdfast::master
