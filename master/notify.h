// master/notify.h - reports our progress to systemd (Type=notify): datagrams to the socket named by
// NOTIFY_SOCKET.
#pragma once

#include <string_view>

namespace holdfast::master {

// "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=...". Nothing happens if nobody asked
// (no NOTIFY_SOCKET). A datagram that cannot be sent is logged: the service manager would wait for
// it.
void notify(std::string_view state);
void notify_reloading();

}  // namespace holdfast::master
