// worker/backends/lookups.h - a pool's interface to the resolver that looks up the names of its servers (worker/backends/resolver.h).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "conf/config.h"

namespace holdfast::fcgi {

class Lookups {
 public:
  class Asker {
   public:
    // Addresses with the port that was asked for, numeric, sorted, at most kMaxAddresses; none: the name has none, or nobody
    // could be asked. Never inside ask().
    virtual void on_addresses(size_t which, std::vector<conf::Address>&& found) = 0;

   protected:
    ~Asker() = default;
  };
  static constexpr size_t kMaxAddresses = 16;

  // `which`: the asker's own name for it. The asker lives until it is answered, or has called forget().
  virtual void ask(const std::string& name_and_port, Asker& asker, size_t which) = 0;
  virtual void forget(const Asker& asker) = 0;

 protected:
  ~Lookups() = default;
};

}  // namespace holdfast::fcgi
