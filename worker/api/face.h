// worker/api/face.h - one protocol of the push API, as an API connection sees it: bytes in,
// requests carried out, answers in order. HTTP (http/face.h), RESP (resp/face.h), router wire
// (router/face.h).
//
// A face knows no socket and no loop. It is made for one connection and keeps that connection's
// state (half a request, AUTH, HELLO 3, subscriptions). The meaning of a request is in Command and
// Router; a face only translates, both ways.
//
// Order. Requests are taken one after the other, and their answers leave in that order, whenever
// they come. Pushes may be under way while the next request is taken; a request that comes after
// one that changes state (changes_state() of command.h) is taken only when that one has its answer:
// step() then says `wait` until `quiet`. So a client may send a join and a publish in one piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/log.h"
#include "conf/config.h"
#include "shm/segment.h"
#include "worker/net/flush_queue.h"
#include "worker/routing/router.h"

namespace holdfast {
class CatchUp;
class Hub;
class Tracer;
}  // namespace holdfast

namespace holdfast::api {

// The common part of the faces of one listener; everything it points to outlives every face.
struct ApiContext {
  const conf::Config* config;
  const conf::Api* api;   // the listener: tokens, max_body, send_queue
  shm::Segment* segment;  // sessions, stats, receipts
  uint16_t slot;          // HTTP answers carry it as "Holdfast-Worker"
  Router* router;
  shm::StatsBlock* stats;
  const bool* draining;           // readyz answers 503 while true
  Hub* hub = nullptr;             // for RESP SUBSCRIBE only
  Tracer* tracer = nullptr;       // for GET /v1/trace only
  LogGate* complaints = nullptr;  // for router wire only: logs errors, which have no answer
  CatchUp* catch_up = nullptr;    // for RESP HF.SUBSCRIBE only
};

// The actions of a face on its connection outside the row of answers.
class Wire {
 public:
  // Bytes nobody asked for (RESP push messages): they leave after all answers so far.
  virtual void push(BufferRef bytes, Urgency urgency) = 0;
  // Bytes queued and not taken by the other side.
  virtual size_t unsent() const = 0;
  // Ends the connection at the end of this turn, without its queue (a subscriber too slow for its
  // send_queue). The face is not called again.
  virtual void abort() = 0;

 protected:
  ~Wire() = default;
};

// The way of the answer to one request: called at most once, possibly later and after the
// connection has gone (then it does nothing). A value; dropped without a call, the request simply
// has no answer (router wire). Holds no pointer to the connection.
class Reply {
 public:
  // Implemented by the owner of the connections: finds one by number, or does nothing.
  class Desk {
   public:
    virtual void on_reply(uint64_t connection, uint64_t request, BufferRef bytes) = 0;

   protected:
    ~Desk() = default;
  };
  Reply(Desk& desk, uint64_t connection, uint64_t request)
      : desk_(&desk), connection_(connection), request_(request) {}
  // Command::source of the commands of this connection.
  uint64_t source() const {
    return (connection_ << 24) ^ uint64_t(reinterpret_cast<uintptr_t>(desk_));
  }
  void operator()(std::string_view bytes) const { (*this)(BufferRef::concat(bytes)); }
  void operator()(BufferRef bytes) const {
    desk_->on_reply(connection_, request_, std::move(bytes));
  }

 private:
  Desk* desk_;
  uint64_t connection_, request_;
};

class Face {
 public:
  enum class Step : uint8_t {
    need_more,  // no whole request yet
    taken,      // one request was taken; its reply comes, now or later. Also for something that
                // is answered in between (HTTP's 100 Continue)
    silent,     // one request was taken that has no answer
    last,       // as `taken`, and nothing after it is read: the connection ends with its answer
    wait,       // not before all earlier answers are in; nothing was used
  };
  virtual ~Face() = default;

  // Looks for one request at the start of `bytes` and begins to carry it out. `used`: how many
  // bytes the connection can forget (0 before the call). Without progress (`need_more` or `wait`) it
  // is called again with the same bytes and more, or when `quiet` has become true. `quiet`: every
  // earlier request has its answer.
  virtual Step step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) = 0;
  // Is half a request in it (bytes used up by need_more)?
  virtual bool in_request() const = 0;
  // How long the connection may stay without a request; 0: for ever (RESP, router wire: the
  // kernel's keep-alive finds dead ones). May change with every request.
  virtual uint64_t idle_ms() const = 0;
  // The worker drains or ends: must the connection be kept (it subscribed) while there is time?
  virtual bool wants_to_stay() const { return false; }
  // Has the caller shown the token that the listener asks for? Until then it is a stranger to the connection.
  virtual bool knows_caller() const { return true; }
  // After restore(): does the token that the caller had shown still count, by this process's configuration?
  enum class Grant : uint8_t {
    kept,
    withdrawn,         // it is a stranger again, and may show another token
    withdrawn_in_use,  // of a subscription or a trace, which must end: take_leave()
  };
  virtual Grant grant() const { return Grant::kept; }
  // Ends the subscriptions or the trace that the caller may have no longer. The bytes are the last it gets.
  virtual std::string take_leave() { return {}; }
  // Handover, while no answer is owed: a record of the face's own, and back into a fresh one, which writes
  // nothing into the segment. False: the record makes no sense.
  virtual std::string save() const = 0;
  virtual bool restore(std::string_view record) = 0;
  // To an idle connection that is closed because the worker ends, before the end; "" for nothing.
  virtual std::string_view farewell() const { return {}; }
};

}  // namespace holdfast::api
