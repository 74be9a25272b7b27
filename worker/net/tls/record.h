// worker/net/tls/record.h - what TLS adds to a connection, as it travels to a successor.
#pragma once

#include <string>

#include "base/fields.h"
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

}  // namespace holdfast::handover
