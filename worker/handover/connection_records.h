// worker/handover/connection_records.h - what a client's connection and its session are made of, as they travel.
//
// Together with api_records.h and fcgi_records.h this is the one list of a live connection's state. What is
// not here is made anew by the successor from its configuration, or belongs to the slot and lies in the
// segment. Each fields() names every member, so that a new member that is not carried does not compile.
#pragma once

#include "base/fields.h"
#include "shm/session_directory.h"
#include "wire/ws/decoder.h"
#include "worker/net/tls/records.h"

namespace holdfast::tls {

template <class Archive>
void fields(Archive& a, Keys& r) {
  auto& [secret, key, iv, sequence] = r;
  a(1, secret);
  a(2, key);
  a(3, iv);
  a(4, sequence);
}
template <class Archive>
void fields(Archive& a, Secrets& r) {
  auto& [version, cipher, sha384, max_fragment, in, out] = r;
  a(1, version);
  a(2, cipher);
  a(3, sha384);
  a(4, in);
  a(5, out);
  // Without it the client would end the connection at the next long record.
  a(6 | handover::kNeeded, max_fragment);
}
template <class Archive>
void fields(Archive& a, RecordsState& r) {
  auto& [secrets, partial, quiet_until_ms, message, message_bytes, update_owed, update_asked] = r;
  a(1, secrets);
  a(2, partial);
  // 3 was a count of KeyUpdates without data.
  a(4, quiet_until_ms);
  a(5, message);
  a(6, message_bytes);
  a(7, update_owed);
  a(8, update_asked);
}

}  // namespace holdfast::tls

namespace holdfast::handover {

// A buffer of unsent output: its bytes, or the number of one that many connections share and that has been
// sent once for all of them (shelf.h).
struct BufferRecord {
  uint64_t shared = 0;  // 0: the bytes are here
  std::string bytes;
  uint64_t tag = 0;
};
template <class Archive>
void fields(Archive& a, BufferRecord& r) {
  auto& [shared, bytes, tag] = r;
  a(1, shared);
  a(2, bytes);
  a(3, tag);
}

// Unsent output of a connection.
struct OutputRecord {
  std::vector<BufferRecord> buffers;  // oldest first
  uint32_t sent = 0;                  // bytes of the first that are gone
  bool wrote = false;                 // some byte has been sent on this connection
  bool held = false;                  // waits for the hand-shake's answer
};
template <class Archive>
void fields(Archive& a, OutputRecord& r) {
  auto& [buffers, sent, wrote, held] = r;
  a(1, buffers);
  a(2, sent);
  a(3, wrote);
  a(4, held);
}

struct FramerRecord {
  std::string partial;
  uint8_t error = 0;  // tcp::FrameError
  bool done = false;
};
template <class Archive>
void fields(Archive& a, FramerRecord& r) {
  auto& [partial, error, done] = r;
  a(1, partial);
  a(2, error);
  a(3, done);
}

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

// What TLS adds to a client.
struct TlsRecord {
  tls::RecordsState records;
  std::string sealed;    // ciphertext that has not gone
  std::string unread;    // ciphertext that was kept while nothing was read
  bool counted = false;  // `sealed` is a part of bytes.unsent
};
template <class Archive>
void fields(Archive& a, TlsRecord& r) {
  auto& [records, sealed, unread, counted] = r;
  a(1, records);
  a(2, sealed);
  a(3, unread);
  a(4, counted);
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
  std::optional<FramerRecord> framer;
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
};
template <class Archive>
void fields(Archive& a, ClientRecord& r) {
  auto& [listener, phase, session_hi, session_lo, origin, output, handshake, key, early, decoder,
         framer, last_in_ms, last_ping_ms, deadline_ms, reading, slow, shut, tls, deflate, offered,
         subprotocol, undecoded, held_back] = r;
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
}

struct MembershipRecord {
  std::string channel;  // as the Hub names it: a user's begins with NUL
  bool from_url = false;
};
template <class Archive>
void fields(Archive& a, MembershipRecord& r) {
  auto& [channel, from_url] = r;
  a(1, channel);
  a(2, from_url);
}

// A session, with or without a client: its directory entry stays where it is.
struct SessionRecord {
  uint64_t id_hi = 0;
  uint64_t id_lo = 0;
  uint8_t phase = 0;     // SessionPhase
  uint8_t ended_by = 0;  // EndReason
  uint16_t ended_code = 0;
  uint16_t listener = 0;  // index in the predecessor's Config::listens
  uint32_t messages_in = 0;
  uint32_t messages_out = 0;
  std::string backend;        // its name
  std::string backend_state;  // a record of the backend's own
  std::string user;
  std::vector<std::pair<std::string, std::string>> data;
  std::vector<MembershipRecord> memberships;
  uint64_t expires_wall_s = 0;  // 0: never
};
template <class Archive>
void fields(Archive& a, SessionRecord& r) {
  auto& [id_hi, id_lo, phase, ended_by, ended_code, listener, messages_in, messages_out, backend,
         backend_state, user, data, memberships, expires_wall_s] = r;
  a(1, id_hi);
  a(2, id_lo);
  a(3, phase);
  a(4, ended_by);
  a(5, ended_code);
  a(6, listener);
  a(7, messages_in);
  a(8, messages_out);
  a(9, backend);
  a(10, backend_state);
  a(11, user);
  a(12, data);
  a(13, memberships);
  a(14, expires_wall_s);
}

}  // namespace holdfast::handover

namespace holdfast::ws {

template <class Archive>
void fields(Archive& a, DecoderState& r) {
  auto& [payload_left, key, head, head_bytes, frame, message, utf8, in_frame, fin, finished,
         deflated, skips] = r;
  a(1, payload_left);
  a(2, key);
  a(3, head);
  a(4, head_bytes);
  a(5, frame);
  a(6, message);
  a(7, utf8);
  a(8, in_frame);
  a(9, fin);
  a(10, finished);
  a(11, deflated);
  a(12, skips);
}
template <class Archive>
void fields(Archive& a, DecoderRecord& r) {
  auto& [state, message, control, window] = r;
  a(1, state);
  a(2, message);
  a(3, control);
  a(4, window);
}

}  // namespace holdfast::ws
