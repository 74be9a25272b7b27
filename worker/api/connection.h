// worker/api/connection.h - the connection of one pusher: bytes in, to its face; answers out, in
// the order of the requests, whenever each of them comes.
//
//   phase      event                         -> phase      action
//   securing   TLS hand-shake done              serving
//   securing   it fails, handshake_timeout,     (gone)     counted
//                the worker winds up
//   serving    bytes                            serving    Face::step(), at most kTurnRequests,
//                                                          then the next turn
//   serving    kMaxRow answers owed, or more    serving    reading pauses until there is room again
//                bytes not taken than it may
//   serving    step() says wait                 serving    reading pauses until all answers are in
//   serving    step() says last                 ending     nothing after it is read
//   serving    EOF                              serving    requests that have come are carried out,
//                                                          then ending
//   serving    idle, or half a request, too     (gone)       counted, unless it was idle
//                long
//   serving    has shown no token within        (gone)       counted. HTTP: since its last request
//                handshake_timeout
//   serving    its token or certificate counts  lingering    counted; only if it has subscribed
//                no more after a reload                        or traces, and for a certificate
//   serving    the worker winds up              lingering  when nothing is under way; see wind_up()
//   ending     the row is empty                 lingering
//   lingering  all sent                         lingering  shutdown(SHUT_WR), then EOF or deadline:
//                                                          gone
//   any        an error, abort()                (gone)     late answers are thrown away; their
//                                                          requests stay carried out
//
// Invariants
//   I1  row_ is empty or begins with a request that has no answer yet: answers that can leave have left.
//   I2  row_ is sorted by request number; pushed bytes stand after an answer, with its number.
//   I3  Nobody outside holds a pointer to a connection: replies find it by number (ApiHome).
#pragma once

#include <netinet/in.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "shm/session_directory.h"
#include "worker/api/face.h"
#include "worker/api/home.h"
#include "worker/api/record.h"
#include "worker/api/strangers.h"
#include "worker/net/connection.h"
#include "worker/net/named_record.h"

namespace holdfast::tls {
class Context;
}

namespace holdfast {

class ApiConnection : public Connection, private api::Wire {
 public:
  static constexpr size_t kMaxRow = 1024;  // answers owed
  // Bytes of answers not taken, beyond which no further request is: one more answer may pass it.
  static constexpr size_t kMaxUnsent = 256 * 1024;
  static constexpr size_t kMaxUnsentOfStranger = 64 * 1024;
  static constexpr size_t kMaxUnsentOfSubscriber = 4 * 1024 * 1024;  // published messages included

  using Home = ApiHome;
  using Record = handover::ApiRecord;

  // With TLS if the listener has it.
  static std::unique_ptr<ApiConnection> make(ApiHome& home, UniqueFd fd);
  ApiConnection(ApiHome& home, UniqueFd fd);
  ~ApiConnection() override;
  void start(const shm::SessionOrigin& origin = {});
  void shed() override;
  size_t owed() const override { return unsent(); }
  // Handover, while no answer is owed: the record that travels beside the descriptor, and a connection made of it. Null:
  // the record makes no sense.
  virtual handover::ApiRecord save() const;
  ConnectionKind kind() const override { return ConnectionKind::api; }
  std::string record() const override {
    return handover::save(handover::NamedRecord{home_.name, handover::save(save())});
  }
  ApiHome& home() const { return home_; }
  static std::unique_ptr<ApiConnection> restore(ApiHome& home, UniqueFd fd,
                                                handover::ApiRecord&& record);
  void resume() override;
  // An idle connection ends at once; one whose face wants to stay not before WindUp::all, or before
  // the worker has no session online any more; a busy one when it has become idle.
  void wind_up(WindUp what) override;

 protected:
  void on_bytes(std::span<char> bytes) override;
  void on_end() override { retire(); }
  void on_retire() override;
  void on_end_of_input() override;
  bool before_flush() override;
  // The first bytes of a newcomer, after a TLS hand-shake if there was one.
  virtual void proceed(std::string_view early);
  void secure();
  // The address that a TLS hand-shake counts for; empty: a unix socket.
  std::optional<in6_addr> newcomer() const;
  // The connection has sealed or opened so many records that its keys must not go on.
  void keys_used_up() { wind_up(WindUp::all); }
  // It has shown a certificate that this one vouches for.
  void vouched_for(std::string anchor) { anchor_ = std::move(anchor); }
  static constexpr bool proxied() { return false; }

 private:
  friend class ApiHome;
  enum class Phase : uint8_t { serving, ending, lingering, securing };
  // Why no further request is taken just now.
  enum class Held : uint8_t {
    no,     // the face needs more bytes
    turn,   // enough for one turn
    room,   // too many answers owed or not taken
    quiet,  // the face waits until all answers are in
  };
  // The purpose of the deadline.
  enum class Due : uint8_t { idle, request, sending, linger, stranger };
  struct Place {
    uint64_t request;
    BufferRef answer;  // empty: owed
  };
  static constexpr unsigned kTurnRequests = 32;
  static constexpr size_t kMostWaiting = 4;       // pushes to many that are not finished
  static constexpr uint64_t kRequestMs = 30'000;  // from a request's first byte to its last
  static constexpr uint64_t kSendMs = 30'000;     // without a byte taken
  static constexpr uint64_t kLingerMs = 2'000;    // for the other side to end
  static constexpr uint64_t kOwedMs = 1'000;      // to look again while answers are owed

  // Connection
  void on_drained() override;
  void on_deadline() override;
  // Wire
  void push(BufferRef bytes, Urgency urgency) override;
  size_t unsent() const override { return Connection::unsent() + row_bytes_; }
  void abort() override { retire(); }

  size_t take_requests(std::string_view bytes);
  bool take_one(std::string_view bytes, size_t* used);
  void work_off_pending();
  void settle();
  void hold(bool on);
  bool has_room() const;
  bool stranger() const { return stranger_since_ms_ != 0; }
  bool judge_standing();
  bool enter_strangers();
  bool withdrawn();
  void add_to_row(size_t bytes);
  void take_from_row(size_t bytes);
  bool can_go_on() const;
  bool half_request() const;
  bool pushes_wait() const;
  void on_reply(uint64_t request, BufferRef&& bytes);
  void release();
  void leave_if_idle();
  void linger();
  void arm_for(Due due);
  void keep_alive();

  ApiHome& home_;
  const uint64_t number_;
  std::unique_ptr<api::Face> face_;
  std::string pending_;  // read, not used up; bounded: reading pauses while the connection is held
  size_t pending_used_ = 0;
  std::deque<Place> row_;  // I1, I2
  size_t row_bytes_ = 0;   // of answers in it
  uint64_t next_request_ = 1;
  size_t unsent_when_armed_ = 0;
  Strangers::Key address_ = Strangers::kNowhere;
  uint64_t stranger_place_ = 0;     // in ApiHome::strangers
  uint64_t stranger_since_ms_ = 0;  // 0: it is none
  std::string anchor_;              // see ApiRecord
  Phase phase_ = Phase::serving;
  Held held_ = Held::no;
  Due due_ = Due::idle;
  bool stepping_ = false;  // Face::step() is on the stack, for next_request_
  bool answered_ = false;  // and has given the answer
  bool at_eof_ = false;
  bool shut_ = false;
  bool winding_up_ = false;
  bool all_go_ = false;
  bool kept_alive_ = false;
  bool frozen_ = false;  // ApiHome::hold()
};

}  // namespace holdfast
