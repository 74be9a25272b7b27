// worker/clients/upgrade.h - the request by which a client asks for a WebSocket, or for the listener's page: read, judged, answered.
// Each refusal is counted and logged by its reason (refusal.h).
//
//   the request                                      answer
//   to the listener's path, good                     Client::begin_session(): the 101 is the WebSocket's, when the back end accepts
//   to the listener's path, else                     400, 403, 405, 426: ws::judge(), headers, subprotocols
//   its address has too many connections             429, by Forwarded or X-Forwarded-For if a proxy brings it
//   its token is missing or no good                  401
//   it wants to come back (?resume=), malformed      400
//   another worker has its session                   given to that one, which answers; 503 if that fails (passage.h)
//   its session is here                              Client::go_on_with(): 101, and what it missed
//   to / on a listener with a page                   200
//   to the listener's path, for a stream of events   stream_request.h; WebSocket::become_stream() if it is good
//   to any other path                                404
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http/request.h"
#include "worker/clients/entrance.h"
#include "worker/clients/refusal.h"
#include "worker/sessions/resume.h"

namespace holdfast::token {
struct Claims;
}
namespace holdfast::ws {
struct HandshakeVerdict;
}

namespace holdfast {

class Passage;
class WebSocket;

class Upgrade final : public Entrance {
 public:
  Upgrade(WebSocket& client, const shm::SessionOrigin& origin);
  ~Upgrade() override;

  // The next bytes of the request.
  void take(std::string_view bytes);
  // Sec-WebSocket-Key, once the request is whole.
  const std::string& key() const { return key_; }
  const std::vector<std::string>& offered() const { return offered_; }  // subprotocols
  const std::string& subprotocol() const { return subprotocol_; }       // that the 101 will name
  // The subprotocol that is named instead; false: it was not offered.
  bool speak(std::string_view subprotocol);

  // ---- coming back (come_back.cc)

  // Its session has been made: resumable, if it asks for that.
  void begun(Session& session);
  // The text that is its first message; "": it has not asked to come back.
  std::string hello(const Session& session) const;
  // These slots have not had its session.
  void not_with(std::vector<uint16_t> slots) { asked_ = std::move(slots); }
  const std::vector<uint16_t>& asked() const { return asked_; }
  // A request that was whole before it came here.
  void answer_if_whole();
  bool is_whole() const { return whole_; }
  // Its connection, which is to be given away. Nothing of the entrance is there after give_up() of it.
  WebSocket& websocket();
  void not_passed_on();
  // The request is whole and asks for a stream: answer_stream() at the end of the turn, for then another object takes the connection.
  bool answers_later() const { return later_; }
  void answer_stream();
  std::string answer_lines() const;  // Client::answer_lines()

  void save(handover::ClientRecord& record) const override;
  void restore(handover::ClientRecord& record) override;

 private:
  const conf::Listen& listen() const;
  void answer(const http::Request& request);
  void answer_upgrade(const http::Request& request);
  void answer_page(const http::Request& request);
  void answer_stream_head();
  // These return false if the client has been refused.
  bool judge_headers(const http::Request& request);
  bool choose_subprotocol(const http::Request& request);
  bool admit_named(const http::Request& request);
  bool read_token(const http::Request& request, std::optional<token::Claims>* claims);
  bool read_wish(const http::Request& request);
  bool pass_on();
  bool come_back(const token::Claims* claims);
  void note_unreadable(const http::Request& request);
  void turn_down(Refusal why, int status, std::string_view text, std::string_view values = {},
                 std::string_view extra = {});
  void turn_down(const http::Request& request, const ws::HandshakeVerdict& verdict);

  std::string_view body_of(std::string_view text);

  http::RequestReader reader_;
  std::string key_;
  std::vector<std::string> offered_;
  std::string subprotocol_;
  std::optional<ResumeWish> wish_;  // until its session is there
  std::vector<uint16_t> asked_;
  Passage* waits_in_ = nullptr;
  bool asks_resume_ = false;
  bool resumed_ = false;
  bool whole_ = false;  // restored with a whole request, which has no answer
  uint64_t seen_ = 0;   // with resumed_, or of a session that it did not know
  std::optional<std::string>
      cors_;  // of a request for a stream that is good so far: its Origin, or ""
  bool later_ = false;
};

}  // namespace holdfast
