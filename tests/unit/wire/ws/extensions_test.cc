// Every way to offer permessage-deflate, and its answer (wire/ws/extensions.h, RFC 7692 section 7.1).
#include "wire/ws/extensions.h"

#include <gtest/gtest.h>

namespace holdfast::ws {
namespace {

// What the answer says behind "permessage-deflate; server_no_context_takeover"; "-": no extension; "fails".
std::string answer(const std::vector<std::string>& headers, const DeflatePolicy& policy) {
  http::Request request;
  for (const std::string& value : headers)
    request.headers.push_back({"sec-websocket-EXTENSIONS", value});
  std::optional<DeflateTerms> terms = negotiate(request, policy);
  if (!terms) return "fails";
  std::string line = extensions_line(*terms);
  if (line.empty()) return "-";
  const std::string begin =
      "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover";
  EXPECT_TRUE(line.starts_with(begin) && line.ends_with("\r\n")) << line;
  return line.substr(begin.size(), line.size() - begin.size() - 2);
}

struct Row {
  std::string offer;
  std::string answer;
};

TEST(Extensions, OffersAreAnsweredWithoutClientContextTakeover) {
  const std::string no = "; client_no_context_takeover";
  const Row rows[] = {
      {"permessage-deflate", no},
      {"permessage-deflate; client_max_window_bits", no},  // Chromium
      {"  permessage-deflate ;\tclient_max_window_bits  ", no},
      {"permessage-deflate; client_no_context_takeover", no},
      {"permessage-deflate; server_no_context_takeover", no},
      {"permessage-deflate; server_max_window_bits=8", no + "; server_max_window_bits=8"},
      {"permessage-deflate; server_max_window_bits = 10", no + "; server_max_window_bits=10"},
      {"permessage-deflate; server_max_window_bits=15", no + "; server_max_window_bits=15"},
      {R"(permessage-deflate; server_max_window_bits="12")", no + "; server_max_window_bits=12"},
      {R"(permessage-deflate; server_max_window_bits="1\2")", no + "; server_max_window_bits=12"},
      {"permessage-deflate; client_max_window_bits=15", no},
      {"permessage-deflate; client_max_window_bits=8", no + "; client_max_window_bits=8"},
      {"permessage-deflate; client_max_window_bits=9; server_max_window_bits=11; "
       "client_no_context_takeover; server_no_context_takeover",
       no + "; server_max_window_bits=11; client_max_window_bits=9"},
      // Not there, or another
      {"", "-"},
      {"x-webkit-deflate-frame", "-"},
      {"permessage-bzip2; level=9", "-"},
      {"permessage-deflate-x", "-"},
      // Declined
      {"permessage-deflate; level=9", "-"},
      {"permessage-deflate; server_max_window_bits", "-"},
      {"permessage-deflate; server_max_window_bits=7", "-"},
      {"permessage-deflate; server_max_window_bits=16", "-"},
      {"permessage-deflate; server_max_window_bits=08", "-"},
      {"permessage-deflate; server_max_window_bits=1O", "-"},
      {"permessage-deflate; server_max_window_bits=-9", "-"},
      {"permessage-deflate; server_max_window_bits=264", "-"},
      {"permessage-deflate; client_max_window_bits=7", "-"},
      {"permessage-deflate; client_max_window_bits=16", "-"},
      {"permessage-deflate; client_max_window_bits=015", "-"},
      {"permessage-deflate; client_no_context_takeover=true", "-"},
      {"permessage-deflate; server_no_context_takeover=1", "-"},
      {"permessage-deflate; client_no_context_takeover; client_no_context_takeover", "-"},
      {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "-"},
      {"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", "-"},
      {"permessage-deflate; client_max_window_bits; client_max_window_bits=10", "-"},
      {"permessage-deflate; client_max_window_bits=10; client_max_window_bits", "-"},
      // The first that can be accepted
      {"permessage-deflate; server_max_window_bits=99, permessage-deflate", no},
      {"permessage-deflate; server_max_window_bits=9, permessage-deflate",
       no + "; server_max_window_bits=9"},
      {"permessage-deflate, permessage-deflate; server_max_window_bits=9", no},
      {"foo; bar=\"baz\", , permessage-deflate; x, permessage-deflate; client_max_window_bits=9,",
       no + "; client_max_window_bits=9"},
      // RFC 6455 section 9.1
      {"permessage-deflate;", "fails"},
      {"permessage-deflate; ; client_max_window_bits", "fails"},
      {"permessage-deflate; client_max_window_bits=", "fails"},
      {"permessage-deflate; client_max_window_bits=\"\"", "fails"},
      {"permessage-deflate; client_max_window_bits=\"9", "fails"},
      {"permessage-deflate; client_max_window_bits=\"9\\", "fails"},
      {"permessage-deflate; client_max_window_bits=\"9 \"", "fails"},
      {"permessage-deflate client_max_window_bits", "fails"},
      {"permessage-deflate; client_max_window_bits=9 9", "fails"},
      {"permessage-deflate; =9", "fails"},
      {"permessage/deflate", "fails"},
      {"\xc3\xa9", "fails"},
      {"permessage-deflate, foo;", "fails"},
  };
  for (const Row& row : rows) EXPECT_EQ(answer({row.offer}, {}), row.answer) << row.offer;
}

TEST(Extensions, ClientsMayTakeTheirContextOverWhereThePolicyAllowsIt) {
  const Row rows[] = {
      {"permessage-deflate", ""},
      {"permessage-deflate; client_max_window_bits", ""},
      {"permessage-deflate; client_max_window_bits=12", "; client_max_window_bits=12"},
      {"permessage-deflate; client_no_context_takeover", "; client_no_context_takeover"},
      {"permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(answer({row.offer}, {.client_takeover = true}), row.answer) << row.offer;
}

TEST(Extensions, SmallerWindowsAreDemandedOfWhoKnowsTheParameter) {
  const Row rows[] = {
      {"permessage-deflate", "; client_no_context_takeover"},
      {"permessage-deflate; client_max_window_bits", "; client_max_window_bits=10"},
      {"permessage-deflate; client_max_window_bits=15", "; client_max_window_bits=10"},
      {"permessage-deflate; client_max_window_bits=9", "; client_max_window_bits=9"},
      {"permessage-deflate; client_max_window_bits; client_no_context_takeover",
       "; client_no_context_takeover; client_max_window_bits=10"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(answer({row.offer}, {.client_takeover = true, .client_max_window_bits = 10}),
              row.answer)
        << row.offer;
}

TEST(Extensions, SeveralHeadersAreOneList) {
  const std::string no = "; client_no_context_takeover";
  EXPECT_EQ(answer({}, {}), "-");
  EXPECT_EQ(answer({"foo", "permessage-deflate"}, {}), no);
  EXPECT_EQ(answer({"permessage-deflate; level=1", "permessage-deflate; server_max_window_bits=9",
                    "permessage-deflate"},
                   {}),
            no + "; server_max_window_bits=9");
  EXPECT_EQ(answer({"permessage-deflate", "foo;"}, {}), "fails");
}

TEST(Extensions, TermsComeBackFromTheirByte) {
  EXPECT_FALSE(DeflateTerms().on());
  for (bool takeover : {false, true})
    for (unsigned client = 8; client <= 15; ++client)
      for (unsigned server = 7; server <= 15; ++server) {
        DeflateTerms terms(server == 7 ? std::nullopt : std::optional(server), client, takeover);
        EXPECT_TRUE(terms.on());
        EXPECT_EQ(terms.server_bits(), server == 7 ? 15 : server);
        EXPECT_EQ(terms.server_bits_asked(), server != 7);
        EXPECT_EQ(terms.client_bits(), client);
        EXPECT_EQ(terms.client_takeover(), takeover);
        EXPECT_EQ(DeflateTerms::unpack(terms.packed()), terms);
      }
  EXPECT_EQ(DeflateTerms::unpack(0), DeflateTerms());
  for (int senseless : {1, 6, 0x70, 0x80, 0xf6})
    EXPECT_FALSE(DeflateTerms::unpack(uint8_t(senseless))) << senseless;
}

}  // namespace
}  // namespace holdfast::ws
