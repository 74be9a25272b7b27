#include "worker/backends/registry.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "worker/backends/app_backend.h"
#include "worker/backends/builtin.h"
#include "worker/backends/fcgi/carrier.h"

namespace holdfast {
namespace {

struct BuiltIn {
  std::string_view name;
  std::unique_ptr<Backend> (*make)(Runtime& runtime, Sessions& sessions, Router& router);
};
constexpr BuiltIn kBuiltIn[] = {
    {"echo",
     [](Runtime& runtime, Sessions& sessions, Router&) -> std::unique_ptr<Backend> {
       return std::make_unique<EchoBackend>(runtime, sessions);
     }},
    {"relay",
     [](Runtime& runtime, Sessions& sessions, Router& router) -> std::unique_ptr<Backend> {
       return std::make_unique<RelayBackend>(runtime, sessions, router);
     }},
};

}  // namespace

Backends::Backends(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Router& router)
    : runtime_(runtime),
      heritage_(heritage),
      sessions_(sessions),
      router_(router),
      resolver_(runtime.loop, heritage.resolver, runtime.stats) {
  for (const BuiltIn& row : kBuiltIn)
    by_name_.emplace(row.name, row.make(runtime, sessions, router));
  for (const auto& [name, conf] : heritage.config->backends) add(conf);
}

std::unique_ptr<Backend> Backends::make(const conf::Backend& conf) {
  shm::Segment& segment = *heritage_.segment;
  auto others_waiting = [&segment] {
    for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
      if (segment.stats(slot).backend_waiting.get() > 0) return true;
    return false;
  };
  fcgi::Pool::Share share{std::max(1u, conf.max_connections / heritage_.worker_count),
                          std::max(1u, conf.queue / heritage_.worker_count)};
  auto carrier = std::make_unique<fcgi::Carrier>(runtime_, conf, share, others_waiting);
  carrier->look_up_with(resolver_);
  return std::make_unique<AppBackend>(runtime_, conf, share.queue, sessions_, router_,
                                      std::move(carrier));
}

Backend& Backends::add(const conf::Backend& conf) {
  return *by_name_.emplace(conf.name, make(conf)).first->second;
}

Backend* Backends::find(const std::string& name) {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second.get();
}

Backend& Backends::of(const conf::Listen& listen) {
  Backend* backend = find(listen.backend);
  HF_CHECK(backend != nullptr);  // the configuration was checked
  return *backend;
}

const std::string& Backends::name_of(const Backend& backend) const {
  auto it = std::find_if(by_name_.begin(), by_name_.end(),
                         [&](const auto& entry) { return entry.second.get() == &backend; });
  HF_CHECK(it != by_name_.end());
  return it->first;
}

}  // namespace holdfast
