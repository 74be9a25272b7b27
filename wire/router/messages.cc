#include "wire/router/messages.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"

namespace holdfast::api {

// A negative length is one above kRouterTextLength.
RouterRead read_router_message(std::string_view bytes, size_t max_what, RouterMessage* message,
                               size_t* used) {
  if (bytes.size() < kRouterHeadBytes) return RouterRead::need_more;
  uint16_t whom_bytes = load_be16(bytes.data() + 2);
  uint32_t what_bytes = load_be32(bytes.data() + 4);
  if (what_bytes > max_what || what_bytes >= kRouterTextLength) return RouterRead::bad;
  size_t size = kRouterHeadBytes + whom_bytes + what_bytes;
  if (bytes.size() < size) return RouterRead::need_more;
  message->type = load_be16(bytes.data());
  message->whom = bytes.substr(kRouterHeadBytes, whom_bytes);
  message->what = bytes.substr(kRouterHeadBytes + whom_bytes, what_bytes);
  *used = size;
  return RouterRead::complete;
}

BufferRef router_message(const RouterMessage& message) {
  HF_CHECK(message.whom.size() <= UINT16_MAX && message.what.size() < kRouterTextLength);
  char head[kRouterHeadBytes];
  store_be16(head, message.type);
  store_be16(head + 2, uint16_t(message.whom.size()));
  store_be32(head + 4, uint32_t(message.what.size()));
  return BufferRef::concat({head, sizeof head}, message.whom, message.what);
}

}  // namespace holdfast::api
