// master/commands.h - what an operator can ask of the master, by signal or through the control
// socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::master {

// The answer to the asker: "ok TEXT" or "error TEXT", then details, one a line.
struct Answer {
  bool ok;
  std::string text;
  std::vector<std::string> details;
};

// The party that waits for an answer: a client of the control socket; none for a signal.
using Asker = std::optional<uint64_t>;

class Commands {
 public:
  // Every outcome is logged; an asker gets it through ControlSocket::answer(), now or when it is
  // known.
  virtual void reload(Asker asker) = 0;
  virtual void upgrade(Asker asker) = 0;
  virtual Answer reopen_logs() = 0;
  virtual void stop_fast() = 0;
  virtual void stop_gracefully() = 0;

 protected:
  ~Commands() = default;
};

}  // namespace holdfast::master
