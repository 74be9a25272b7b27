// master/listen_sockets.h - every listening socket of the instance: opened before a fork, kept open
// by the master.
//
// A *lane* is an ordinal 0..n-1. Each TCP address has one SO_REUSEPORT socket per lane; a unix
// address has one socket that all lanes share. Worker `ordinal` of `workers` accepts from lane L of
// an address if L % workers == ordinal.
//
// Who writes: the master. Workers inherit descriptors and close their copies when they stop
// accepting.
//
// Invariants
//   L1  Until a stop a lane once opened stays open while its address is configured, also when the
//       worker count shrinks: closing a SO_REUSEPORT socket resets the connections in its queue. The
//       lanes left over are served by the remaining workers.
//   L2  open() is all or nothing. The sockets that it opened go away again with roll_back() and stay
//       with commit().
//   L3  Sockets are found again across reloads by their configured text (port 0: by text, kind and
//       number among its like), so port 0 keeps its port.
//   L4  A unix socket's name is removed with its socket, and only if it still names that socket.
//
// After a crash of the master: workers drain and close their copies; the next master finds names
// that nobody answers at, or (take_over) ones that only the drainers of the killed master still
// answer at, and replaces them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "conf/config.h"
#include "master/master_record.h"
#include "worker/worker.h"

namespace holdfast::master {

// One [[listen]] or [[api]] of a configuration, as far as its sockets are concerned.
struct ListenPlace {
  const conf::Address* address;
  size_t index;  // in Config::listens or Config::apis
  bool is_api;
  bool is_builtin;  // the api for holdfastctl: mode 0600
  unsigned backlog;
  std::string kind;  // "websocket", "tcp", "api http"
  std::string key;   // L3
};
std::vector<ListenPlace> places_of(const conf::Config& config);

struct BoundListener {
  std::string kind;
  std::string address;  // the real one
  size_t lanes;
};

class ListenSockets {
 public:
  ListenSockets() = default;
  ListenSockets(const ListenSockets&) = delete;
  ListenSockets& operator=(const ListenSockets&) = delete;
  ~ListenSockets();  // L4

  // Between two images of the master. Only committed lanes; restored once, into an empty object.
  std::vector<PointRecord> save() const;
  void restore(const std::vector<PointRecord>& records);

  struct Options {
    bool take_over = false;  // see "after a crash"
    std::optional<std::pair<uid_t, gid_t>> unix_owner =
        {};  // of unix sockets other than the built-in one
  };
  // Opens the sockets that `config` needs and that are not open yet, one lane per worker. The error
  // names the key and the address. // L2
  Result<void> open(const conf::Config& config, const Options& options);
  void roll_back();
  // Keeps the sockets of open(), and sets the backlogs of older ones as `config` says.
  void commit(const conf::Config& config);

  // The sockets that worker `ordinal` of this configuration accepts from. Every address of it is open.
  std::vector<InheritedListener> share_of(const conf::Config& config, unsigned ordinal) const;
  // Closes (and unlinks) the sockets of addresses that `config` does not name. Only when nobody
  // accepts from them any more. Returns how many addresses that were.
  size_t close_unused(const conf::Config& config);
  bool has_unused(const conf::Config& config) const;

  // Closes (and unlinks) everything: the instance stops. Workers still have their copies, and the
  // last close ends a queue. Nothing is opened, and no worker started, afterwards.
  void close_all();

  std::vector<BoundListener> bound(const conf::Config& config) const;
  // In a worker: closes every descriptor that is not in `keep`, and forgets the names.
  void close_in_child(const std::vector<InheritedListener>& keep);

 private:
  struct Point {
    std::string key;
    std::vector<UniqueFd> lanes;
    std::string unix_path;  // "" for TCP
    dev_t device = 0;       // of the name, to recognise it   // L4
    ino_t inode = 0;
    size_t committed = 0;  // lanes that were there before the last open()
  };

  Point* find(const std::string& key);
  const Point* find(const std::string& key) const;
  Result<void> probe(const std::vector<ListenPlace>& places) const;
  Result<void> open_place(const ListenPlace& place, unsigned lanes, const Options& options);
  Result<void> open_lanes(Point& point, const ListenPlace& place, unsigned lanes);
  Result<void> open_name(Point& point, const ListenPlace& place, const Options& options);
  bool holds_port(uint16_t port) const;
  static void remove_name(const Point& point);

  std::vector<Point> points_;
};

}  // namespace holdfast::master
