#include "worker/clients/framed_tcp.h"

#include "simdjson.h"
#include "wire/tcp/record.h"

namespace holdfast {

std::unique_ptr<Entrance> FramedTcp::make_entrance(const shm::SessionOrigin& origin) {
  return std::make_unique<Entrance>(*this, origin);
}

void FramedTcp::proceed(std::string_view early) {
  entrance_->keep_early(early);
  begin_session(entrance_->origin(), nullptr);
}

// ---- decoding

tcp::Framer FramedTcp::make_framer() const {
  return {*home().listen.framing, uint32_t(runtime_.config.limits.max_message_size)};
}

std::unique_ptr<KeptInput> FramedTcp::make_kept() const {
  return std::make_unique<KeptCodec<tcp::Framer>>(make_framer());
}

size_t FramedTcp::feed(std::span<char> bytes) {
  return feed_and_keep<tcp::Framer>(
      kept_, [this] { return make_framer(); },
      [&](tcp::Framer& framer) { return feed(framer, bytes); });
}

size_t FramedTcp::feed(tcp::Framer& framer, std::span<char> bytes) {
  size_t used = framer.feed(bytes, *this);
  switch (framer.error()) {
    case tcp::FrameError::none:
      break;
    case tcp::FrameError::too_long:
      close(1009, "message too long", EndReason::protocol);
      break;
    case tcp::FrameError::bad_length:
      close(1002, "bad length", EndReason::protocol);
      break;
  }
  return used;
}

// TCP has no opcodes: what is text by its bytes is passed on as text.
bool FramedTcp::on_message(std::string_view message) {
  if (phase() != Phase::open) return false;
  return received(!simdjson::validate_utf8(message.data(), message.size()), message);
}

// ---- the client's goodbye

void FramedTcp::on_end_of_input() {
  if (phase() != Phase::open) return Client::on_end_of_input();
  enter(Phase::half_closed);
  read_on(false);
  all_answered();
}

void FramedTcp::all_answered() {
  if (phase() != Phase::half_closed || home().backend.busy(*session_)) return;
  end_session(EndReason::client_closed, 1000);
  if (output_empty()) {
    shut_down_writing();
    return retire();
  }
  linger();
  read_on(false);  // or its end of file would be told again and again
}

// ---- handover

void FramedTcp::save_wire(handover::ClientRecord& r) const {
  r.framer = kept_ ? codec_of<tcp::Framer>(*kept_).save() : make_framer().save();
}

bool FramedTcp::restore_wire(handover::ClientRecord& r) {
  if (r.deflate != 0 || !r.framer) return false;  // nothing is deflated here
  tcp::Framer framer = make_framer();
  if (!framer.restore(std::move(*r.framer))) return false;
  if (!framer.fresh()) kept_ = std::make_unique<KeptCodec<tcp::Framer>>(std::move(framer));
  return true;
}

}  // namespace holdfast
