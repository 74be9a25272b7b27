#include "master/generation.h"

#include <fmt/format.h>

#include "conf/load.h"

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

GenerationRecord record_of(const Generation& generation, bool current) {
  conf::Config config = generation.config;
  config.apis.pop_back();  // the built-in one
  return {generation.number, current, config.file, conf::print_config(config)};
}

Result<Generation> generation_of(const GenerationRecord& record) {
  conf::Loaded loaded = conf::load_text(record.toml, record.file);
  if (!loaded)
    return Error{Errc::config, 0,
                 "the configuration that runs is not understood: " + loaded.problems[0].text()};
  auto rights = rights_for(loaded.config.server.user);
  if (!rights) return std::move(rights.error());
  auto added = add_builtin_api(loaded.config);
  if (!added) return std::move(added.error());
  return Generation{record.number, std::move(loaded.config), *std::move(rights)};
}

}  // namespace holdfast::master
