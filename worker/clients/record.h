// worker/clients/record.h - a client's connection, as it travels to a successor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "shm/session_directory.h"
#include "wire/tcp/record.h"
#include "wire/ws/record.h"
#include "worker/net/output_record.h"
#include "worker/net/tls/record.h"

namespace holdfast::handover {

struct OriginRecord {
  uint8_t peer[16]{};  // network order
  uint16_t port = 0;
  uint32_t address_place = shm::kNoPlace;
};
template <class Archive>
void fields(Archive& a, OriginRecord& r) {
  auto& [peer, port, address_place] = r;
  a(1, peer);
  a(2, port);
  a(3, address_place);
}

// A client: one descriptor.
struct ClientRecord {
  uint16_t listener = 0;    // index in the predecessor's Config::listens
  uint8_t phase = 0;        // Client::Phase
  uint64_t session_hi = 0;  // 0: it has no session
  uint64_t session_lo = 0;
  OriginRecord origin;
  OutputRecord output;
  std::string handshake;  // bytes that bring a fresh reader to where this one stands
  std::string key;        // of a hand-shake that is whole and waits for its answer
  std::string early;      // what came behind its request
  std::optional<ws::DecoderRecord> decoder;
  std::optional<tcp::FramerRecord> framer;
  uint64_t last_in_ms = 0;
  uint64_t last_ping_ms = 0;
  uint64_t deadline_ms = 0;  // 0: none
  bool reading = false;
  bool slow = false;
  bool shut = false;
  std::optional<TlsRecord> tls;      // empty: it speaks without
  uint8_t deflate = 0;               // ws::DeflateTerms
  std::vector<std::string> offered;  // with key: subprotocols of the hand-shake
  std::string subprotocol;           // with key: what its answer will name
  std::string undecoded;             // what was read and has not been decoded, as it came
  // Its backend takes no more; where nothing is undecoded, `reading` says it.
  bool held_back = false;
  bool asks_resume = false;   // with key: the first message says what became of that
  std::string transport;      // "sse"; "": the one that the listener's protocol means
  std::string cors;           // until its answer: the origin of the page that asked (http/origin.h)
  bool named_events = false;  // with transport: as it has asked for
  std::string since;          // until its answer: the positions that it has named
  std::vector<std::string> followed;  // likewise: the channels for which that has been asked
  std::string positions;  // of several channels, up to which it has been sent their messages
};
template <class Archive>
void fields(Archive& a, ClientRecord& r) {
  auto& [listener, phase, session_hi, session_lo, origin, output, handshake, key, early, decoder,
         framer, last_in_ms, last_ping_ms, deadline_ms, reading, slow, shut, tls, deflate, offered,
         subprotocol, undecoded, held_back, asks_resume, transport, cors, named_events, since,
         followed, positions] = r;
  a(1, listener);
  a(2, phase);
  a(3, session_hi);
  a(4, session_lo);
  a(5, origin);
  a(6, output);
  a(7, handshake);
  a(8, early);
  a(9, decoder);
  a(10, framer);
  a(11, last_in_ms);
  a(12, last_ping_ms);
  a(13, deadline_ms);
  a(14, reading);
  a(15, slow);
  a(16, shut);
  a(17, key);
  a(18, tls);
  // Without it the client's next message would be a protocol error.
  a(19 | kNeeded, deflate);
  // Without it messages would be missing, and what follows begin in the middle of one.
  a(20 | kNeeded, undecoded);
  a(21, held_back);
  a(30, offered);
  a(31, subprotocol);
  a(32, asks_resume);
  // Without it frames would go into a stream of events.
  a(40 | kNeeded, transport);
  a(41, cors);
  a(42, named_events);
  a(43, since);
  a(44, followed);
  a(45, positions);
}

}  // namespace holdfast::handover
