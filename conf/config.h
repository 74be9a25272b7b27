// conf/config.h - the checked configuration, and every default.
//
// Plain values. load.h makes one from a TOML file; after that nobody changes it. A worker keeps the
// Config it was forked with for its whole life: a reload makes a new Config for new workers. Units:
// bytes in size_t, time in milliseconds.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace holdfast::conf {

// A place to listen at or to connect to: "127.0.0.1:80", "[::1]:80" or "unix:/path". Numeric hosts
// only: a daemon that waits for a name server at start or reload is a daemon that does not start.
struct Address {
  std::string text;        // as written
  sockaddr_storage raw{};  // AF_INET, AF_INET6 or AF_UNIX
  socklen_t raw_bytes = 0;

  bool is_unix() const { return raw.ss_family == AF_UNIX; }
  bool is_loopback() const;       // 127.0.0.0/8, ::1; false for unix
  uint16_t port() const;          // 0 for unix
  std::string unix_path() const;  // "" unless unix
  bool operator==(const Address& other) const { return text == other.text; }
};
// The answer is empty if `text` is not an address.
std::optional<Address> parse_address(const std::string& text);

// An IPv4 or IPv6 address without a port. IPv4 is mapped into IPv6 (::ffff:192.0.2.1).
std::optional<in6_addr> parse_ip(std::string_view text);

// "192.0.2.0/24", "2001:db8::/32" or a single address.
struct Network {
  in6_addr address{};   // all after the prefix is 0
  unsigned prefix = 0;  // 0..128; an IPv4 network's is 96 more than written

  bool contains(const in6_addr& other) const;
  bool operator==(const Network& other) const;
};
// Empty: not one, or an address with bits after the prefix.
std::optional<Network> parse_network(std::string_view text);
std::string network_text(const Network& network);  // with its prefix, unless it is one address

// The effect of a worker's system call that is not on the list: it ends the worker, the kernel logs it, or none.
enum class Seccomp : uint8_t { on, log, off };

struct Server {
  // Names the segment and the runtime directory: [a-z0-9_-], 1..32.
  std::string instance = "holdfast";
  unsigned workers = 0;       // never 0 after load: "auto" = online cores
  unsigned max_workers = 64;  // slots in the segment; at least 2 x workers, for a reload runs both
  // Default /run/INSTANCE as root, else $XDG_RUNTIME_DIR/INSTANCE or /tmp/INSTANCE-UID.
  std::string runtime_dir;
  std::string user;      // "" = stay who we are
  uint16_t node_id = 1;  // 1..65535
  // Old workers after a reload: their sessions are closed (1012) evenly over it.
  uint64_t drain_timeout_ms = 30'000;
  uint64_t stop_timeout_ms = 8'000;  // how long a stop waits for output and close events
  Seccomp seccomp = Seccomp::on;
  bool core_dumps = false;  // true: processes of `user` may read the workers' memory
  // Named groups for TLS key exchange, in OpenSSL's names.
  std::vector<std::string> tls_groups = {"X25519", "P-256", "P-384"};
  // How long a TLS session may be resumed, and how often its tickets get a new key; 0: no tickets.
  uint64_t tls_ticket_lifetime_ms = 12 * 3600 * 1000;
  uint64_t hang_timeout_ms = 10'000;  // a worker whose loop stands still so long is aborted
  bool operator==(const Server&) const = default;
};

struct Limits {
  unsigned max_sessions = 1'000'000;
  size_t max_message_size = 64 * 1024;
  size_t max_header_size = 16 * 1024;  // request line + headers of a hand-shake or an API request
  unsigned max_headers = 100;
  // Of the segment, for the kept messages of all channels (ChannelRule::history_size), in steps of shm::kShardBytes; 0: none.
  size_t history_memory = 64 * 1024 * 1024;
  uint64_t handshake_timeout_ms = 10'000;  // from accept to the end of the hand-shake's headers
  unsigned max_channels_per_session = 128;
  size_t mailbox_size = 0;  // ring per pair of workers, power of two; never 0 after load
  // Bytes that a worker keeps for one other worker whose ring is full.
  size_t mailbox_overflow = 8 * 1024 * 1024;
  unsigned filter_buckets = 65'536;  // power of two
  // Idempotency keys the instance remembers for five minutes: a power of two; 0: none are taken.
  unsigned idempotency_keys = 65'536;
  // Of an IPv4 address, or the first 64 bits of an IPv6 one, over all listeners for clients; 0: no limit.
  unsigned max_connections_per_ip = 0;
  unsigned connect_rate_per_ip = 0;  // new ones a second
  // Messages and bytes that a session may send in a second; 0: no limit.
  unsigned message_rate = 0;
  size_t byte_rate = 0;
  // Bytes of one session's messages that may wait for the backend, overheads included; then its reading pauses.
  size_t max_pending_bytes = 1024 * 1024;
  size_t max_pending_bytes_per_worker = 256 * 1024 * 1024;  // of all its sessions
  // TLS hand-shakes under way: of a worker, and of one address at it. Beyond it the oldest is ended.
  unsigned max_tls_handshakes = 2'000;
  unsigned max_tls_handshakes_per_ip = 100;
  // Unsent bytes that a worker may have for its clients: beyond it those with the most are closed. 0: no bound.
  size_t max_unsent_per_worker = 1024 * 1024 * 1024;
  bool operator==(const Limits&) const = default;
};

enum class Protocol : uint8_t { websocket, tcp };
enum class FramingKind : uint8_t { length, delimiter };

// How a TCP stream is cut into messages.
//   length: `offset` bytes, then a `size`-byte (1, 2, 4 or 8) unsigned length, then the rest. The
//     length counts the bytes after it, or, with includes_header, the whole frame from its first
//     byte.
//   strip: the application gets and sends only what follows the length field. Possible only with
//     offset 0, because Holdfast cannot invent the bytes before the field. Without strip whole
//     frames go both ways.
//   delimiter: 1..16 bytes that end a message; the application never sees them.
struct Framing {
  FramingKind kind = FramingKind::length;
  unsigned offset = 0;  // 0..64
  unsigned size = 4;
  bool big_endian = true;
  bool includes_header = false;
  bool strip = true;  // default: offset == 0
  std::string delimiter;
  bool operator==(const Framing&) const = default;
};

// The treatment of a session whose unsent bytes would exceed send_queue by a message. Messages to channels of a ChannelRule
// are kept apart: for one of them only those of the same rule are thrown away (drop_oldest), or of the same channel
// (keep_latest), and none of them for other messages.
enum class SlowConsumer : uint8_t {
  close,        // 1008
  drop_newest,  // it does not get this message
  drop_oldest,  // messages that wait longest go, until an eighth of send_queue is free
  keep_latest,  // all that wait go: it gets this one next
};

// A certificate with the chain after it, and its key: PEM files, read at start and at a reload by the master, so their
// owner may be root.
struct Certificate {
  std::string chain_file, key_file;
  std::string chain, key;  // their contents
  bool operator==(const Certificate&) const = default;
};

// The header in which proxies name their client.
enum class Forwarded : uint8_t { none, standard, x_forwarded_for };  // standard: RFC 7239

// What a listener for WebSockets answers else, at the same path; the numbers travel.
enum class Stream : uint8_t { sse };

enum class TokenAlgorithm : uint8_t { hs256, rs256, es256 };  // RFC 7518 section 3.1

// The key that must have signed the JSON Web Token of a hand-shake.
struct ConnectToken {
  TokenAlgorithm algorithm = TokenAlgorithm::hs256;
  std::string key_file;
  std::string key;       // its contents: a secret, or a public key in PEM
  std::string audience;  // "": any
  bool required = true;  // a hand-shake without one is refused
  bool operator==(const ConnectToken&) const = default;
};

// The terms that permessage-deflate (RFC 7692) is negotiated to. Our own side never takes its context over.
struct PermessageDeflate {
  int level = 6;          // 1..9, zlib's
  size_t min_size = 256;  // shorter messages go as they are
  bool client_no_context_takeover = true;
  unsigned client_max_window_bits = 15;  // 8..15; with takeover 2^bits bytes of memory a client
  bool operator==(const PermessageDeflate&) const = default;
};

struct Listen {
  Address address;
  Protocol protocol = Protocol::websocket;
  std::string path = "/";  // websocket: hand-shakes elsewhere get 404
  std::string page;  // websocket: an HTML file answered at GET /, read at start (at most 1 MiB)
  std::string page_html;              // its contents
  std::string backend;                // "relay", "echo" or a key of Config::backends
  std::vector<std::string> origins;   // [] = same host only, ["*"] = any
  std::vector<std::string> channels;  // joined by every session at connect
  // websocket: of these the first that a client offers (Sec-WebSocket-Protocol) is spoken; []: none but the application's choice
  std::vector<std::string> subprotocols;
  std::vector<Stream> streams;         // websocket: what else than an upgrade is answered at path
  std::optional<Framing> framing;      // tcp only, and always there for tcp
  uint64_t ping_interval_ms = 25'000;  // websocket; 0 = none, and always 0 for tcp
  uint64_t idle_timeout_ms = 60'000;   // nothing received for so long: closed. 0 = never
  uint64_t close_timeout_ms = 5'000;   // how long a close frame waits for the other side's
  size_t send_queue = 1024 * 1024;     // unsent bytes that may wait for a session
  SlowConsumer slow_consumer = SlowConsumer::close;
  unsigned backlog = 1024;  // listen(2)
  // Messages of one session that wait for the backend; then reading pauses.
  unsigned max_pending = 64;
  std::vector<Certificate> tls;  // empty: none. For a name that no certificate is for, the first
  // The proxies to believe about the client's address; every peer at a unix socket is one if `proxies_unix`.
  std::vector<Network> proxies;
  bool proxies_unix = false;
  bool proxy_protocol = false;            // connections of proxies begin with a PROXY header
  Forwarded forwarded = Forwarded::none;  // requests of proxies may have this header
  std::optional<ConnectToken> token;      // websocket
  std::optional<PermessageDeflate> permessage_deflate;  // websocket; empty: not spoken
  // websocket: how long the session of a connection that broke waits for its client; 0: it ends
  uint64_t resume_ms = 0;
  size_t resume_buffer =
      64 * 1024;  // of what was sent to it, for a client that has not seen it all

  bool answers(Stream kind) const {
    return std::find(streams.begin(), streams.end(), kind) != streams.end();
  }
  // `peer`: all zero for a unix socket.
  bool trusts(const in6_addr& peer) const;
  bool operator==(const Listen&) const = default;
};

struct BackendServer {
  Address address;
  unsigned weight = 1;  // 1..1000
  bool operator==(const BackendServer&) const = default;
};

enum class Order : uint8_t { session, none };

struct Backend {
  std::string name;
  std::vector<BackendServer> servers;
  std::string script_filename;
  std::string document_root;                  // default: the script's folder
  std::map<std::string, std::string> params;  // extra FastCGI parameters; win over ours
  bool event_connect = true;
  bool event_close = true;
  bool event_subscribe = false;
  unsigned max_connections = 64;  // for the instance; every worker gets its share, at least 1
  uint64_t connect_timeout_ms = 1'000;
  uint64_t read_timeout_ms = 10'000;  // between two signs of life of one request
  unsigned queue = 10'000;            // requests that wait for a connection, for the instance
  size_t max_response = 1024 * 1024;  // headers and body of one answer
  Order order = Order::session;
  bool keep_alive = true;  // false: a new connection for each request
  uint64_t keep_alive_patience_ms =
      200;  // a kept connection that has read nothing for so long is left for another
  uint64_t resolve_every_ms = 30'000;  // names of servers are looked up again so often
  uint64_t close_retry_ms =
      600'000;  // how long a close event is tried again while no server answers
  bool operator==(const Backend&) const = default;
};

enum class ApiProtocol : uint8_t { http, resp, router };

// The rights of a token, as bits.
inline constexpr unsigned kScopePush = 1;   // everything that sends or changes
inline constexpr unsigned kScopeQuery = 2;  // everything that reads
inline constexpr unsigned kScopeAdmin = 4;  // calls that show other people's traffic: trace
inline constexpr unsigned kAllScopes = kScopePush | kScopeQuery | kScopeAdmin;

// A line of a token file: "TOKEN" (everything) or "TOKEN push,query"; admin stands for all three.
struct Token {
  std::string secret;
  unsigned scopes = kAllScopes;
  bool operator==(const Token&) const = default;
};

struct Api {
  Address address;
  ApiProtocol protocol = ApiProtocol::http;
  // Required unless loopback, unix or client_ca; router listeners have none.
  std::string token_file;
  std::vector<Token> tokens;     // its lines: blank ones and #comments left out
  std::vector<Certificate> tls;  // as Listen's
  std::string client_ca_file;    // only with tls; "": no certificate is asked for
  std::string client_ca;         // its contents: who may have signed a client's certificate, in PEM
  std::vector<std::string>
      hosts;  // names in Host that are no numeric loopback address or localhost, without token
  size_t max_body = 1024 * 1024;  // one HTTP body, one RESP request, one router message
  size_t send_queue =
      8 * 1024 * 1024;  // resp: unsent bytes that may wait for a subscriber; then it is closed
  bool operator==(const Api&) const = default;
};

// Which of the channels that a client names in its URL it is let into.
enum class Subscribe : uint8_t {
  nobody,
  anyone,
  token,    // those that its token names
  backend,  // those that the application says yes to
};
// What clients of the relay may publish by themselves.
enum class ClientPublish : uint8_t { nobody, members };

// Messages published to channels whose names match, whatever listener their members came by, and which clients may be there.
struct ChannelRule {
  std::string pattern;  // a glob (base/glob.h); of several that match the first counts
  std::optional<SlowConsumer> slow_consumer;  // none: the listener's
  // What is kept of each of these channels; history_size 0: nothing.
  unsigned history_size = 0;             // messages
  uint64_t history_ttl_ms = 600'000;     // 0: any age
  size_t history_bytes = 1024 * 1024;    // of shared memory
  std::optional<Subscribe> subscribe;    // none: as the back end does it without
  std::optional<ClientPublish> publish;  // likewise
  bool operator==(const ChannelRule&) const = default;
};

struct Config {
  std::string file;  // absolute path it came from
  Server server;
  LogSettings log;
  Limits limits;
  std::vector<Listen> listens;
  std::map<std::string, Backend> backends;
  std::vector<Api> apis;  // as configured; the master adds the built-in unix:RUNTIME_DIR/api.sock
                          // for holdfastctl
  std::vector<ChannelRule> channels;
};

}  // namespace holdfast::conf
