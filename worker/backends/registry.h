// worker/backends/registry.h - the back ends of a worker, by name.
//
// The built-in ones are rows of a table (registry.cc); a configured one is made by its kind. Once made, a back end stays: sessions refer
// to it, also those that a predecessor's configuration has given to a name that ours lacks.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "worker/backends/resolver.h"
#include "worker/net/heritage.h"
#include "worker/routing/router.h"
#include "worker/sessions/backend.h"
#include "worker/sessions/table.h"

namespace holdfast {

class Backends {
 public:
  Backends(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Router& router);

  // Of a listener of our configuration.
  Backend& of(const conf::Listen& listen);
  const std::string& name_of(const Backend& backend) const;
  Backend* find(const std::string& name);  // null: there is none
  // One that our configuration may lack. `conf` outlives this.
  Backend& add(const conf::Backend& conf);
  Resolver& resolver() { return resolver_; }
  template <class F>
  void for_each(F&& f) {
    for (auto& [name, backend] : by_name_) f(name, *backend);
  }

 private:
  std::unique_ptr<Backend> make(const conf::Backend& conf);

  Runtime& runtime_;
  const Heritage& heritage_;
  Sessions& sessions_;
  Router& router_;
  Resolver resolver_;  // before those who ask
  std::map<std::string, std::unique_ptr<Backend>> by_name_;
};

}  // namespace holdfast
