// worker/api/resp/transaction.h - MULTI, EXEC, DISCARD of a RESP connection, as a Redis server has them.
//
//   state    request                            -> state    answer
//   none     MULTI                                 open     OK
//   none     EXEC, DISCARD                         none     an error
//   open     a command that may be queued          open     QUEUED; nothing is done
//   open     no such command, wrong number of      spoilt   the error
//              arguments, not allowed, too much
//   open     EXEC                                  none     the answers of the queued commands, as one array
//   spoilt   EXEC                                  none     EXECABORT; nothing is done
//   both     MULTI, WATCH                          (same)   an error
//   both     DISCARD, RESET                        none     OK, RESET
//
// Commands of other connections are not kept out between two commands of an EXEC: it means that all of them are
// carried out, in their order, or none. As elsewhere a command after a change (join, kick ...) is carried out
// when that has its answer, a question when all before it have theirs, and of pushes kMostUnderWay are under way at a time: as many as a
// connection may have waiting. An EXEC that has begun is carried out to its end, even if its connection ends
// meanwhile.
//
// WATCH and UNWATCH answer OK: there are no keys, so none of them ever changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/api/resp/call.h"
#include "worker/api/resp/subscriber.h"

namespace holdfast::api {

inline constexpr size_t kMaxQueued = 1'000;  // commands of one transaction, as of an HTTP batch
// Of them, questions: each may look through all names of a worker, and one EXEC is one turn's work.
inline constexpr size_t kMaxQuestions = 16;

// The commands between MULTI and EXEC. Owned by RespFace.
class RespTransaction {
 public:
  // The arguments of one request.
  using Queued = std::vector<std::string>;

  explicit RespTransaction(const ApiContext& context) : context_(context) {}
  ~RespTransaction();
  RespTransaction(const RespTransaction&) = delete;
  RespTransaction& operator=(const RespTransaction&) = delete;

  bool open() const { return open_; }
  void begin() {
    open_ = true;
    under_way_.reset();  // it has been answered
  }
  void discard();
  // One command more, while open; or why there is no room for it: max_body bytes of arguments, kMaxQueued
  // commands, kMaxQuestions questions.
  std::optional<std::string> queue(resp::Arguments arguments);
  // A command was refused: EXEC will do nothing.
  void spoil() { spoilt_ = open_; }
  bool spoilt() const { return spoilt_; }
  // Carries out the queued commands, and answers.
  void exec(const RespCall& call);

  // Handover.
  const std::vector<Queued>& queued() const { return queued_; }
  void restore(bool spoilt, std::vector<Queued>&& queued);

 private:
  const ApiContext& context_;
  bool open_ = false, spoilt_ = false;
  size_t bytes_ = 0, questions_ = 0;
  std::vector<Queued> queued_;
  std::shared_ptr<Exec> under_way_;
};

// An EXEC that is being carried out. Owned by the answers that are not in.
class Exec : public std::enable_shared_from_this<Exec> {
 public:
  Exec(const RespCall& call, std::vector<RespTransaction::Queued>&& queued);

  void go_on();
  // The connection has gone, and with it its state and subscriptions: the rest does without.
  void leave_connection();

 private:
  friend class RespAnswer;
  struct NoWire final : Wire {
    void push(BufferRef, Urgency) override {}
    size_t unsent() const override { return 0; }
    void abort() override {}
  };
  struct Left {  // the connection
    Left(const ApiContext& context, const RespState& its_state)
        : state(its_state), subscriber(context, wire, state) {}
    NoWire wire;
    RespState state;
    RespSubscriber subscriber;
  };

  void settle(size_t part, std::string_view answer);
  static constexpr size_t kMostUnderWay = 4;
  bool must_wait() const;
  void run_next();
  void finish();

  const ApiContext& context_;
  RespState* state_;
  RespSubscriber* subscriber_;
  std::optional<Left> left_;
  RespAnswer answer_;
  std::vector<RespTransaction::Queued> queued_;
  std::vector<std::string> answers_;
  size_t answer_bytes_ = 0;
  size_t next_ = 0, settled_ = 0;
  bool changed_ = false;  // the last one changes state
  bool running_ = false;
};

}  // namespace holdfast::api
