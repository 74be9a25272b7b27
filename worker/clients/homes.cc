#include "worker/clients/homes.h"

namespace holdfast {

ClientHome& ClientHomes::at(size_t index) {
  ClientHome*& home = by_listen_[index];
  if (home == nullptr) {
    const conf::Listen& listen = runtime_.config.listens[index];
    home = &homes_.emplace_back(ClientHome{runtime_, connections_, sessions_, listen,
                                           uint16_t(index), backends_.of(listen), admission_,
                                           contexts_.make(listen.tls)});
  }
  return *home;
}

ClientHome& ClientHomes::keep(const conf::Listen& listen, uint16_t number, Backend& backend) {
  return homes_.emplace_back(
      ClientHome{runtime_, connections_, sessions_, listen, number, backend, admission_});
}

}  // namespace holdfast
