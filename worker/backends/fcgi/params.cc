#include "worker/backends/fcgi/params.h"

#include <arpa/inet.h>

#include "wire/fcgi/records.h"
#include "wire/http/passed_headers.h"

namespace holdfast {
namespace {

constexpr std::string_view kSubprotocol = "HOLDFAST_SUBPROTOCOL";

// Ours, unless the configuration names it.
class Writer {
 public:
  Writer(const conf::Backend& backend, std::string& out) : backend_(backend), out_(out) {}
  void put(std::string_view name, std::string_view value) {
    if (!backend_.params.contains(std::string(name))) fcgi::append_param(out_, name, value);
  }

 private:
  const conf::Backend& backend_;
  std::string& out_;
};

std::string script_name(const conf::Backend& backend) {
  const std::string& file = backend.script_filename;
  const std::string& root = backend.document_root;
  if (file.starts_with(root) && file.size() > root.size() && file[root.size()] == '/')
    return file.substr(root.size());
  return file.substr(file.rfind('/'));
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    if (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out += char(c);
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", c);
    }
  }
  return out;
}

std::string data_query(const SessionData& data) {
  std::string out;
  for (const auto& [key, value] : data) {
    if (!out.empty()) out += '&';
    out += percent_encoded(key) + '=' + percent_encoded(value);
  }
  return out;
}

}  // namespace

std::string backend_params(const conf::Backend& backend, uint16_t node) {
  std::string out;
  Writer writer(backend, out);
  writer.put("GATEWAY_INTERFACE", "CGI/1.1");
  writer.put("SERVER_SOFTWARE", "holdfast/" HOLDFAST_VERSION);
  writer.put("REQUEST_METHOD", "POST");
  writer.put("SCRIPT_FILENAME", backend.script_filename);
  writer.put("SCRIPT_NAME", script_name(backend));
  writer.put("DOCUMENT_ROOT", backend.document_root);
  writer.put("HOLDFAST_NODE", std::to_string(node));
  for (const auto& [name, value] : backend.params) fcgi::append_param(out, name, value);
  return out;
}

std::string session_params(const conf::Backend& backend, const Session& session,
                           const Opening& opening) {
  std::string out;
  Writer writer(backend, out);
  const http::Request* request = opening.request;
  writer.put("REQUEST_URI", request == nullptr ? std::string_view("/") : request->target);
  writer.put("QUERY_STRING", request == nullptr ? std::string_view() : request->query());
  writer.put("REMOTE_ADDR", opening.remote_address);
  writer.put("REMOTE_PORT", std::to_string(opening.remote_port));
  writer.put("SERVER_ADDR", opening.server_address);
  writer.put("SERVER_PORT", std::to_string(opening.server_port));
  writer.put("SERVER_PROTOCOL", request == nullptr ? "TCP" : "HTTP/1.1");
  writer.put("SESSIONID", session.id.hex());
  std::string_view host;
  if (request != nullptr) {
    for (const http::Header& header : http::passed_headers(*request))
      writer.put(http::cgi_name(header.name), header.value);
    host = request->header("Host").value_or("");
    size_t colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
      host = host.substr(0, colon);
  }
  writer.put("SERVER_NAME", host.empty() ? std::string_view(opening.server_address) : host);
  if (!opening.transport.empty()) writer.put("HOLDFAST_TRANSPORT", opening.transport);
  if (!opening.subprotocol.empty()) writer.put(kSubprotocol, opening.subprotocol);
  out.shrink_to_fit();
  return out;
}

void speak_params(const conf::Backend& backend, std::string_view before, std::string_view chosen,
                  std::string& session_params) {
  std::string old;
  if (!before.empty()) Writer(backend, old).put(kSubprotocol, before);
  if (session_params.ends_with(old)) session_params.resize(session_params.size() - old.size());
  Writer(backend, session_params).put(kSubprotocol, chosen);
}

std::string orphan_params(const conf::Backend& backend, const shm::SessionView& view) {
  std::string out;
  Writer writer(backend, out);
  char address[INET6_ADDRSTRLEN] = "";
  const in6_addr& peer = view.origin.peer;
  if (IN6_IS_ADDR_V4MAPPED(&peer)) {
    inet_ntop(AF_INET, &peer.s6_addr[12], address, sizeof address);
  } else if (!IN6_IS_ADDR_UNSPECIFIED(&peer)) {
    inet_ntop(AF_INET6, &peer, address, sizeof address);
  }
  writer.put("REQUEST_URI", "/");
  writer.put("QUERY_STRING", "");
  writer.put("REMOTE_ADDR", address);
  writer.put("REMOTE_PORT", std::to_string(view.origin.peer_port));
  writer.put("SERVER_PROTOCOL", "HTTP/1.1");
  writer.put("SESSIONID", view.id.hex());
  return out;
}

std::string request_params(const Session& session, AppEvent event, bool binary, size_t body_bytes,
                           std::string_view channel) {
  std::string out;
  fcgi::append_param(out, "CONTENT_LENGTH", std::to_string(body_bytes));
  fcgi::append_param(out, "CONTENT_TYPE",
                     binary ? "application/octet-stream" : "text/plain; charset=utf-8");
  if (!session.user.empty()) fcgi::append_param(out, "HOLDFAST_USER", session.user.view());
  if (session.data) fcgi::append_param(out, "HOLDFAST_DATA", data_query(*session.data));
  switch (event) {
    case AppEvent::message:
      fcgi::append_param(out, "HOLDFAST_EVENT", "message");
      fcgi::append_param(out, "HOLDFAST_OPCODE", binary ? "binary" : "text");
      break;
    case AppEvent::connect:
      fcgi::append_param(out, "EVENT", "1");
      fcgi::append_param(out, "HOLDFAST_EVENT", "connect");
      break;
    case AppEvent::close:
      fcgi::append_param(out, "EVENT", "2");
      fcgi::append_param(out, "HOLDFAST_EVENT", "close");
      fcgi::append_param(out, "HOLDFAST_REASON", end_reason_text(session.ended_by));
      fcgi::append_param(out, "HOLDFAST_CODE", std::to_string(session.ended_code));
      break;
    case AppEvent::subscribe:
      fcgi::append_param(out, "EVENT", "3");
      fcgi::append_param(out, "HOLDFAST_EVENT", "subscribe");
      fcgi::append_param(out, "HOLDFAST_CHANNEL", channel);
      break;
  }
  return out;
}

}  // namespace holdfast
