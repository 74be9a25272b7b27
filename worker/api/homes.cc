#include "worker/api/homes.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "worker/api/http/face.h"
#include "worker/api/resp/face.h"
#include "worker/api/router/face.h"

namespace holdfast {
namespace {

template <class Face>
std::unique_ptr<api::Face> make_face(const api::ApiContext& context, api::Wire& wire) {
  return std::make_unique<Face>(context, wire);
}

// One row a protocol.
struct FaceRow {
  conf::ApiProtocol protocol;
  ApiHome::MakeFace make;
};
constexpr FaceRow kFaces[] = {
    {conf::ApiProtocol::http, make_face<api::HttpFace>},
    {conf::ApiProtocol::resp, make_face<api::RespFace>},
    {conf::ApiProtocol::router, make_face<api::RouterFace>},
};

ApiHome::MakeFace maker_of(conf::ApiProtocol protocol) {
  const auto* row = std::find_if(std::begin(kFaces), std::end(kFaces),
                                 [&](const FaceRow& r) { return r.protocol == protocol; });
  HF_CHECK(row != std::end(kFaces));
  return row->make;
}

// Port 0 may stand there several times: the n-th of them is the n-th of the next configuration too, as the
// master sees it (master/listen_sockets.h L3).
std::string name_of_api(const std::vector<conf::Api>& apis, size_t index) {
  const conf::Api& api = apis[index];
  auto before = std::count_if(
      apis.begin(), apis.begin() + std::ptrdiff_t(index), [&](const conf::Api& other) {
        return other.address == api.address && other.protocol == api.protocol;
      });
  return fmt::format("{} {} {}", int(api.protocol), api.address.text, before);
}

}  // namespace

ApiHome& ApiHomes::at(size_t index) {
  ApiHome*& home = by_api_[index];
  if (home == nullptr) {
    const conf::Config& config = runtime_.config;
    const conf::Api& conf = config.apis[index];
    api::ApiContext context{&config,  &conf,           heritage_.segment,  heritage_.slot,
                            &router_, &runtime_.stats, &runtime_.draining, &hub_,
                            &tracer_, &complaints_,    runtime_.catch_up};
    home = &homes_.emplace_back(runtime_, connections_, context, maker_of(conf.protocol),
                                contexts_.make(conf.tls, conf.client_ca), &strangers_);
    home->name = name_of_api(config.apis, index);
  }
  return *home;
}

ApiHome* ApiHomes::named(const std::string& name) {
  for (size_t i = 0; i < by_api_.size(); ++i)
    if (name_of_api(runtime_.config.apis, i) == name) return &at(i);
  return nullptr;
}

void ApiHomes::hold(bool on) {
  for (ApiHome& home : homes_) home.hold(on);
}

bool ApiHomes::settled() const {
  return std::all_of(homes_.begin(), homes_.end(),
                     [](const ApiHome& home) { return home.settled(); });
}

}  // namespace holdfast
