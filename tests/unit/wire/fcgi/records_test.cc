// The FastCGI codec against the specification, at every division of the bytes.
#include "wire/fcgi/records.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/backends/fcgi/fake_server.h"

namespace holdfast::fcgi {
namespace {

// Writes down what it is told; pieces of one stream are joined, since their division is free.
class Notes : public RecordSink {
 public:
  bool on_stdout(std::string_view bytes) override { return add('o', bytes); }
  bool on_stderr(std::string_view bytes) override { return add('e', bytes); }
  void on_end(uint32_t app_status, ProtocolStatus status) override {
    text += "|end " + std::to_string(app_status) + " " + std::to_string(int(status));
  }
  std::string text;
  size_t stop_after = std::string::npos;

 private:
  bool add(char stream, std::string_view bytes) {
    if (stream != last_) text += std::string("|") + stream + ":";
    last_ = stream;
    text += bytes;
    return text.size() < stop_after;
  }
  char last_ = 0;
};

TEST(FcgiParams, ShortLengthsTakeOneByteAndLongOnesFour) {
  std::string out;
  append_param(out, "A", "");
  append_param(out, std::string(127, 'n'), std::string(128, 'v'));
  append_param(out, std::string(128, 'm'), std::string(70'000, 'w'));
  std::string want = std::string("\x01\x00", 2) + "A";
  want += std::string("\x7f\x80\x00\x00\x80", 5) + std::string(127, 'n') + std::string(128, 'v');
  want += std::string("\x80\x00\x00\x80\x80\x01\x11\x70", 8) + std::string(128, 'm') +
          std::string(70'000, 'w');
  EXPECT_EQ(out, want);
}

TEST(FcgiEncode, RequestIsTheBytesOfTheSpecification) {
  std::string params;
  append_param(params, "A", "bc");
  std::string begin("\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00", 16);
  std::string param_record(
      "\x01\x04\x00\x01\x00\x05\x03\x00\x01\x02"
      "Abc\x00\x00\x00",
      16);
  std::string no_params("\x01\x04\x00\x01\x00\x00\x00\x00", 8);
  std::string body("\x01\x05\x00\x01\x00\x02\x06\x00hi\x00\x00\x00\x00\x00\x00", 16);
  std::string no_body("\x01\x05\x00\x01\x00\x00\x00\x00", 8);
  EXPECT_EQ(encode_request(params, "hi", true), begin + param_record + no_params + body + no_body);
  EXPECT_EQ(no_body.size(), kTerminatorBytes);
}

TEST(FcgiEncode, KeepFlagCanBeChangedAfterwards) {
  std::string request = encode_request("", "", true);
  set_keep_connection(request, false);
  EXPECT_EQ(request, encode_request("", "", false));
  set_keep_connection(request, true);
  EXPECT_EQ(request, encode_request("", "", true));
}

// Each PARAMS record must stand alone: php-fpm refuses a pair that goes on in the next one.
TEST(FcgiEncode, RecordsEndBetweenPairs) {
  std::string params;
  for (int n = 0; n < 40; ++n)
    append_param(params, "NAME" + std::to_string(n), std::string(5'000, 'v'));
  std::string request = encode_request(params, "", true);
  std::string joined;
  for (size_t at = 16; request[at + 1] == 4;) {
    size_t bytes = size_t(uint8_t(request[at + 4])) << 8 | uint8_t(request[at + 5]);
    size_t padding = uint8_t(request[at + 6]);
    EXPECT_LE(bytes + padding, 65'535u);
    EXPECT_EQ((bytes + padding) % 8, 0u);
    if (bytes > 0) {
      EXPECT_EQ(request.substr(at + 8 + 5, 4), "NAME") << "the record begins inside a pair";
    }
    joined += request.substr(at + 8, bytes);
    at += 8 + bytes + padding;
  }
  EXPECT_EQ(joined, params);
}

TEST(FcgiEncode, PairLargerThanARecordGoesOnInTheNext) {
  std::string params;
  append_param(params, "SMALL", "1");
  append_param(params, "LARGE", std::string(150'000, 'x'));
  append_param(params, "LAST", "2");
  std::string request = encode_request(params, std::string(200'000, 'b'), false);
  std::string streams[2];
  size_t at = 16;
  while (at < request.size()) {
    size_t bytes = size_t(uint8_t(request[at + 4])) << 8 | uint8_t(request[at + 5]);
    ASSERT_TRUE(request[at + 1] == 4 || request[at + 1] == 5);
    streams[request[at + 1] - 4] += request.substr(at + 8, bytes);
    at += 8 + bytes + uint8_t(request[at + 6]);
  }
  EXPECT_EQ(at, request.size());
  EXPECT_EQ(streams[0], params);
  EXPECT_EQ(streams[1], std::string(200'000, 'b'));
}

TEST(FcgiEncode, BytesThatAreNoPairsPassUnchanged) {
  for (std::string params : {std::string("\x05"), std::string("\x80\x00", 2),
                             std::string("\x7f\x7f"
                                         "ab")}) {
    std::string request = encode_request(params, "", false);
    EXPECT_EQ(request.substr(16 + 8, params.size()), params);
  }
}

const std::string kAnswer = record(10, "values", 2, 0) + record(6, "Status: 200\r\n", 3) +
                            record(7, "oops\n", 1) + record(6, "\r\nhello", 0) + record(6, "", 4) +
                            record(7, "") +
                            record(3, std::string("\x00\x00\x01\x02\x00\x00\x00\x00", 8), 5);
const std::string kAnswerNotes = "|o:Status: 200\r\n|e:oops\n|o:\r\nhello|end 258 0";

TEST(FcgiRecordReader, EveryDivisionInTwoTellsTheSame) {
  for (size_t cut = 0; cut <= kAnswer.size(); ++cut) {
    RecordReader reader;
    Notes notes;
    ASSERT_TRUE(reader.feed(std::string_view(kAnswer).substr(0, cut), notes)) << cut;
    ASSERT_TRUE(reader.feed(std::string_view(kAnswer).substr(cut), notes)) << cut;
    EXPECT_EQ(notes.text, kAnswerNotes) << cut;
  }
}

TEST(FcgiRecordReader, ByteByByteTellsTheSame) {
  RecordReader reader;
  Notes notes;
  for (char byte : kAnswer) ASSERT_TRUE(reader.feed({&byte, 1}, notes));
  EXPECT_EQ(notes.text, kAnswerNotes);
}

TEST(FcgiRecordReader, EndIsToldOnlyWhenItsPaddingHasCome) {
  RecordReader reader;
  Notes notes;
  ASSERT_TRUE(reader.feed(std::string_view(kAnswer).substr(0, kAnswer.size() - 1), notes));
  EXPECT_EQ(notes.text.find("end"), std::string::npos);
  ASSERT_TRUE(reader.feed("p", notes));
  EXPECT_EQ(notes.text, kAnswerNotes);
}

TEST(FcgiRecordReader, LargestRecordsPass) {
  std::string content(65'535, 'c');
  RecordReader reader;
  Notes notes;
  ASSERT_TRUE(reader.feed(record(6, content, 255) + record(6, content, 1) + end_record(), notes));
  EXPECT_EQ(notes.text, "|o:" + content + content + "|end 0 0");
}

TEST(FcgiRecordReader, EveryProtocolStatusIsTold) {
  for (int status = 0; status <= 3; ++status) {
    RecordReader reader;
    Notes notes;
    EXPECT_TRUE(reader.feed(end_record(0xffff'ffff, status), notes));
    EXPECT_EQ(notes.text, "|end 4294967295 " + std::to_string(status));
  }
}

TEST(FcgiRecordReader, NonsenseIsRefusedAtEveryDivision) {
  std::string bad_version = stdout_record("x");
  bad_version[0] = 2;
  const std::string nonsense[] = {
      bad_version,
      record(6, "x", 0, 2),  // of another request
      record(6, "x", 0, 256),
      record(6, "x", 0, 0),  // a stream is never management
      record(3, std::string(8, '\0'), 0, 0),
      record(3, std::string(7, '\0')),  // too short
      record(3, std::string(9, '\0')),
      end_record(0, 4),                 // no such status
      record(1, std::string(8, '\0')),  // ours to send
      record(5, "x"),
      record(8, "x"),
      record(11, "x"),
      record(200, "x"),
      end_record() + "x",  // nothing follows the end
      end_record() + end_record(),
      "HTTP/1.1 400 Bad Request\r\n\r\n",
  };
  for (const std::string& bytes : nonsense) {
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      RecordReader reader;
      Notes notes;
      bool ok = reader.feed(std::string_view(bytes).substr(0, cut), notes) &&
                reader.feed(std::string_view(bytes).substr(cut), notes);
      EXPECT_FALSE(ok) << testing::PrintToString(bytes) << " cut at " << cut;
      EXPECT_FALSE(reader.feed(stdout_record("y"), notes)) << "it stays refused";
    }
  }
}

TEST(FcgiRecordReader, UnknownManagementRecordsAreSkipped) {
  RecordReader reader;
  Notes notes;
  std::string bytes = record(11, "\x63\x00\x00\x00\x00\x00\x00\x00", 3, 0) + record(77, "", 0, 0) +
                      record(10, "v", 7, 0);
  ASSERT_TRUE(reader.feed(bytes + end_record(), notes));
  EXPECT_EQ(notes.text, "|end 0 0");
}

TEST(FcgiRecordReader, StopsWhenTheSinkSaysSo) {
  RecordReader reader;
  Notes notes;
  notes.stop_after = 9;
  EXPECT_FALSE(
      reader.feed(stdout_record("abc") + stdout_record("def") + stdout_record("ghi"), notes));
  EXPECT_EQ(notes.text, "|o:abcdef");
}

TEST(FcgiRecordReader, ResetMakesReadyForTheNextAnswer) {
  RecordReader reader;
  Notes first, second;
  ASSERT_TRUE(reader.feed(kAnswer, first));
  EXPECT_FALSE(reader.feed("x", first));
  reader.reset();
  ASSERT_TRUE(reader.feed(kAnswer, second));
  EXPECT_EQ(second.text, kAnswerNotes);
}

TEST(FcgiRecordReader, NoBytesAtAllBreakIt) {
  std::mt19937 random(2);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = kAnswer;
    for (int flips = int(random() % 4); flips >= 0; --flips)
      bytes[random() % bytes.size()] = char(random());
    RecordReader whole, cut;
    Notes whole_notes, cut_notes;
    bool whole_ok = whole.feed(bytes, whole_notes);
    bool cut_ok = true;
    for (size_t at = 0; at < bytes.size() && cut_ok;) {
      size_t piece = 1 + random() % 9;
      cut_ok = cut.feed(std::string_view(bytes).substr(at, piece), cut_notes);
      at += piece;
    }
    ASSERT_EQ(whole_ok, cut_ok);
    ASSERT_EQ(whole_notes.text, cut_notes.text);
  }
}

struct HeadCase {
  std::string text;
  CgiParse result;
  int status;
  size_t headers;
  size_t body_offset;
};

TEST(FcgiCgiHead, ReadsWhatProgramsWrite) {
  const HeadCase cases[] = {
      {"Content-Type: text/html\r\n\r\nbody", CgiParse::complete, 200, 1, 27},
      {"Content-Type: text/html\n\nbody", CgiParse::complete, 200, 1, 25},
      {"Status: 404 Not Found\r\nX:1\r\n\r\n", CgiParse::complete, 404, 1, 30},
      {"STATUS:503\n\n", CgiParse::complete, 503, 0, 12},
      {"\r\nbody", CgiParse::complete, 200, 0, 2},
      {"Location: https://example.org/\n\n", CgiParse::complete, 302, 1, 32},
      {"Location: /inside\n\n", CgiParse::complete, 200, 1, 19},
      {"Status: 201\nLocation: https://example.org/\n\n", CgiParse::complete, 201, 1, 44},
      {"X: \t spaces \t\n\n", CgiParse::complete, 200, 1, 15},
      {"", CgiParse::need_more, 0, 0, 0},
      {"X: 1", CgiParse::need_more, 0, 0, 0},
      {"X: 1\r\n", CgiParse::need_more, 0, 0, 0},
      {"X: 1\r\n\r", CgiParse::need_more, 0, 0, 0},
      {"no colon\r\n\r\n", CgiParse::malformed, 0, 0, 0},
      {": no name\n\n", CgiParse::malformed, 0, 0, 0},
      {"Bad Name: 1\n\n", CgiParse::malformed, 0, 0, 0},
      {" folded: 1\n\n", CgiParse::malformed, 0, 0, 0},
      {"Status: 20\n\n", CgiParse::malformed, 0, 0, 0},
      {"Status: 099\n\n", CgiParse::malformed, 0, 0, 0},
      {"Status: 2000\n\n", CgiParse::malformed, 0, 0, 0},
      {"Status: OK\n\n", CgiParse::malformed, 0, 0, 0},
      {std::string("X: a\0b\n\n", 8), CgiParse::malformed, 0, 0, 0},
      {"X: a\rb\n\n", CgiParse::malformed, 0, 0, 0},
  };
  for (const HeadCase& c : cases) {
    CgiHead head;
    ASSERT_EQ(parse_cgi_head(c.text, &head), c.result) << testing::PrintToString(c.text);
    if (c.result != CgiParse::complete) continue;
    EXPECT_EQ(head.status, c.status) << c.text;
    EXPECT_EQ(head.headers.size(), c.headers) << c.text;
    EXPECT_EQ(head.body_offset, c.body_offset) << c.text;
  }
}

TEST(FcgiCgiHead, KeepsOrderAndRepetitionAndTrimsValues) {
  CgiHead head;
  ASSERT_EQ(parse_cgi_head("B: 1\r\nA:  two words \r\nB: 3\r\n\r\n", &head), CgiParse::complete);
  std::vector<std::pair<std::string, std::string>> want = {
      {"B", "1"}, {"A", "two words"}, {"B", "3"}};
  EXPECT_EQ(head.headers, want);
}

TEST(FcgiCgiHead, EveryPrefixNeedsMore) {
  std::string text = "Status: 200 OK\r\nX-A: 1\r\n\r\n";
  for (size_t n = 0; n < text.size(); ++n) {
    CgiHead head;
    EXPECT_EQ(parse_cgi_head(std::string_view(text).substr(0, n), &head), CgiParse::need_more) << n;
  }
}

}  // namespace
}  // namespace holdfast::fcgi
