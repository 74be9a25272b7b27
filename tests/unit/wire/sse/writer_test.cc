// Events are read back here by a reader that follows the HTML standard's words ("9.2.6 Interpreting an event stream") and shares
// nothing with the writer.

#include "wire/sse/writer.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/unit/every_division.h"

namespace holdfast {
namespace {

using test::Pieces;
using test::Told;

class Reader {
 public:
  void feed(std::string_view bytes) {
    for (char c : bytes) {
      bool after_cr = std::exchange(cr_, c == '\r');
      if (c == '\n' && after_cr) continue;
      if (c != '\r' && c != '\n') {
        line_ += c;
        continue;
      }
      take(std::exchange(line_, {}));
    }
  }
  Told told;

 private:
  void take(const std::string& line) {
    if (line.empty()) return dispatch();
    size_t colon = line.find(':');
    if (colon == 0) return told.push_back("comment" + line.substr(1));
    std::string value = colon == line.npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.erase(0, 1);
    std::string field = line.substr(0, colon);
    if (field == "data") data_ += value + '\n';
    if (field == "event") name_ = value;
    if (field == "id" && value.find('\0') == value.npos) id_ = value;
    if (field == "retry") told.push_back("retry " + value);
  }
  void dispatch() {
    std::string name = std::exchange(name_, {}), data = std::exchange(data_, {});
    if (data.empty()) return;
    data.pop_back();
    told.push_back((name.empty() ? "message" : name) + " id=" + id_ + " " + data);
  }
  std::string line_, data_, name_, id_;
  bool cr_ = false;
};

Told read_back(const std::string& bytes) {
  Reader reader;
  reader.feed(bytes);
  return reader.told;
}

TEST(SseWriter, AReaderGetsTheMessageBack) {
  for (const char* text :
       {"hello", "", " ", " a leading blank", "data: x", ":", "id: 7", "two\nlines", "\n", "\n\n",
        "ends\n", "\nbegins", "a\n\nb", "{\"json\": [1,\n2]}", "Gr\xc3\xbc\xc3\x9f"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(read_back(sse::message({text})), Told{std::string("message id= ") + text});
  }
}

// Every end of a line is one, alone or beside others, and comes back as LF.
TEST(SseWriter, EverySequenceOfLineEndsIsSplitAsTheStandardHasIt) {
  constexpr std::array<char, 3> kBytes = {'x', '\r', '\n'};
  for (int n = 0; n < 243; ++n) {
    std::string text, expected;
    for (int rest = n, i = 0; i < 5; ++i, rest /= 3) text += kBytes[size_t(rest % 3)];
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') continue;
      expected += text[i] == 'x' ? 'x' : '\n';
    }
    ASSERT_EQ(read_back(sse::message({text})), Told{"message id= " + expected}) << n;
  }
}

TEST(SseWriter, NameAndIdAreFields) {
  EXPECT_EQ(read_back(sse::message({"a", "room1", "ep:7"}) + sse::message({"b"})),
            (Told{"room1 id=ep:7 a", "message id=ep:7 b"}));
}

TEST(SseWriter, AnIdStandsAloneOrBeforeAMessage) {
  EXPECT_EQ(read_back(sse::id_alone("e:1") + sse::message({"a"}) + sse::id_line("e:2") +
                      sse::message({"b"}) + sse::control_event("c", "d", "e:3")),
            (Told{"comment", "message id=e:1 a", "message id=e:2 b", "c id=e:3 d"}));
  EXPECT_FALSE(sse::is_message(sse::id_alone("e:1")));
  EXPECT_TRUE(sse::is_message(sse::id_line("e:1"))) << "goes with its message";
}

TEST(SseWriter, SomeNamesAreTaken) {
  for (const char* good : {"room1", "holdfast", "message", "opened", " a b", "\xc3\xbc"})
    EXPECT_TRUE(sse::may_be_a_name(good)) << good;
  for (std::string_view taken : {std::string_view(), std::string_view("open"),
                                 std::string_view("error"), std::string_view("holdfast.closed"),
                                 std::string_view("\0user", 5), std::string_view("a\nb")})
    EXPECT_FALSE(sse::may_be_a_name(taken)) << taken;
}

TEST(SseWriter, NoValueBeginsAnotherLine) {
  for (std::string_view bad :
       {std::string_view("a\nb"), std::string_view("a\rb"), std::string_view("a\0b", 3)}) {
    EXPECT_EQ(read_back(sse::message({"x", bad, bad})), Told{"message id= x"});
    EXPECT_EQ(read_back(sse::control_event(bad, "x")), Told{"message id= x"});
  }
}

TEST(SseWriter, BytesComeAsBase64) {
  for (const auto& [bytes, text] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {std::string("\xff\x00\x0a", 3), "/wAK"}}) {
    EXPECT_EQ(read_back(sse::binary_message(bytes)), Told{"holdfast.binary id= " + text});
  }
}

TEST(SseWriter, WhatIsNoMessageBeginsOtherwise) {
  EXPECT_TRUE(sse::is_message(sse::message({"a", "n", "i"})));
  EXPECT_TRUE(sse::is_message(sse::binary_message("a")));
  std::string others =
      sse::control_event("holdfast.closed", "{}") + std::string(sse::kComment) + sse::retry(2500);
  EXPECT_EQ(read_back(others), (Told{"holdfast.closed id= {}", "comment", "retry 2500"}));
  EXPECT_FALSE(sse::is_message(sse::control_event("holdfast.closed", "{}")));
  EXPECT_FALSE(sse::is_message(sse::kComment));
  EXPECT_FALSE(sse::is_message(sse::retry(1)));
  EXPECT_FALSE(sse::is_message("HTTP/1.1 200 OK"));
}

TEST(SseWriter, AnyDivisionReadsTheSame) {
  std::string stream = sse::retry(2000) + sse::message({"one\r\ntwo", "n", "e:1"}) +
                       std::string(sse::kComment) + sse::binary_message("x", "e:2");
  test::expect_told(stream,
                    {"retry 2000", "n id=e:1 one\ntwo", "comment", "holdfast.binary id=e:2 eA=="},
                    [](const Pieces& pieces) {
                      Reader reader;
                      for (const std::string& piece : pieces) reader.feed(piece);
                      return reader.told;
                    });
}

}  // namespace
}  // namespace holdfast
