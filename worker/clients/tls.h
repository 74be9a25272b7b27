// worker/clients/tls.h - clients that speak TLS, on each wire.
#pragma once

#include "worker/clients/event_stream.h"
#include "worker/clients/framed_tcp.h"
#include "worker/clients/websocket.h"
#include "worker/net/tls_connection.h"

namespace holdfast {

extern template class TlsConnection<EventStream>;
extern template class TlsConnection<FramedTcp>;
extern template class TlsConnection<WebSocket>;

}  // namespace holdfast
