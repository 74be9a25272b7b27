// worker/api/router/face.h - a program that pushes as it did through the fooking gateway's router
// (wire/router/messages.h).
//
//   in hand                                   step() says
//   a part of a message                       need_more
//   a length that cannot be                   last, without a word; counted as api.bad_input
//   a message after kick, join or leave       wait, until that one has been carried out
//   send, send_all, publish                   silent
//   kick, join, leave                         taken, and answered with nothing when it is done
//   info                                      taken
//   any other message, or one without sense   silent: left out as a whole; counted as api.errors
//
// Nothing but info has an answer in this protocol, so messages left out are reported in the log.
// Senders have no name here: the listener is loopback or unix or has a client_ca, and no tokens (conf/read_api.cc).
#pragma once

#include <string>

#include "wire/router/messages.h"
#include "worker/api/face.h"
#include "worker/api/router/record.h"

namespace holdfast::api {

class RouterFace final : public Face {
 public:
  // Needs context.complaints.
  RouterFace(const ApiContext& context, Wire&) : context_(context) {}

  Step step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) override;
  bool in_request() const override { return false; }
  // Programs open a connection and leave it to the end of their process, or of a garbage collector's
  // patience.
  uint64_t idle_ms() const override { return 0; }
  std::string save() const override { return handover::save(handover::RouterRecord{held_back_}); }
  bool restore(std::string_view bytes) override {
    handover::RouterRecord record;
    bool good = handover::load(bytes, record);
    held_back_ = record.held_back;
    return good;
  }

 private:
  Step take(const RouterMessage& message, const Reply& reply);
  Step carry_out(const RouterMessage& message, Command& command, const Reply& reply);
  Step leave_out(const RouterMessage& message, std::string_view why) const;
  Step give_up(const Reply& reply) const;
  std::string info() const;

  const ApiContext& context_;
  bool held_back_ = false;  // the last message changes state
};

}  // namespace holdfast::api
