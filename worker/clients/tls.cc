#include "worker/clients/tls.h"

#include "worker/net/tls_connection_impl.h"

namespace holdfast {

template class TlsConnection<Client>;

}  // namespace holdfast
