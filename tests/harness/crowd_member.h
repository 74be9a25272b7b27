// tests/harness/crowd_member.h - one connection of a crowd (crowd.h): its socket, what it says and hears, how it may end.
//
//   state       event                     -> state      action
//   connecting  connected                 -> greeting   hand-shake, SUBSCRIBE, or nothing where there is none
//   greeting    accepted                  -> ready      in its groups from now on
//   ready       leave()                   -> leaving    says goodbye once all it said has come back
//   ready       HTTP "Connection: close"  -> leaving
//   leaving     the server closes         -> gone
//   any other   refused, reset, closed    -> gone       a violation, unless it may be lost
#pragma once

#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/harness/crowd.h"
#include "tests/harness/crowd_ledger.h"
#include "tests/harness/crowd_wire.h"

namespace holdfast::test {

class Member;

// What the members of a crowd have in common.
struct CrowdCore {
  CrowdOptions options;
  Violations violations;
  Ledger ledger{violations};
  std::mt19937_64 chance;
  UniqueFd poll;
  uint64_t now_ms = 0;
  uint64_t received = 0;
  bool quiet = false;                                   // nobody starts to say something
  bool trouble = false;                                 // pushes may fail
  bool peril = false;                                   // newcomers are doomed
  std::map<uint32_t, std::unique_ptr<Member>> members;  // by id, which is the ledger's party

  // From 0 to n - 1.
  unsigned pick(unsigned n) { return unsigned(chance() % n); }
};

inline constexpr uint32_t kNobody = UINT32_MAX;

class Member {
 public:
  enum class State : uint8_t { connecting, greeting, ready, leaving, gone };

  Member(CrowdCore& core, CrowdKind kind, unsigned ordinal);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  void begin();
  void on_event(uint32_t events);
  void on_time();  // every few milliseconds
  void leave();
  void drop() { end("dropped"); }
  void doom(bool on) { doomed_ = on; }

  State state() const { return state_; }
  CrowdKind kind() const { return kind_; }
  unsigned ordinal() const { return ordinal_; }
  uint32_t id() const { return id_; }
  PortPair ports() const { return ports_; }
  const std::string& session() const { return session_; }
  bool doomed() const { return doomed_; }
  bool is_client() const { return kind_ <= CrowdKind::tcp; }
  // Nothing is to be written, waited for or left unread.
  bool idle() const {
    return outstanding_ == 0 && asked_.empty() && out_.empty() && read_at_ms_ == 0;
  }
  std::string describe() const;

 private:
  // A request whose answer is owed.
  struct Asked {
    uint32_t stream;
    std::string target;
    uint32_t receiver;  // the ledger's party, or kNobody
  };

  bool is_pusher() const { return kind_ >= CrowdKind::http_pusher; }
  bool is_web() const { return kind_ <= CrowdKind::relay; }
  std::string room(unsigned n) const { return "room" + std::to_string(n); }
  void connected();
  void ready();
  void enter(const std::string& group);
  void say();
  void push();
  Asked choose_push();
  void goodbye();
  void put(std::string_view bytes);
  void flush();
  void read_some();
  bool take_one();  // one whole thing off the front of in_; false: there is none
  void take_answer(bool success, bool partial, std::string_view what);
  void last_answer();
  void heard(std::string_view text);
  void watch();
  void complain(const std::string& expected, const std::string& came);
  void end(const std::string& how);
  bool is_whole(Cut cut);

  CrowdCore& core_;
  const CrowdKind kind_;
  const unsigned ordinal_;  // of its kind; a replacement has that of the lost one
  const uint32_t id_;
  State state_ = State::connecting;
  UniqueFd fd_;
  uint32_t watched_ = 0;
  std::string in_, out_, fragments_, session_;
  PortPair ports_;
  uint64_t begun_ms_ = 0;
  uint32_t own_stream_ = UINT32_MAX;
  unsigned outstanding_ = 0;                 // messages that have not come back
  std::map<std::string, uint32_t> streams_;  // of a pusher, by target
  std::deque<Asked> asked_;
  bool choppy_, slow_;
  bool doomed_ = false, said_goodbye_ = false;
  uint64_t say_at_ms_ = 0, write_at_ms_ = 0, read_at_ms_ = 0;
};

}  // namespace holdfast::test
