// worker/clients/entrance.h - a client's way in, from accept until its session opens or it has been refused: the PROXY header and the
// admission of its address. A client that asks by HTTP has an Upgrade (upgrade.h), which is one and reads the request, too.
//
// Owner: its Client, which has one from start() on, but for framed TCP without TLS and without a PROXY header, whose session is
// created at once.
// Invariants
//   I1  What `origin` counts for its address is given back by leave(), unless a session has taken it over (kNoPlace).
//   I2  A function that admits, answers or opens may end the entrance (Client::leave_entrance()): nothing of it is touched afterwards
//       unless the function says that it goes on.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "shm/session_directory.h"
#include "worker/clients/admission.h"
#include "worker/clients/record.h"

namespace holdfast {

class Client;

class Entrance {
 public:
  Entrance(Client& client, const shm::SessionOrigin& origin) : client_(client), origin_(origin) {}
  Entrance(const Entrance&) = delete;
  Entrance& operator=(const Entrance&) = delete;
  virtual ~Entrance() = default;

  // Counts the address. False: it has been refused, with an answer if `can_tell`. Before a TLS hand-shake there is none: the
  // limit saves that.
  bool admit(bool can_tell, Admission::Who who = Admission::Who::client);
  // Bytes of a PROXY header, and those after it; Client::proceed() when it is whole.
  void take_proxy_header(std::string_view bytes);
  // It ends: what is counted for the client from now on is its session's, or nobody's. Not in the destructor, for an entrance
  // that has moved to a successor ends here without it.
  virtual void leave();

  shm::SessionOrigin& origin() { return origin_; }
  // The bytes after a PROXY header or a request, for the session's codec.
  void keep_early(std::string_view bytes) { early_ = bytes; }
  std::string take_early() { return std::move(early_); }

  // Handover; of a record of another wire nothing is used.
  virtual void save(handover::ClientRecord& record) const;
  virtual void restore(handover::ClientRecord& record);

 protected:
  Client& client() { return client_; }
  const Client& client() const { return client_; }

 private:
  void turn_away(Admission::Verdict why);

  Client& client_;
  shm::SessionOrigin origin_;
  std::string early_;     // proxied: the bytes so far; later: those after the request
  bool refused_ = false;  // answered that its address has too many connections
};

}  // namespace holdfast
