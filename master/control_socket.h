// master/control_socket.h - RUNTIME_DIR/control.sock, at which holdfastctl asks the master
// (control_line.h has the words).
//
// Mode 0600: a user that may connect may also send signals. At most 16 clients; one that has not sent its
// request, or not taken its answer, within 5 s is closed. While an outcome is awaited (reload)
// there is no deadline here: the reload has one.
//
//   state      event                    -> state       action
//   (adopted)                           -> waiting     asked the former image of the master
//   reading    line complete            -> waiting     ask Commands
//   reading    unknown, too long        -> writing     error
//   reading    5 s, end of file, error  -> gone
//   waiting    answer()                 -> writing
//   waiting    client closes            -> gone        the command goes on
//   writing    all written, 5 s, error  -> gone
#pragma once

#include <list>
#include <memory>
#include <string>

#include "base/event.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"
#include "master/control_line.h"
#include "master/spawn.h"

namespace holdfast::master {

class ControlSocket : public MasterOnly {
 public:
  static constexpr size_t kMaxClients = 16;
  static constexpr uint64_t kPatienceMs = 5'000;

  // Replaces a left-over socket: the caller holds the runtime directory's lock, and removes the
  // name in the end.
  static Result<UniqueFd> open(const std::string& path);
  ControlSocket(Loop& loop, UniqueFd listener, Commands& commands);
  ~ControlSocket();

  // Between two images of the master: the asker that waits, and the listener. 0: it is gone.
  int fd_of(Asker asker) const;
  int listener() const { return listener_.get(); }
  Asker adopt(UniqueFd client);
  // Is somebody else in the middle of a request or an answer?
  bool quiet_but_for(Asker asker) const;

  // For the asker; nothing happens if it is gone, or was a signal.
  void answer(Asker asker, const Answer& answer);
  // Once a second: deadlines, and accepting again after descriptors had run out.
  void check(uint64_t now_ms);
  void close_in_child() override;

 private:
  class Client;
  void on_acceptable(short);
  void carry_out(Client& client, const std::string& line);
  void retire(Client& client);

  Loop& loop_;
  UniqueFd listener_;
  Commands& commands_;
  std::list<std::unique_ptr<Client>> clients_;
  uint64_t next_id_ = 1;
  LogGate accept_gate_;
  IoEvent acceptable_;
};

}  // namespace holdfast::master
