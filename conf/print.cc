// A Config as TOML. Every key is printed, so that what is not there is seen to be a default no
// more.
#include <fmt/format.h>

#include <iterator>

#include "conf/load.h"
#include "conf/units.h"

namespace holdfast::conf {

namespace {

// A basic string (TOML 1.0).
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\u{:04X}", unsigned(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

std::string toml_string(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + toml_string(text);
  return "[" + out + "]";
}

class Printer {
 public:
  void header(std::string_view text) {
    if (!out_.empty()) out_ += '\n';
    out_ += fmt::format("{}\n", text);
  }
  void line(std::string_view key, std::string_view value) {
    out_ += fmt::format("{} = {}\n", key, value);
  }
  void text(std::string_view key, std::string_view value) { line(key, toml_string(value)); }
  void number(std::string_view key, uint64_t value) { line(key, std::to_string(value)); }
  void size(std::string_view key, uint64_t bytes) { text(key, format_size(bytes)); }
  void duration(std::string_view key, uint64_t ms) { text(key, format_duration(ms)); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return "trace";
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "?";
}

void print_server(Printer& out, const Server& server) {
  out.header("[server]");
  out.text("instance", server.instance);
  out.number("workers", server.workers);
  out.number("max_workers", server.max_workers);
  out.text("runtime_dir", server.runtime_dir);
  out.text("user", server.user);
  out.number("node_id", server.node_id);
  out.duration("drain_timeout", server.drain_timeout_ms);
  out.duration("stop_timeout", server.stop_timeout_ms);
  out.duration("hang_timeout", server.hang_timeout_ms);
  out.duration("tls_ticket_lifetime", server.tls_ticket_lifetime_ms);
  out.line("tls_groups", toml_string(server.tls_groups));
  out.text("seccomp", server.seccomp == Seccomp::on    ? "on"
                      : server.seccomp == Seccomp::log ? "log"
                                                       : "off");
  out.line("core_dumps", server.core_dumps ? "true" : "false");
}

void print_log(Printer& out, const LogSettings& log) {
  out.header("[log]");
  out.text("level", level_name(log.level));
  out.text("target", log.target);
  out.text("format", log.json ? "json" : "text");
}

void print_limits(Printer& out, const Limits& limits) {
  out.header("[limits]");
  out.number("max_sessions", limits.max_sessions);
  out.size("max_message_size", limits.max_message_size);
  out.size("max_header_size", limits.max_header_size);
  out.number("max_headers", limits.max_headers);
  out.duration("handshake_timeout", limits.handshake_timeout_ms);
  out.number("max_channels_per_session", limits.max_channels_per_session);
  out.size("mailbox_size", limits.mailbox_size);
  out.size("mailbox_overflow", limits.mailbox_overflow);
  out.number("filter_buckets", limits.filter_buckets);
  out.number("idempotency_keys", limits.idempotency_keys);
  out.size("history_memory", limits.history_memory);
  out.number("max_connections_per_ip", limits.max_connections_per_ip);
  out.number("connect_rate_per_ip", limits.connect_rate_per_ip);
  out.number("message_rate", limits.message_rate);
  out.size("byte_rate", limits.byte_rate);
  out.number("max_tls_handshakes", limits.max_tls_handshakes);
  out.number("max_tls_handshakes_per_ip", limits.max_tls_handshakes_per_ip);
  out.size("max_pending_bytes", limits.max_pending_bytes);
  out.size("max_pending_bytes_per_worker", limits.max_pending_bytes_per_worker);
  out.size("max_unsent_per_worker", limits.max_unsent_per_worker);
}

std::string framing_form(const Framing& framing) {
  if (framing.kind == FramingKind::delimiter) {
    return fmt::format("{{ kind = \"delimiter\", bytes = {} }}", toml_string(framing.delimiter));
  }
  return fmt::format(
      "{{ kind = \"length\", offset = {}, size = {}, order = \"{}\", includes_header = {}, "
      "strip = {} }}",
      framing.offset, framing.size, framing.big_endian ? "big" : "little", framing.includes_header,
      framing.strip);
}

std::string tls_form(const std::vector<Certificate>& certificates) {
  std::string out = "[\n";
  for (const Certificate& certificate : certificates)
    out += fmt::format("  {{ certificate = {}, key = {} }},\n", toml_string(certificate.chain_file),
                       toml_string(certificate.key_file));
  return out + "]";
}

std::vector<std::string> proxy_texts(const Listen& listen) {
  std::vector<std::string> texts;
  for (const Network& network : listen.proxies) texts.push_back(network_text(network));
  if (listen.proxies_unix) texts.emplace_back("unix");
  return texts;
}

std::string_view policy_name(SlowConsumer policy) {
  switch (policy) {
    case SlowConsumer::close:
      return "close";
    case SlowConsumer::drop_newest:
      return "drop-newest";
    case SlowConsumer::drop_oldest:
      return "drop-oldest";
    case SlowConsumer::keep_latest:
      return "keep-latest";
  }
  return "";
}

std::string_view forwarded_name(Forwarded forwarded) {
  switch (forwarded) {
    case Forwarded::none:
      return "none";
    case Forwarded::standard:
      return "Forwarded";
    case Forwarded::x_forwarded_for:
      return "X-Forwarded-For";
  }
  return "";
}

std::string token_form(const ConnectToken& token) {
  std::string_view algorithm = token.algorithm == TokenAlgorithm::hs256   ? "HS256"
                               : token.algorithm == TokenAlgorithm::rs256 ? "RS256"
                                                                          : "ES256";
  return fmt::format("{{ algorithm = \"{}\", key = {}, audience = {}, required = {} }}", algorithm,
                     toml_string(token.key_file), toml_string(token.audience), token.required);
}

std::string deflate_form(const PermessageDeflate& deflate) {
  return fmt::format(
      "{{ level = {}, min_size = {}, client_no_context_takeover = {}, client_max_window_bits = {} "
      "}}",
      deflate.level, toml_string(format_size(deflate.min_size)), deflate.client_no_context_takeover,
      deflate.client_max_window_bits);
}

std::string streams_form(const Listen& listen) {
  return listen.answers(Stream::sse) ? "[\"sse\"]" : "[]";
}

// Keys that only one protocol has are errors on the other (read_listen.cc).
void print_listen(Printer& out, const Listen& listen) {
  bool websocket = listen.protocol == Protocol::websocket;
  out.header("[[listen]]");
  out.text("address", listen.address.text);
  out.text("protocol", websocket ? "websocket" : "tcp");
  if (websocket) out.text("path", listen.path);
  if (websocket && !listen.page.empty()) out.text("page", listen.page);
  out.text("backend", listen.backend);
  if (websocket) out.line("origins", toml_string(listen.origins));
  if (websocket) out.line("subprotocols", toml_string(listen.subprotocols));
  if (websocket) out.line("streams", streams_form(listen));
  out.line("channels", toml_string(listen.channels));
  if (listen.framing) out.line("framing", framing_form(*listen.framing));
  if (websocket) out.duration("ping_interval", listen.ping_interval_ms);
  out.duration("idle_timeout", listen.idle_timeout_ms);
  if (websocket) out.duration("close_timeout", listen.close_timeout_ms);
  out.size("send_queue", listen.send_queue);
  out.text("slow_consumer", policy_name(listen.slow_consumer));
  out.number("backlog", listen.backlog);
  out.number("max_pending", listen.max_pending);
  if (!listen.tls.empty()) out.line("tls", tls_form(listen.tls));
  if (listen.token) out.line("token", token_form(*listen.token));
  out.line("proxies", toml_string(proxy_texts(listen)));
  out.line("proxy_protocol", listen.proxy_protocol ? "true" : "false");
  if (websocket) out.text("forwarded", forwarded_name(listen.forwarded));
  if (listen.permessage_deflate)
    out.line("permessage_deflate", deflate_form(*listen.permessage_deflate));
  if (websocket) out.duration("resume", listen.resume_ms);
  if (websocket) out.size("resume_buffer", listen.resume_buffer);
}

std::string events_form(const Backend& backend) {
  std::vector<std::string> events;
  if (backend.event_connect) events.push_back("connect");
  if (backend.event_close) events.push_back("close");
  if (backend.event_subscribe) events.push_back("subscribe");
  return toml_string(events);
}

std::string params_form(const Backend& backend) {
  std::string out;
  for (const auto& [name, value] : backend.params) {
    out += fmt::format("{} {} = {}", out.empty() ? "" : ",", name, toml_string(value));
  }
  return out.empty() ? "{}" : "{" + out + " }";
}

std::string servers_form(const Backend& backend) {
  std::string out = "[\n";
  for (const BackendServer& server : backend.servers) {
    out += fmt::format("  {{ address = {}, weight = {} }},\n", toml_string(server.address.text),
                       server.weight);
  }
  return out + "]";
}

void print_backend(Printer& out, const Backend& backend) {
  out.header(fmt::format("[backend.{}]", backend.name));
  out.text("kind", "fastcgi");
  out.line("servers", servers_form(backend));
  out.text("script_filename", backend.script_filename);
  out.text("document_root", backend.document_root);
  out.line("params", params_form(backend));
  out.line("events", events_form(backend));
  out.number("max_connections", backend.max_connections);
  out.duration("resolve_every", backend.resolve_every_ms);
  out.duration("connect_timeout", backend.connect_timeout_ms);
  out.duration("read_timeout", backend.read_timeout_ms);
  out.number("queue", backend.queue);
  out.size("max_response", backend.max_response);
  out.text("order", backend.order == Order::session ? "session" : "none");
  out.line("keep_alive", backend.keep_alive ? "true" : "false");
  out.duration("keep_alive_patience", backend.keep_alive_patience_ms);
  out.duration("close_retry", backend.close_retry_ms);
}

std::string_view protocol_name(ApiProtocol protocol) {
  switch (protocol) {
    case ApiProtocol::http:
      return "http";
    case ApiProtocol::resp:
      return "resp";
    case ApiProtocol::router:
      return "router";
  }
  return "?";
}

void print_api(Printer& out, const Api& api) {
  out.header("[[api]]");
  out.text("address", api.address.text);
  out.text("protocol", protocol_name(api.protocol));
  if (!api.token_file.empty()) out.text("token_file", api.token_file);
  if (!api.tls.empty()) out.line("tls", tls_form(api.tls));
  if (!api.client_ca_file.empty()) out.text("client_ca", api.client_ca_file);
  if (!api.hosts.empty()) out.line("hosts", toml_string(api.hosts));
  out.size("max_body", api.max_body);
  if (api.protocol == ApiProtocol::resp) out.size("send_queue", api.send_queue);
}

std::string_view subscribe_name(Subscribe subscribe) {
  switch (subscribe) {
    case Subscribe::nobody:
      return "nobody";
    case Subscribe::anyone:
      return "anyone";
    case Subscribe::token:
      return "token";
    case Subscribe::backend:
      return "backend";
  }
  return "";
}

void print_channel(Printer& out, const ChannelRule& rule) {
  out.header("[[channel]]");
  out.text("pattern", rule.pattern);
  if (rule.slow_consumer) out.text("slow_consumer", policy_name(*rule.slow_consumer));
  out.number("history_size", rule.history_size);
  out.duration("history_ttl", rule.history_ttl_ms);
  out.size("history_bytes", rule.history_bytes);
  if (rule.subscribe) out.text("subscribe", subscribe_name(*rule.subscribe));
  if (rule.publish)
    out.text("publish", *rule.publish == ClientPublish::nobody ? "nobody" : "members");
}

}  // namespace

std::string print_config(const Config& config) {
  Printer out;
  print_server(out, config.server);
  print_log(out, config.log);
  print_limits(out, config.limits);
  for (const Listen& listen : config.listens) print_listen(out, listen);
  for (const auto& [name, backend] : config.backends) print_backend(out, backend);
  for (const Api& api : config.apis) print_api(out, api);
  for (const ChannelRule& rule : config.channels) print_channel(out, rule);
  return out.take();
}

}  // namespace holdfast::conf
