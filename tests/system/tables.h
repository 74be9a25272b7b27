// tests/system/tables.h - configurations the system tests share.
#pragma once

#include <string>

namespace holdfast::test {

inline std::string relay_ws(const std::string& more = {}) {
  return "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"websocket\"\npath = \"/ws\"\nbackend "
         "= \"relay\"\n" +
         more + "\n";
}
inline std::string echo_ws(const std::string& more = {}) {
  return "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"websocket\"\npath = \"/ws\"\nbackend "
         "= \"echo\"\n" +
         more + "\n";
}
// 4-byte big-endian length. Relay to channel "tcp".
inline std::string relay_tcp() {
  return "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nbackend = \"relay\"\nchannels "
         "= [\"tcp\"]\n"
         "framing = { kind = \"length\", offset = 0, size = 4, order = \"big\", includes_header = "
         "false }\n";
}
inline std::string app_ws(const std::string& more = {}) {
  return "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"websocket\"\npath = \"/ws\"\nbackend "
         "= \"app\"\n" +
         more + "\n";
}

}  // namespace holdfast::test
