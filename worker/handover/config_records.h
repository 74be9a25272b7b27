// worker/handover/config_records.h - listeners and backends of a configuration, as they travel with the sessions
// that came by them.
#pragma once

#include "base/fields.h"
#include "conf/config.h"

namespace holdfast::conf {

template <class Archive>
void fields(Archive& a, Framing& r) {
  auto& [kind, offset, size, big_endian, includes_header, strip, delimiter] = r;
  a(1, kind);
  a(2, offset);
  a(3, size);
  a(4, big_endian);
  a(5, includes_header);
  a(6, strip);
  a(7, delimiter);
}

template <class Archive>
void fields(Archive& a, PermessageDeflate& r) {
  auto& [level, min_size, client_no_context_takeover, client_max_window_bits] = r;
  a(1, level);
  a(2, min_size);
  a(3, client_no_context_takeover);
  a(4, client_max_window_bits);
}

// An address is its text.
template <class Archive>
void fields(Archive& a, Address& r) {
  a(1, r.text);
}

template <class Archive>
void fields(Archive& a, Network& r) {
  auto& [address, prefix] = r;
  a(1, address.s6_addr);
  a(2, prefix);
}

// A page, certificates and the key of tokens are for newcomers only.
template <class Archive>
void fields(Archive& a, Listen& r) {
  auto& [address, protocol, path, page, page_html, backend, origins, channels, subprotocols,
         streams, framing, ping_interval_ms, idle_timeout_ms, close_timeout_ms, send_queue,
         slow_consumer, backlog, max_pending, tls, proxies, proxies_unix, proxy_protocol, forwarded,
         token, permessage_deflate, resume_ms, resume_buffer] = r;
  static_cast<void>(page);
  static_cast<void>(page_html);
  static_cast<void>(tls);
  static_cast<void>(token);
  a(1, address);
  a(2, protocol);
  a(3, path);
  a(4, backend);
  a(5, origins);
  a(6, channels);
  a(7, framing);
  a(8, ping_interval_ms);
  a(9, idle_timeout_ms);
  a(10, close_timeout_ms);
  a(11, send_queue);
  a(12, slow_consumer);
  a(13, backlog);
  a(14, max_pending);
  a(15, proxies);
  a(16, proxies_unix);
  a(17, proxy_protocol);
  a(18, forwarded);
  a(19, permessage_deflate);
  a(20, subprotocols);
  a(21, streams);
  a(23, resume_ms);
  a(24, resume_buffer);
}

template <class Archive>
void fields(Archive& a, BackendServer& r) {
  auto& [address, weight] = r;
  a(1, address);
  a(2, weight);
}

template <class Archive>
void fields(Archive& a, Backend& r) {
  auto& [name, servers, script_filename, document_root, params, event_connect, event_close,
         event_subscribe, max_connections, connect_timeout_ms, read_timeout_ms, queue, max_response,
         order, keep_alive, keep_alive_patience_ms, resolve_every_ms, close_retry_ms] = r;
  a(1, name);
  a(2, servers);
  a(3, script_filename);
  a(4, document_root);
  a(5, params);
  a(6, event_connect);
  a(7, event_close);
  a(8, max_connections);
  a(9, connect_timeout_ms);
  a(10, read_timeout_ms);
  a(11, queue);
  a(12, max_response);
  a(13, order);
  a(14, close_retry_ms);
  a(15, keep_alive);
  a(16, keep_alive_patience_ms);
  a(17, resolve_every_ms);
  a(18, event_subscribe);
}

}  // namespace holdfast::conf

namespace holdfast::handover {

struct ConfigRecord {
  std::vector<conf::Listen> listens;
  std::vector<conf::Backend> backends;
};
template <class Archive>
void fields(Archive& a, ConfigRecord& r) {
  auto& [listens, backends] = r;
  a(1, listens);
  a(2, backends);
}

}  // namespace holdfast::handover
