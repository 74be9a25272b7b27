// worker/backends/fcgi/carrier.h - the AppCarrier for FastCGI: parameters (params.h) and a pool of connections (pool.h).
#pragma once

#include <functional>
#include <string>

#include "worker/backends/app_carrier.h"
#include "worker/backends/fcgi/pool.h"
#include "worker/net/runtime.h"

namespace holdfast::fcgi {

class Carrier final : public AppCarrier {
 public:
  // As Pool's.
  Carrier(const Runtime& runtime, const conf::Backend& conf, Pool::Share share,
          std::function<bool()> others_waiting);
  void look_up_with(Lookups& lookups) { pool_.look_up_with(lookups); }

  std::string session_facts(const Session& session, const Opening& opening) const override;
  std::string orphan_facts(const shm::SessionView& view) const override;
  void speak(std::string_view before, std::string_view chosen, std::string& facts) const override;
  size_t submit(AppRequest&& request) override;
  size_t queued() const override { return pool_.queued(); }
  void tick(uint64_t now_ms) override { pool_.tick(now_ms); }
  void keep_no_connections() override { pool_.keep_no_connections(); }
  void requeue_unread() override { pool_.settle(); }
  std::string save() const override;
  std::vector<std::pair<std::string, int>> carried() const override;
  bool restore(std::string_view record, AppCaller& caller) override;
  bool restore(std::string_view record, UniqueFd fd, AppCaller& caller) override;

 private:
  const conf::Backend& conf_;
  const std::string backend_params_;
  Pool pool_;
};

}  // namespace holdfast::fcgi
