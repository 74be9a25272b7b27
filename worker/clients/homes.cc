#include "worker/clients/homes.h"

namespace holdfast {

ClientHome& ClientHomes::at(size_t index) {
  ClientHome*& home = by_listen_[index];
  if (home == nullptr) {
    const conf::Listen& listen = runtime_.config.listens[index];
    home = &homes_.emplace_back(ClientHome{runtime_, connections_, sessions_, listen,
                                           uint16_t(index), backends_.of(listen), admission_,
                                           contexts_.make(listen.tls), passage_});
  }
  return *home;
}

ClientHome* ClientHomes::of(std::string_view address, std::string_view path) {
  const std::vector<conf::Listen>& listens = runtime_.config.listens;
  for (size_t i = 0; i < listens.size(); ++i)
    if (listens[i].protocol == conf::Protocol::websocket && listens[i].address.text == address &&
        listens[i].path == path)
      return &at(i);
  return nullptr;
}

ClientHome& ClientHomes::keep(const conf::Listen& listen, uint16_t number, Backend& backend) {
  return homes_.emplace_back(
      ClientHome{runtime_, connections_, sessions_, listen, number, backend, admission_});
}

}  // namespace holdfast
