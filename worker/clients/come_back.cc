// Clients that name a key, so that they can come back to their session: what a request says of it, and what becomes of that.

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "worker/clients/come_back.h"
#include "worker/clients/passage.h"
#include "worker/clients/token.h"
#include "worker/clients/upgrade.h"
#include "worker/clients/websocket.h"

namespace holdfast {
namespace {

using Values = std::optional<std::vector<std::string>>;

bool is_count(std::string_view text, uint64_t* count) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *count);
  return error == std::errc() && end == text.data() + text.size();
}

// Empty: `why` says what is wrong.
std::optional<ResumeWish> wish_of(const Resume& resume, const conf::Listen& listen,
                                  const Values& keys, std::string_view query,
                                  std::string_view* why) {
  *why = "resume: a key is 22 characters of base64url, which are 128 random bits";
  if (!keys || keys->size() != 1) return {};
  std::optional<ResumeKey> key = resume.key_of(listen, keys->front());
  if (!key) return {};
  ResumeWish wish{.key = *key};
  *why = "seen: the number of messages that were received in this session";
  Values seen = http::query_values(query, "seen");
  if (!seen || seen->size() > 1) return {};
  wish.comes_back = !seen->empty();
  if (wish.comes_back && !is_count(seen->front(), &wish.seen)) return {};
  *why = "session: the id that the first message of the last connection named";
  Values session = http::query_values(query, "session");
  if (!session || session->size() > 1) return {};
  if (session->empty()) return wish;
  wish.of_session = shm::SessionId::parse(session->front());
  return wish.of_session ? std::optional(wish) : std::nullopt;
}

}  // namespace

bool names_key(const http::Request& request) {
  Values keys = http::query_values(request.query(), "resume");
  return keys && !keys->empty();
}

http::Request without_key(const http::Request& request) {
  http::Request open = request;
  size_t mark = open.target.find('?');
  if (mark == std::string::npos) return open;
  std::string kept;
  std::string_view query = request.query();
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    std::optional<std::string> name = http::percent_decode(pair.substr(0, pair.find('=')));
    if (name && (*name == "resume" || *name == "seen" || *name == "session")) continue;
    kept += kept.empty() ? "?" : "&";
    kept += pair;
  }
  open.target.resize(mark);
  open.target += kept;
  return open;
}

Upgrade::~Upgrade() {
  if (waits_in_ != nullptr) waits_in_->forget(*this);
}

// False: it has been refused.
bool Upgrade::read_wish(const http::Request& request) {
  if (listen().resume_ms == 0) return true;
  Values keys = http::query_values(request.query(), "resume");
  if (keys && keys->empty()) return true;
  std::string_view why;
  wish_ = wish_of(websocket().home().sessions.resume(), listen(), keys, request.query(), &why);
  asks_resume_ = wish_.has_value();
  if (wish_) return true;
  turn_down(Refusal::bad_resume, 400, why);
  return false;
}

// True: another worker answers, or nobody can.
bool Upgrade::pass_on() {
  if (!wish_ || !wish_->comes_back) return false;
  const ClientHome& home = websocket().home();
  if (home.passage == nullptr || home.sessions.resume().find(wish_->key) != nullptr) return false;
  std::optional<uint16_t> owner = home.passage->owner_of(*wish_, asked_);
  if (!owner) return false;
  websocket().read_on(false);
  if (home.passage->wait(*this, *owner)) {
    waits_in_ = home.passage;
  } else {
    not_passed_on();
  }
  return true;
}

void Upgrade::not_passed_on() {
  turn_down(Refusal::not_passed_on, 503, "the worker that has your session cannot be reached", {},
            retry_after());
}

void Upgrade::answer_if_whole() {
  if (std::exchange(whole_, false)) answer(reader_.request());
}

// False: it gets a new session; without a wish that one cannot be resumed.
bool Upgrade::come_back(const token::Claims* claims) {
  const ClientHome& home = websocket().home();
  shm::StatsBlock& stats = websocket().runtime_.stats;
  Resume& resume = home.sessions.resume();
  Session* session = resume.find(wish_->key);
  if (session == nullptr) {
    if (wish_->comes_back) stats.resume_unknown.add();
    return false;
  }
  if (!resume.is_of(*session, claims != nullptr ? claims->user : std::string_view())) {
    stats.resume_other_user.add();
    wish_.reset();
    return false;
  }
  Resume::Verdict verdict = resume.judge(*session, *wish_);
  if (verdict == Resume::Verdict::ahead) {
    stats.resume_ahead.add();
    wish_.reset();
    return false;
  }
  if (verdict == Resume::Verdict::too_old || session->phase == SessionPhase::connecting) {
    if (verdict == Resume::Verdict::too_old) stats.resume_too_old.add();
    home.sessions.hang_up(*session, 4409, "replaced by another connection",
                          EndReason::connection_lost);
    return false;
  }
  // Client and application have agreed on it. One that does not offer it any more is another program.
  std::string_view agreed = resume.subprotocol_of(*session);
  if (agreed != subprotocol_ && (agreed.empty() || !speak(agreed))) {
    stats.resume_other_user.add();
    wish_.reset();
    return false;
  }
  seen_ = Resume::seen_of(*session, *wish_);
  resumed_ = !wish_->of_session || *wish_->of_session == session->id;
  stats.resume_resumed.add();
  if (claims != nullptr) home.sessions.set_expiry(*session, claims->expires_wall_s);
  websocket().go_on_with(*session, origin(), resume.missed(*session, seen_));
  return true;
}

void Upgrade::begun(Session& session) {
  if (wish_ && !websocket().home().sessions.resume().begin(session, wish_->key)) wish_.reset();
}

std::string Upgrade::hello(const Session& session) const {
  if (!asks_resume_) return {};
  uint64_t window_s = session.resumable ? listen().resume_ms / 1000 : 0;
  return fmt::format(R"({{"holdfast":{{"session":"{}","resumed":{},"seen":{},"window":{}}}}})",
                     session.id.hex(), resumed_, seen_, window_s);
}

}  // namespace holdfast
