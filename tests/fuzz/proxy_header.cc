// The PROXY header of a connection, and an entry of X-Forwarded-For or Forwarded.
#include "wire/proxy/header.h"

#include "tests/fuzz/fuzz.h"
#include "wire/proxy/forwarded.h"

namespace {

using namespace holdfast;
using proxy::Header;
using proxy::Status;

bool same(const Header& a, const Header& b) {
  if (a.status != b.status || a.source.has_value() != b.source.has_value()) return false;
  if (a.status == Status::done && a.used != b.used) return false;
  return !a.source || (std::memcmp(&a.source->address, &b.source->address, 16) == 0 &&
                       a.source->port == b.source->port);
}

// A header is judged by all that has come; once it is judged, what comes behind changes nothing.
void try_header(std::string_view bytes) {
  Header judged{.status = Status::need_more};
  for (size_t size = 0; size <= bytes.size(); ++size) {
    Header now = proxy::read_header(fuzz::Piece(bytes.substr(0, size)).view());
    if (judged.status == Status::need_more) {
      fuzz::expect(now.status == Status::need_more || size > 0, "nothing is judged by no bytes");
      fuzz::expect(now.status != Status::need_more || size < proxy::kMaxHeaderBytes,
                   "it is judged when the bound is reached");
      fuzz::expect(now.status != Status::done || now.used == size,
                   "it is done with its last byte, and takes all of them");
      judged = now;
    } else {
      fuzz::expect(same(now, judged), "what comes behind a header changes nothing");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::view(data, size);
  try_header(bytes);
  (void)proxy::address_of_node(fuzz::Piece(bytes).view());
  for (auto forwarded : {conf::Forwarded::x_forwarded_for, conf::Forwarded::standard}) {
    conf::Listen listen;
    listen.forwarded = forwarded;
    http::Request request;
    request.headers.push_back(
        {forwarded == conf::Forwarded::standard ? "Forwarded" : "X-Forwarded-For",
         std::string(bytes)});
    (void)proxy::client_behind(request, listen, in6addr_loopback);
  }
  return 0;
}
