// worker/api/strangers.h - API connections that have not yet shown a token, on listeners that ask for one, or whose TLS hand-shake
// is under way.
//
// They are all of this worker's, over all its API listeners. Of one address there are at most kMaxOfAddress: the newcomer
// is refused. Altogether there are at most kMax: the one that has been a stranger longest is ended, so that many addresses
// cannot keep out a caller that has a token. Both are counted as api.address_connections.
// A connection leaves when it becomes known, or goes. Listeners without token and without TLS have no strangers.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <map>

namespace holdfast {

class ApiConnection;

class Strangers {
 public:
  static constexpr unsigned kMaxOfAddress = 256;
  static constexpr unsigned kMax = 2'048;

  // A whole IPv4 address, or the first 64 bits of an IPv6 one; kNowhere: a unix socket, which has no bound of its own.
  using Key = uint64_t;
  static constexpr Key kNowhere = 0;
  static Key key_of(const in6_addr& address);

  // The number is the connection's place, for leave(); 0: its address has too many. `ended`: the one that has to go for it, or null.
  uint64_t enter(Key address, ApiConnection& connection, ApiConnection** ended);
  void leave(uint64_t place);
  size_t size() const { return in_order_.size(); }

 private:
  struct Entry {
    ApiConnection* connection;
    Key address;
  };
  // Ordered maps, and no hash for which strangers could choose addresses.
  std::map<uint64_t, Entry> in_order_;
  std::map<Key, unsigned> of_address_;
  uint64_t last_place_ = 0;
};

}  // namespace holdfast
