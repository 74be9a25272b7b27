// tests/unit/master/fake_handover.h - how fake workers give each other a slot, over the socket that
// the master gave them.
//
// One byte each: 'c' a client (with its descriptor), 'e' these were all; 'r' and a pid from the
// successor: it has them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

namespace holdfast::test {

// Predecessor: sends the clients. The successor's pid once it has them all; nothing where it went
// away or says nothing for a second.
std::optional<pid_t> send_clients(int socket, const std::vector<int>& clients);
// Successor: the clients, once they are all here. Nothing where the predecessor went away.
std::optional<std::vector<int>> receive_clients(int socket);
// Successor: returns when the predecessor has closed its end.
void await_end(int socket);

}  // namespace holdfast::test
