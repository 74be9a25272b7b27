// worker/api/homes.h - the listeners of the push API, each with what its connections share; and the table of its protocols.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "base/log.h"
#include "worker/api/home.h"
#include "worker/api/strangers.h"
#include "worker/net/heritage.h"
#include "worker/net/tls/contexts.h"
#include "worker/observe/tracer.h"
#include "worker/routing/push_router.h"

namespace holdfast {

class ApiHomes {
 public:
  ApiHomes(Runtime& runtime, const Heritage& heritage, Hub& hub, PushRouter& router, Tracer& tracer,
           ConnectionTable& connections, tls::Contexts& contexts)
      : runtime_(runtime),
        heritage_(heritage),
        hub_(hub),
        router_(router),
        tracer_(tracer),
        connections_(connections),
        contexts_(contexts),
        by_api_(runtime.config.apis.size()) {}

  ApiHome& at(size_t index);  // in Config::apis
  // By ApiHome::name, as a predecessor wrote it. Null: our configuration has no such listener.
  ApiHome* named(const std::string& name);
  // While held, no request is taken; settled: no answer is owed.
  void hold(bool on);
  bool settled() const;

 private:
  Runtime& runtime_;
  const Heritage& heritage_;
  Hub& hub_;
  PushRouter& router_;
  Tracer& tracer_;
  ConnectionTable& connections_;
  tls::Contexts& contexts_;
  LogGate complaints_;   // of router wire listeners
  Strangers strangers_;  // on all of them
  std::deque<ApiHome> homes_;
  std::vector<ApiHome*> by_api_;  // by index in Config::apis
};

}  // namespace holdfast
