#include "worker/clients/entrance.h"

#include <cstring>
#include <utility>

#include "base/log.h"
#include "wire/http/request.h"
#include "wire/proxy/header.h"
#include "worker/clients/client.h"
#include "worker/net/address_text.h"

namespace holdfast {

void Entrance::take_proxy_header(std::string_view bytes) {
  early_ += bytes;  // what is not whole yet is shorter than a header may be
  proxy::Header header = proxy::read_header(early_);
  if (header.status == proxy::Status::need_more) return;
  if (header.status == proxy::Status::bad) {
    client_.runtime_.stats.handshakes_bad_proxy.add();
    static LogGate gate;
    if (uint64_t n = gate.pass())
      log_warn("connection of a proxy does not begin with a PROXY header peer={} times={}",
               peer_text(origin_), n);
    return client_.retire();
  }
  if (header.source) {
    origin_.peer = header.source->address;
    origin_.peer_port = header.source->port;
  }
  std::string rest = early_.substr(header.used);
  early_.clear();
  if (!client_.home().listen.trusts(origin_.peer) && !admit(client_.tells())) return;
  client_.proceed(rest);
}

bool Entrance::admit(bool can_tell, Admission::Who who) {
  Admission& admission = client_.home().admission;
  Admission::Verdict verdict = admission.enter(origin_, who);
  if (verdict == Admission::Verdict::admitted) return true;
  if (can_tell && verdict != Admission::Verdict::no_memory && admission.begin_farewell()) {
    turn_away(verdict);
  } else {
    client_.retire();
  }
  return false;
}

void Entrance::turn_away(Admission::Verdict why) {
  refused_ = true;
  client_.runtime_.stats.handshakes_refused.add();
  std::string_view text = why == Admission::Verdict::too_many
                              ? "too many connections from your address\n"
                              : "too many new connections from your address\n";
  client_.enqueue(
      BufferRef::concat(http::make_response(429, "text/plain", text, false, retry_after())),
      Urgency::urgent);
  client_.linger();
}

void Entrance::leave() {
  Admission& admission = client_.home().admission;
  admission.leave(origin_.address_place);
  if (refused_) admission.farewell_done();
}

void Entrance::save(handover::ClientRecord& r) const {
  std::memcpy(r.origin.peer, &origin_.peer, sizeof r.origin.peer);
  r.origin.port = origin_.peer_port;
  r.origin.address_place = origin_.address_place;
  r.early = early_;
}

void Entrance::restore(handover::ClientRecord& r) {
  early_ = std::move(r.early);
}

}  // namespace holdfast
