// worker/clients/tls.h - a client that speaks TLS.
#pragma once

#include "worker/clients/client.h"
#include "worker/net/tls_connection.h"

namespace holdfast {

extern template class TlsConnection<Client>;

}  // namespace holdfast
