#include "worker/clients/tls.h"

#include "worker/net/tls_connection_impl.h"

namespace holdfast {

template class TlsConnection<EventStream>;
template class TlsConnection<FramedTcp>;
template class TlsConnection<WebSocket>;

}  // namespace holdfast
