// worker/api/http/face.h - HTTP/1.1 requests of one connection, in and out: the reading, the order,
// the end. Their meaning is in routes.h.
//
//   in hand                                    step() says
//   half a request                             need_more
//   its header, with "Expect: 100-continue"    taken: that has an answer of its own
//   no HTTP                                    last, answered 400, 413, 431 ...; api.bad_input
//   a request with "Connection: close", or     last, the answer says close
//     while the worker drains
//   a request after one that holds it back     wait (Behind::nothing)
//   any other request                          taken
//   a header that is refused (token, path,     taken, the body is passed over; or last, if that would
//     method), before its body is there          be long, or it is not sure to come (Expect)
//   anything after GET /v1/trace               need_more: thrown away
#pragma once

#include "worker/api/http/routes.h"

namespace holdfast::api {

class HttpFace final : public Face {
 public:
  HttpFace(const ApiContext& context, Wire& wire);

  Step step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) override;
  bool in_request() const override { return reader_.started(); }
  uint64_t idle_ms() const override { return caller_.trace ? 0 : kIdleMs; }
  std::string_view farewell() const override;
  std::string save() const override;
  bool restore(std::string_view record) override;
  bool knows_caller() const override {
    // A trace that an older version has handed over does not name its token.
    return caller_.context.api->tokens.empty() || caller_.token.scopes != 0 || caller_.trace;
  }
  Grant grant() const override { return grant_; }
  std::string take_leave() override;

 private:
  static constexpr uint64_t kIdleMs = 75'000;
  Step judge_header(const Reply& reply);
  void judge_again(std::string_view digest, bool traces);
  Step take(const Reply& reply);

  Caller caller_;
  http::RequestReader reader_;
  bool held_back_ = false;  // the last request changes state
  bool continued_ = false;  // "100 Continue" was sent for the request under way
  Grant grant_ = Grant::kept;
};

}  // namespace holdfast::api
