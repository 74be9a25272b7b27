// holdfast-guard WORKLOAD - the inside of a worker at a fixed piece of work, for tests/guard/run.py to count its instructions
// under callgrind. Only what guarded_turn() does is counted: what a worker does in its turns, system calls left out. All
// is in one process and in a fixed order, so the count hardly depends on the machine.
//
//   echo    16 WebSockets, 500 rounds of a 128-byte message from each, sent back
//   fanout  48 members of a channel, 500 published messages of 128 bytes
//   push    200 pipelines of 64 HF.SEND to 32 sessions over one RESP connection
//   post    the same by POST /v1/send over one HTTP connection
#include <cstdio>
#include <cstring>

#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/api/connection.h"
#include "worker/api/http/face.h"
#include "worker/api/resp/face.h"
#include "worker/backends/builtin.h"

namespace holdfast::test {

// What comes in the first turn leaves in the second; a pipeline takes some more.
extern "C" [[gnu::noinline]] void guarded_turn(Room& room) {
  for (int turn = 0; turn < 4; ++turn) room.turn();
}

namespace {

const std::string kPayload(128, 'x');

struct Place {
  Instance instance;
  Room room{instance};
  EchoBackend echo{room.runtime, room.sessions};
  std::vector<Peer> peers;

  explicit Place(unsigned clients) {
    room.web.ping_interval_ms = room.web.idle_timeout_ms = 0;
    for (unsigned i = 0; i < clients; ++i) {
      peers.push_back(room.connect(room.web, echo));
      shake_hands(peers.back());
      for (int turn = 0; turn < 4; ++turn) room.turn();
      HF_CHECK(behind_101(peers.back()).empty());
    }
  }

  // Reads away what has come; how much it was.
  size_t drain() {
    char bytes[65536];
    size_t sum = 0;
    for (Peer& peer : peers)
      for (ssize_t got; (got = recv(peer.fd(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
        sum += size_t(got);
    return sum;
  }
};

size_t echo() {
  Place place(16);
  std::string message = frame(1, kPayload);
  size_t received = 0;
  for (int round = 0; round < 500; ++round) {
    for (Peer& peer : place.peers) peer.send(message);
    guarded_turn(place.room);
    received += place.drain();
  }
  return received;
}

size_t fanout() {
  Place place(48);
  place.room.sessions.for_each_live(
      [&](Session& session) { place.room.sessions.join(session, "news"); });
  Command publish;
  publish.op = Op::publish;
  publish.channels = {"news"};
  publish.data = kPayload;
  size_t received = 0;
  for (int round = 0; round < 500; ++round) {
    place.room.execute(publish);
    guarded_turn(place.room);
    received += place.drain();
  }
  return received;
}

// 200 pipelines of 64 sends to 32 sessions over one connection.
template <class Face>
size_t push(std::string (*request_for)(const std::string& session), std::string_view good) {
  Place place(32);
  conf::Api conf;
  ApiHome home{place.room.runtime,
               place.room.connections,
               {&place.room.config, &conf, &place.instance.segment, 0, &place.room.router,
                &place.room.runtime.stats, &place.room.runtime.draining, &place.room.hub,
                &place.room.tracer},
               [](const api::ApiContext& context, api::Wire& wire) -> std::unique_ptr<api::Face> {
                 return std::make_unique<Face>(context, wire);
               }};
  auto [near, far] = socket_pair();
  auto connection = std::make_unique<ApiConnection>(home, std::move(near));
  ApiConnection& started = *connection;
  place.room.connections.add(std::move(connection));
  started.start();
  std::string pipeline;
  std::vector<std::string> ids;
  place.room.sessions.for_each_live([&](Session& session) { ids.push_back(session.id.hex()); });
  for (size_t i = 0; i < 64; ++i) pipeline += request_for(ids[i % ids.size()]);
  Peer pusher(std::move(far), nullptr);
  size_t received = 0;
  for (int round = 0; round < 200; ++round) {
    pusher.send(pipeline);
    guarded_turn(place.room);
    received += place.drain();
    (void)pusher.received();
  }
  for (size_t answer = 0, at = 0; answer < size_t{200} * 64; ++answer, ++at)
    HF_CHECK((at = pusher.received().find(good, at)) != std::string::npos);
  place.room.connections.clear();  // before their home
  return received;
}

std::string resp_send(const std::string& session) {
  return fmt::format("*3\r\n$7\r\nHF.SEND\r\n$32\r\n{}\r\n${}\r\n{}\r\n", session, kPayload.size(),
                     kPayload);
}

std::string http_send(const std::string& session) {
  std::string body = fmt::format(R"({{"sessions":["{}"],"data":"{}"}})", session, kPayload);
  return fmt::format(
      "POST /v1/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

size_t push_by_resp() {
  return push<api::RespFace>(resp_send, ":1\r\n");
}
size_t push_by_http() {
  return push<api::HttpFace>(http_send, "HTTP/1.1 200");
}

}  // namespace
}  // namespace holdfast::test

int main(int argc, char** argv) {
  using namespace holdfast::test;
  constexpr size_t kFrame = 2 + 2 + 128;  // 128 bytes need a longer head
  struct Workload {
    const char* name;
    size_t (*run)();
    size_t messages;
  };
  for (const Workload& work :
       {Workload{"echo", echo, 16 * 500}, Workload{"fanout", fanout, 48 * 500},
        Workload{"push", push_by_resp, 64 * 200}, Workload{"post", push_by_http, 64 * 200}}) {
    if (argc != 2 || std::strcmp(argv[1], work.name) != 0) continue;
    size_t received = work.run();
    std::printf("%s: %zu of %zu bytes\n", work.name, received, work.messages * kFrame);
    return received == work.messages * kFrame ? 0 : 1;
  }
  std::fprintf(stderr, "usage: holdfast-guard echo|fanout|push|post\n");
  return 2;
}
