#include "master/listen_sockets.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "master/generation.h"
#include "master/socket_open.h"

namespace holdfast::master {
namespace {

constexpr unsigned kApiBacklog = 1024;
constexpr mode_t kListenerMode = 0660, kBuiltinMode = 0600;

std::string key_of(const ListenPlace& place, const std::vector<ListenPlace>& before) {
  if (place.address->is_unix() || place.address->port() != 0) return place.address->text;
  std::string stem = fmt::format("{} {}", place.is_api ? "api" : "listen", place.address->text);
  size_t number = 0;
  for (const ListenPlace& other : before)
    number += other.key == fmt::format("{} #{}", stem, number);
  return fmt::format("{} #{}", stem, number);
}

Error named(const ListenPlace& place, Error error) {
  error.what =
      fmt::format("{}[{}].address = {}", place.is_api ? "api" : "listen", place.index, error.what);
  return error;
}

const char* api_kind(conf::ApiProtocol protocol) {
  switch (protocol) {
    case conf::ApiProtocol::http:
      return "api http";
    case conf::ApiProtocol::resp:
      return "api resp";
    case conf::ApiProtocol::router:
      return "api router";
  }
  return "api";
}

}  // namespace

std::vector<ListenPlace> places_of(const conf::Config& config) {
  std::vector<ListenPlace> places;
  auto add = [&](ListenPlace place) {
    place.key = key_of(place, places);
    places.push_back(std::move(place));
  };
  for (size_t i = 0; i < config.listens.size(); ++i) {
    const conf::Listen& listen = config.listens[i];
    const char* kind = listen.protocol == conf::Protocol::websocket ? "websocket" : "tcp";
    add({&listen.address, i, false, false, listen.backlog, kind, {}});
  }
  for (size_t i = 0; i < config.apis.size(); ++i) {
    const conf::Address& address = config.apis[i].address;
    bool builtin = address.unix_path() == builtin_api_path(config.server);
    add({&address, i, true, builtin, kApiBacklog, api_kind(config.apis[i].protocol), {}});
  }
  return places;
}

ListenSockets::~ListenSockets() {
  close_all();
}

void ListenSockets::close_all() {
  for (const Point& point : points_) remove_name(point);
  points_.clear();
}

std::vector<PointRecord> ListenSockets::save() const {
  std::vector<PointRecord> records;
  for (const Point& point : points_) {
    PointRecord record{point.key, {}, point.unix_path, point.device, point.inode};
    for (size_t lane = 0; lane < point.committed; ++lane)
      record.lanes.push_back(point.lanes[lane].get());
    records.push_back(std::move(record));
  }
  return records;
}

void ListenSockets::restore(const std::vector<PointRecord>& records) {
  HF_CHECK(points_.empty());
  for (const PointRecord& record : records) {
    Point& point = points_.emplace_back(
        Point{record.key, {}, record.unix_path, record.device, record.inode, record.lanes.size()});
    for (int fd : record.lanes) point.lanes.emplace_back(fd);
  }
}

ListenSockets::Point* ListenSockets::find(const std::string& key) {
  auto at =
      std::find_if(points_.begin(), points_.end(), [&](const Point& p) { return p.key == key; });
  return at == points_.end() ? nullptr : &*at;
}
const ListenSockets::Point* ListenSockets::find(const std::string& key) const {
  return const_cast<ListenSockets*>(this)->find(key);
}

bool ListenSockets::holds_port(uint16_t port) const {
  return std::any_of(points_.begin(), points_.end(), [&](const Point& p) {
    return p.unix_path.empty() && !p.lanes.empty() && bound_port(p.lanes[0].get()) == port;
  });
}

// All probes come before the first socket of this call: "0.0.0.0:80" must not make "127.0.0.1:80"
// look taken. The same goes for a port that we hold already.
Result<void> ListenSockets::probe(const std::vector<ListenPlace>& places) const {
  for (const ListenPlace& place : places) {
    if (place.address->is_unix() || find(place.key) != nullptr || holds_port(place.address->port()))
      continue;
    auto free = probe_tcp(*place.address);
    if (!free) return named(place, std::move(free.error()));
  }
  return {};
}

Result<void> ListenSockets::open(const conf::Config& config, const Options& options) {
  for (Point& point : points_) point.committed = point.lanes.size();
  std::vector<ListenPlace> places = places_of(config);
  if (!options.take_over) {
    auto free = probe(places);
    if (!free) return free;
  }
  for (const ListenPlace& place : places) {
    auto opened = open_place(place, config.server.workers, options);
    if (!opened) {
      roll_back();
      return named(place, std::move(opened.error()));
    }
  }
  return {};
}

Result<void> ListenSockets::open_place(const ListenPlace& place, unsigned lanes,
                                       const Options& options) {
  Point* point = find(place.key);
  if (point == nullptr) {
    points_.push_back(Point{place.key, {}, {}, 0, 0, 0});
    point = &points_.back();
  }
  return place.address->is_unix() ? open_name(*point, place, options)
                                  : open_lanes(*point, place, lanes);
}

Result<void> ListenSockets::open_lanes(Point& point, const ListenPlace& place, unsigned lanes) {
  while (point.lanes.size() < lanes) {
    uint16_t port = point.lanes.empty() ? uint16_t(0) : bound_port(point.lanes[0].get());
    auto fd = open_tcp(*place.address, port, place.backlog);
    if (!fd) return std::move(fd.error());
    point.lanes.push_back(*std::move(fd));
  }
  return {};
}

Result<void> ListenSockets::open_name(Point& point, const ListenPlace& place,
                                      const Options& options) {
  if (!point.lanes.empty()) return {};
  std::string path = place.address->unix_path();
  // The built-in api lies in our own runtime directory, whose pid file we have locked: who still
  // answers there is a drainer of a former master.
  auto fd = open_unix(
      path, place.backlog,
      {place.is_builtin ? kBuiltinMode : kListenerMode, options.take_over || place.is_builtin});
  if (!fd) return std::move(fd.error());
  struct stat name {};
  if (stat(path.c_str(), &name) != 0)
    return Error{Errc::io, errno, fmt::format("unix:{}: stat", path)};
  point.lanes.push_back(*std::move(fd));
  point.unix_path = path;
  point.device = name.st_dev;
  point.inode = name.st_ino;
  if (options.unix_owner && !place.is_builtin &&
      chown(path.c_str(), options.unix_owner->first, options.unix_owner->second) != 0)
    return Error{Errc::io, errno, fmt::format("unix:{}: chown", path)};
  return {};
}

void ListenSockets::roll_back() {
  for (Point& point : points_) {
    if (point.committed == 0) remove_name(point);
    point.lanes.resize(point.committed);
  }
  std::erase_if(points_, [](const Point& point) { return point.lanes.empty(); });
}

void ListenSockets::commit(const conf::Config& config) {
  for (const ListenPlace& place : places_of(config)) {
    Point* point = find(place.key);
    HF_CHECK(point != nullptr);
    // A second listen(2) only sets the backlog; on a listening socket it cannot fail.
    for (const UniqueFd& fd : point->lanes) listen(fd.get(), int(place.backlog));
  }
  for (Point& point : points_) point.committed = point.lanes.size();
}

std::vector<InheritedListener> ListenSockets::share_of(const conf::Config& config,
                                                       unsigned ordinal) const {
  std::vector<InheritedListener> share;
  for (const ListenPlace& place : places_of(config)) {
    const Point* point = find(place.key);
    HF_CHECK(point != nullptr);
    for (size_t lane = 0; lane < point->lanes.size(); ++lane)
      if (place.address->is_unix() || lane % config.server.workers == ordinal)  // L1
        share.push_back({point->lanes[lane].get(), place.index, place.is_api});
  }
  return share;
}

size_t ListenSockets::close_unused(const conf::Config& config) {
  std::vector<ListenPlace> places = places_of(config);
  return std::erase_if(points_, [&](const Point& point) {
    for (const ListenPlace& place : places)
      if (place.key == point.key) return false;
    remove_name(point);
    return true;
  });
}

bool ListenSockets::has_unused(const conf::Config& config) const {
  std::vector<ListenPlace> places = places_of(config);
  return std::any_of(points_.begin(), points_.end(), [&](const Point& point) {
    return std::none_of(places.begin(), places.end(),
                        [&](const ListenPlace& p) { return p.key == point.key; });
  });
}

std::vector<BoundListener> ListenSockets::bound(const conf::Config& config) const {
  std::vector<BoundListener> list;
  for (const ListenPlace& place : places_of(config)) {
    const Point* point = find(place.key);
    HF_CHECK(point != nullptr);
    list.push_back({place.kind, bound_address(point->lanes[0].get()), point->lanes.size()});
  }
  return list;
}

void ListenSockets::close_in_child(const std::vector<InheritedListener>& keep) {
  for (Point& point : points_) {
    point.unix_path.clear();
    for (UniqueFd& fd : point.lanes) {
      bool kept =
          std::any_of(keep.begin(), keep.end(), [&](const auto& k) { return k.fd == fd.get(); });
      if (kept)
        (void)fd.release();  // the worker's from now on
      else
        fd.reset();
    }
  }
}

void ListenSockets::remove_name(const Point& point) {
  if (point.unix_path.empty()) return;
  struct stat name {};
  if (stat(point.unix_path.c_str(), &name) == 0 && name.st_dev == point.device &&
      name.st_ino == point.inode)
    unlink(point.unix_path.c_str());
}

}  // namespace holdfast::master
