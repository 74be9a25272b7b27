#include <utility>

#include "worker/backends/fcgi/connection.h"

namespace holdfast::fcgi {

CarriedRecord Connection::save() const {
  CarriedRecord r;
  r.exchange = save_exchange(*exchange_, shared_.servers);
  r.server = address().text;
  r.state = uint8_t(state_);
  r.error = error_;
  r.reader = reader_.save();
  r.output = output_;
  r.stderr_line = stderr_line_;
  r.sent = sent_;
  r.began_ms = began_ms_;
  r.sign_of_life_ms = sign_of_life_ms_;
  r.born_ms = born_ms_;
  r.keep = keep_;
  r.waits = waits_;
  r.proven = proven_;
  r.received = received_;
  r.reused = reused_;
  r.said = said_;
  return r;
}

bool Connection::restore(CarriedRecord&& r, ExchangePtr exchange, UniqueFd fd) {
  bool known = r.state >= uint8_t(State::sending) && r.state <= uint8_t(State::answering);
  if (!known || r.sent > exchange->bytes.size() || !reader_.restore(r.reader)) return false;
  exchange_ = std::move(exchange);
  fd_ = std::move(fd);
  io_.emplace(shared_.loop, fd_.get(), *this, Call<&Connection::on_ready>{});
  state_ = State(r.state);
  error_ = r.error;
  output_ = std::move(r.output);
  stderr_line_ = std::move(r.stderr_line);
  sent_ = size_t(r.sent);
  began_ms_ = r.began_ms;
  sign_of_life_ms_ = r.sign_of_life_ms;
  born_ms_ = r.born_ms;
  keep_ = r.keep;
  waits_ = r.waits;
  proven_ = r.proven;
  received_ = r.received;
  reused_ = r.reused;
  said_ = r.said;
  counted_ = true;
  io_->watch(all_sent() || error_ != 0 ? kRead : short(kRead | kWrite));
  return true;
}

}  // namespace holdfast::fcgi
