// worker/api/resp/face.h - a Redis client's connection: requests in, RESP2 or RESP3 out, and messages
// of the channels it has subscribed to.
//
//   in hand                                      step() says
//   half a request                               need_more
//   a request without a word                     silent
//   one that is too long, but not too long to    need_more, then taken
//     skip                                       with an error
//   no RESP, or bytes of a web browser           last, with Redis's error; counted as api.bad_input
//   a request after a change of state            wait
//   SUBSCRIBE, HELLO, RESET, QUIT ... and        wait
//     earlier requests are not answered
//   QUIT                                         last
//   any other request                            taken
//
// A request is judged in the order of a Redis server: does the command exist, is the number of
// arguments right, is the connection authenticated, does its token allow it, and is it allowed on a
// RESP2 connection that has subscribed. After MULTI a good one is queued (transaction.h). The commands stand in commands.h.
#pragma once

#include "wire/resp/request_reader.h"
#include "worker/api/face.h"
#include "worker/api/resp/commands.h"
#include "worker/api/resp/subscriber.h"
#include "worker/api/resp/transaction.h"

namespace holdfast::api {

class RespFace final : public Face {
 public:
  RespFace(const ApiContext& context, Wire& wire);

  Step step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) override;
  bool in_request() const override { return reader_.started(); }
  uint64_t idle_ms() const override { return 0; }
  bool wants_to_stay() const override { return subscriber_.count() > 0 || transaction_.open(); }
  std::string save() const override;
  bool restore(std::string_view record) override;
  bool knows_caller() const override { return state_.scopes != 0; }
  Grant grant() const override { return grant_; }
  std::string take_leave() override;

 private:
  Step take(bool quiet, const Reply& reply, size_t* used);
  void judge_again();
  Step queue(const RespCommand& command, const RespAnswer& answer);
  Step refuse(std::string_view why, const RespAnswer& answer);
  Step give_up(std::string_view why, const Reply& reply);
  std::string refusal_of(const RespCommand& command) const;

  const ApiContext& context_;
  RespState state_;
  RespSubscriber subscriber_;
  RespTransaction transaction_;
  resp::RequestReader reader_;
  bool held_back_ = false;  // the last request changes state
  Grant grant_ = Grant::kept;
};

}  // namespace holdfast::api
