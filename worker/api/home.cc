#include "worker/api/home.h"

#include <algorithm>
#include <utility>

#include "worker/api/connection.h"
#include "worker/net/tls/anchors.h"

namespace holdfast {

void ApiHome::on_reply(uint64_t connection, uint64_t request, BufferRef bytes) {
  auto it = connections.find(connection);
  if (it != connections.end()) it->second->on_reply(request, std::move(bytes));
}

void ApiHome::hold(bool on) {
  held = on;
  std::vector<ApiConnection*> all;  // going on may end one
  for (const auto& [number, connection] : connections) all.push_back(connection);
  for (ApiConnection* connection : all) connection->hold(on);
}

bool ApiHome::settled() const {
  return std::all_of(connections.begin(), connections.end(), [](const auto& entry) {
    return entry.second->retired() || entry.second->row_.empty();
  });
}

bool ApiHome::accepts_anchor(const std::string& anchor) {
  const std::string& client_ca = context.api->client_ca;
  if (client_ca.empty()) return true;  // the tokens decide, or nobody
  if (anchors_.empty()) anchors_ = tls::anchors_in(client_ca);
  return std::find(anchors_.begin(), anchors_.end(), anchor) != anchors_.end();
}

}  // namespace holdfast
