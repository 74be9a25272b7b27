#include "worker/clients/upgrade.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "wire/http/origin.h"
#include "wire/http/passed_headers.h"
#include "wire/proxy/forwarded.h"
#include "wire/ws/extensions.h"
#include "wire/ws/handshake.h"
#include "wire/ws/subprotocol.h"
#include "worker/clients/come_back.h"
#include "worker/clients/stream_request.h"
#include "worker/clients/token.h"
#include "worker/clients/websocket.h"
#include "worker/net/address_text.h"

namespace holdfast {
namespace {

constexpr int64_t kTokenCheck = 100;  // a signature, in units of a turn

// By the header of the proxies, if it comes from one. False: it cannot be read to its end.
bool name_client(shm::SessionOrigin& origin, const http::Request& request,
                 const conf::Listen& listen) {
  proxy::Believed believed = proxy::client_behind(request, listen, origin.peer);
  if (IN6_ARE_ADDR_EQUAL(&believed.client, &origin.peer)) return believed.readable;
  origin.peer = believed.client;
  origin.peer_port = 0;  // the header does not say it
  return believed.readable;
}

// Empty: the request's extensions cannot be read.
std::optional<ws::DeflateTerms> deflate_terms(const http::Request& request,
                                              const conf::Listen& listen) {
  if (!listen.permessage_deflate) return ws::DeflateTerms();
  return ws::negotiate(request, {!listen.permessage_deflate->client_no_context_takeover,
                                 listen.permessage_deflate->client_max_window_bits});
}

http::RequestReader reader_of(const conf::Limits& limits, const conf::Listen& listen) {
  size_t most_body = listen.answers(conf::Stream::sse) ? stream::kMostParameters : 0;
  return http::RequestReader({limits.max_header_size, limits.max_headers, most_body});
}

}  // namespace

Upgrade::Upgrade(WebSocket& client, const shm::SessionOrigin& origin)
    : Entrance(client, origin),
      reader_(reader_of(client.runtime_.config.limits, client.home().listen)) {}

WebSocket& Upgrade::websocket() {
  return static_cast<WebSocket&>(client());
}

const conf::Listen& Upgrade::listen() const {
  return static_cast<const WebSocket&>(client()).home().listen;
}

void Upgrade::take(std::string_view bytes) {
  size_t used = 0;
  switch (reader_.feed(bytes, &used)) {
    case http::RequestReader::Status::header:
    case http::RequestReader::Status::need_more:
      return;
    case http::RequestReader::Status::failed:
      return turn_down(Refusal::bad_request, reader_.error_status(), reader_.error_text());
    case http::RequestReader::Status::complete:
      break;
  }
  keep_early(bytes.substr(used));
  later_ = stream::is_asked_for(reader_.request(), listen());
  if (!later_) return answer(reader_.request());
  // Here, where it keeps the next from being read in this turn.
  websocket().runtime_.budget.spend(TurnBudget::kAppRequest + (listen().token ? kTokenCheck : 0));
  websocket().read_on(false);
  websocket().ask_later();
}

void Upgrade::answer(const http::Request& request) {
  websocket().runtime_.budget.spend(TurnBudget::kAppRequest);
  bool wants_upgrade = request.header("Upgrade").has_value();
  if (request.path() == listen().path &&
      (wants_upgrade || listen().page.empty() || listen().path != "/"))
    return answer_upgrade(request);
  if (request.path() == "/" && !listen().page.empty()) return answer_page(request);
  std::string_view text =
      request.path().starts_with("/v1/")
          ? "nothing here: this listener is for clients, the push API is an [[api]]"
          : "nothing here";
  turn_down(Refusal::bad_path, 404, text,
            fmt::format("path=\"{}\" allowed=\"{}\"", shown(request.path()), listen().path));
}

void Upgrade::answer_upgrade(const http::Request& request) {
  ws::HandshakeVerdict verdict = ws::judge(request, listen().origins);
  std::optional<ws::DeflateTerms> terms = deflate_terms(request, listen());
  if (verdict.status == 101 && !terms) verdict = {400, "Sec-WebSocket-Extensions cannot be read"};
  if (verdict.status != 101) return turn_down(request, verdict);
  if (!judge_headers(request) || !choose_subprotocol(request)) return;
  if (!read_wish(request) || pass_on()) return;
  websocket().agree(*terms);
  key_ = *request.header("Sec-WebSocket-Key");
  if (!admit_named(request)) return;
  std::optional<token::Claims> claims;
  if (!read_token(request, &claims)) return;
  const token::Claims* claimed = claims ? &*claims : nullptr;
  if (wish_ && come_back(claimed)) return;
  if (!names_key(request)) return websocket().begin_session(origin(), &request, claimed);
  http::Request open = without_key(request);
  websocket().begin_session(origin(), &open, claimed);
}

void Upgrade::answer_page(const http::Request& request) {
  if (request.method != "GET" && request.method != "HEAD")
    return turn_down(Refusal::bad_request, 405, "only GET here", {}, "Allow: GET, HEAD\r\n");
  websocket().runtime_.stats.pages_served.add();
  websocket().answer_and_linger(200, "text/html; charset=utf-8",
                                request.method == "GET" ? listen().page_html : std::string_view(),
                                {});
}

// ---- for a stream

std::string Upgrade::answer_lines() const {
  return cors_ ? http::cors_lines(*cors_) : std::string();
}

void Upgrade::answer_stream() {
  later_ = false;
  http::Request& request = reader_.request();
  stream::Verdict verdict = stream::judge(request, listen().origins);
  if (verdict.status == 403) return turn_down(request, {verdict.status, verdict.why});
  cors_ = request.header("Origin").value_or("");
  if (verdict.status != 200)
    return turn_down(Refusal::bad_request, verdict.status, verdict.why, {}, verdict.lines);
  if (request.method == "HEAD") return answer_stream_head();
  if (request.method == "OPTIONS")
    return websocket().answer_and_linger(204, {}, {}, http::preflight_lines(stream::kMethods));
  if (!judge_headers(request) || !admit_named(request)) return;
  if (request.method == "POST") stream::take_parameters(request);
  std::string_view why;
  std::optional<stream::Wishes> wishes =
      stream::wishes_of(request, websocket().runtime_.config.limits.max_channels_per_session, &why);
  if (!wishes) return turn_down(Refusal::bad_request, 400, why);
  std::optional<token::Claims> claims;
  if (!read_token(request, &claims)) return;
  if (names_key(request)) request = without_key(request);
  websocket().become_stream(request, *wishes, claims ? &*claims : nullptr);
}

void Upgrade::answer_stream_head() {
  WebSocket& to = websocket();
  to.enqueue(BufferRef::concat(stream::head(answer_lines())), Urgency::urgent);
  to.leave_entrance();
  to.linger();
}

// ---- what can be wrong with it

bool Upgrade::judge_headers(const http::Request& request) {
  std::string_view doubtful = http::doubtful_header(request);
  if (doubtful.empty()) return true;
  turn_down(Refusal::bad_headers, 400, "two headers that an application could not tell apart",
            fmt::format("header=\"{}\"", shown(doubtful)));
  return false;
}

// A client that offers none gets none: most programs that are no browsers do not.
bool Upgrade::choose_subprotocol(const http::Request& request) {
  const std::vector<std::string>& spoken = listen().subprotocols;
  offered_ = ws::offered_subprotocols(request);
  subprotocol_ = ws::choose_subprotocol(spoken, offered_);
  if (spoken.empty() || offered_.empty() || !subprotocol_.empty()) return true;
  turn_down(
      Refusal::bad_subprotocol, 400, "none of these subprotocols is spoken here",
      fmt::format("offered=\"{}\" spoken=\"{}\"",
                  shown(fmt::format("{}", fmt::join(offered_, " "))), fmt::join(spoken, " ")));
  return false;
}

bool Upgrade::speak(std::string_view subprotocol) {
  if (std::find(offered_.begin(), offered_.end(), subprotocol) == offered_.end()) return false;
  subprotocol_ = subprotocol;
  return true;
}

// Counts the client that a proxy names, or the hop whose word cannot be read.
bool Upgrade::admit_named(const http::Request& request) {
  bool readable = name_client(origin(), request, listen());
  if (!readable) note_unreadable(request);
  if (origin().address_place != shm::kNoPlace) return true;  // counted, for it came by no proxy
  if (readable && listen().trusts(origin().peer)) return true;
  return admit(true, readable ? Admission::Who::client : Admission::Who::unreadable);
}

void Upgrade::note_unreadable(const http::Request& request) {
  websocket().runtime_.stats.handshakes_bad_forwarded.add();
  bool standard = listen().forwarded == conf::Forwarded::standard;
  std::string_view name = standard ? "Forwarded" : "X-Forwarded-For";
  static LogGate gate;
  if (uint64_t n = gate.pass())
    log_warn(
        "header of a proxy cannot be read to its end header={} hop={} value=\"{}\" times={}; "
        "counted for that hop",
        name, peer_text(origin()), shown(request.header(name).value_or("")), n);
}

bool Upgrade::read_token(const http::Request& request, std::optional<token::Claims>* claims) {
  if (!listen().token) return true;
  std::string text = token::token_of(request);
  if (text.empty() && !listen().token->required) return true;
  Runtime& runtime = websocket().runtime_;
  runtime.budget.spend(kTokenCheck);
  Result<token::Claims> read = token::verify(*listen().token, text, wall_ms() / 1000,
                                             runtime.config.limits.max_channels_per_session);
  if (read) {
    claims->emplace(*std::move(read));
    return true;
  }
  runtime.stats.tokens_refused.add();
  websocket().answer_and_linger(401, "text/plain", body_of(read.error().text()),
                                "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
  return false;
}

// ---- refusing: answers, counts and logs why

void Upgrade::turn_down(Refusal why, int status, std::string_view text, std::string_view values,
                        std::string_view extra) {
  note_refusal(websocket().runtime_, why, origin(), status, text, values);
  websocket().answer_and_linger(status, "text/plain", body_of(text), extra);
}

// The answer to HEAD has none (RFC 9110 section 9.3.2).
std::string_view Upgrade::body_of(std::string_view text) {
  return reader_.request().method == "HEAD" ? std::string_view() : text;
}

void Upgrade::turn_down(const http::Request& request, const ws::HandshakeVerdict& verdict) {
  if (verdict.status != 403) {
    std::string_view extra;
    if (verdict.status == 426) extra = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    if (verdict.status == 405) extra = "Allow: GET\r\n";
    return turn_down(Refusal::bad_request, verdict.status, verdict.why, {}, extra);
  }
  std::string from = shown(request.header("Origin").value_or(""));
  const std::vector<std::string>& allowed = listen().origins;
  turn_down(Refusal::bad_origin, 403, verdict.why,
            allowed.empty()
                ? fmt::format("origin=\"{}\" host=\"{}\" allowed=\"the same host\"", from,
                              shown(request.header("Host").value_or("")))
                : fmt::format("origin=\"{}\" allowed=\"{}\"", from, fmt::join(allowed, " ")));
}

// ---- handover

void Upgrade::save(handover::ClientRecord& r) const {
  Entrance::save(r);
  if (static_cast<const WebSocket&>(client()).in_request()) r.handshake = reader_.replay();
  r.key = key_;
  r.offered = offered_;
  r.subprotocol = subprotocol_;
  r.asks_resume = asks_resume_;
  r.cors = cors_.value_or("");
}

void Upgrade::restore(handover::ClientRecord& r) {
  Entrance::restore(r);
  key_ = std::move(r.key);
  offered_ = std::move(r.offered);
  subprotocol_ = std::move(r.subprotocol);
  asks_resume_ = r.asks_resume;
  size_t used = 0;  // if not whole there, not whole here; a smaller limit shows with the next bytes
  bool whole = reader_.feed(r.handshake, &used) == http::RequestReader::Status::complete;
  later_ = whole && stream::is_asked_for(reader_.request(), listen());
  whole_ = whole && !later_;
}

}  // namespace holdfast
