// hiredis, the library most Redis clients are made of, as the judge of both directions: what it writes
// we read as it was meant, what we write it reads as what we meant.

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "wire/resp/reply_reader.h"
#include "wire/resp/reply_writer.h"
#include "wire/resp/request_reader.h"

namespace holdfast::resp {
namespace {

using Words = std::vector<std::string>;

struct FreeReply {
  void operator()(void* reply) const { freeReplyObject(reply); }
};
using ReplyPtr = std::unique_ptr<redisReply, FreeReply>;

// All replies in the bytes, which come in the given pieces; "error" at the end where it gave up.
std::vector<ReplyPtr> read_replies(const std::vector<std::string_view>& pieces, bool* failed) {
  std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(),
                                                                  redisReaderFree);
  std::vector<ReplyPtr> replies;
  *failed = false;
  for (std::string_view piece : pieces) {
    redisReaderFeed(reader.get(), piece.data(), piece.size());
    for (;;) {
      void* reply = nullptr;
      *failed = redisReaderGetReply(reader.get(), &reply) != REDIS_OK;
      if (*failed || reply == nullptr) break;
      replies.emplace_back(static_cast<redisReply*>(reply));
    }
  }
  return replies;
}

Words words_of(const redisReply& reply) {
  Words words;
  for (size_t i = 0; i < reply.elements; ++i)
    words.emplace_back(reply.element[i]->str, reply.element[i]->len);
  return words;
}

std::string command_of(const Words& words) {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* bytes = nullptr;
  auto size = redisFormatCommandArgv(&bytes, int(words.size()), texts.data(), sizes.data());
  std::string command(bytes, size_t(size));
  redisFreeCommand(bytes);
  return command;
}

Words random_words(std::minstd_rand& random) {
  constexpr std::string_view kBytes("a*$\r\n:-0\0\xff ", 11);
  Words words(1 + random() % 6);
  for (std::string& word : words)
    for (size_t left = random() % 40; left > 0; --left) word += kBytes[random() % kBytes.size()];
  return words;
}

TEST(RespHiredis, RequestsAreReadAsItReadsThemAtEverySplit) {
  constexpr Bounds kBounds{.request_bytes = 1 << 20};
  std::minstd_rand random(1);
  for (int round = 0; round < 300; ++round) {
    Words words = random_words(random);
    std::string bytes = command_of(words);
    for (size_t at = 0; at <= bytes.size(); ++at) {
      bool failed = false;
      auto theirs = read_replies(
          {std::string_view(bytes).substr(0, at), std::string_view(bytes).substr(at)}, &failed);
      ASSERT_FALSE(failed);
      ASSERT_EQ(theirs.size(), 1u);
      RequestReader ours;
      auto status = ours.read(std::string_view(bytes).substr(0, at), kBounds);
      if (at < bytes.size()) {
        ASSERT_EQ(status, RequestReader::Status::need_more) << at;
        status = ours.read(bytes, kBounds);
      }
      ASSERT_EQ(status, RequestReader::Status::complete);
      ASSERT_EQ(ours.used(), bytes.size());
      ASSERT_EQ(Words(ours.arguments().begin(), ours.arguments().end()), words_of(*theirs[0]));
    }
  }
}

// It reads more than requests (other types, arrays in arrays); but an array of bulk strings that it
// refuses, we refuse.
TEST(RespHiredis, WhatItRefusesInAnArrayWeRefuse) {
  constexpr std::string_view kLetters = "*$0123\r\n-+ab";
  std::minstd_rand random(2);
  int refused = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes = "*2\r\n$1\r\na\r\n$2\r\nbb\r\n";
    for (size_t damages = 1 + random() % 2; damages > 0; --damages)
      bytes[random() % bytes.size()] = kLetters[random() % kLetters.size()];
    if (bytes[0] != '*') continue;
    bool failed = false;
    read_replies({bytes}, &failed);
    if (!failed) continue;
    ++refused;
    RequestReader ours;
    auto status = ours.read(bytes, {.request_bytes = 1 << 20});
    size_t used = status == RequestReader::Status::error ? bytes.size() : ours.used();
    // What it refuses may stand behind a request that is whole.
    ASSERT_TRUE(status == RequestReader::Status::error || used < bytes.size())
        << testing::PrintToString(bytes);
  }
  EXPECT_GT(refused, 1000);
}

// Version 2: Debian's hiredis 0.14 does not know version 3 yet.
TEST(RespHiredis, ReadsWhatIsWrittenWithTheRightTypes) {
  const int kTypes[] = {REDIS_REPLY_STATUS, REDIS_REPLY_ERROR, REDIS_REPLY_INTEGER,
                        REDIS_REPLY_STRING, REDIS_REPLY_NIL,   REDIS_REPLY_STRING,
                        REDIS_REPLY_ARRAY,  REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY};
  std::string binary("a\r\0b", 4);
  ReplyWriter out(2);
  out.status("OK").error("ERR no\r\nway").integer(-12).bulk(binary).null();
  out.text("# Server").map(1).bulk("k").integer(1).set(1).bulk("s").push(2).bulk("p").null();
  bool failed = false;
  auto replies = read_replies({out.bytes()}, &failed);
  ASSERT_FALSE(failed);
  ASSERT_EQ(replies.size(), std::size(kTypes));
  for (size_t i = 0; i < replies.size(); ++i) EXPECT_EQ(replies[i]->type, kTypes[i]) << i;
  EXPECT_STREQ(replies[1]->str, "ERR no  way");
  EXPECT_EQ(replies[2]->integer, -12);
  EXPECT_EQ(std::string(replies[3]->str, replies[3]->len), binary);
  EXPECT_STREQ(replies[5]->str, "# Server");
  EXPECT_EQ(replies[6]->elements, 2u);
  EXPECT_EQ(replies[8]->element[1]->type, REDIS_REPLY_NIL);
}

// A reply of version 2, with up to `depth` aggregates in one another.
void write_random(ReplyWriter& out, std::minstd_rand& random, int depth) {
  switch (random() % (depth > 0 ? 6 : 5)) {
    case 0:
      out.status(std::string(random() % 5, 's'));
      return;
    case 1:
      out.error("ERR " + std::string(random() % 5, 'e'));
      return;
    case 2:
      out.integer(int64_t(random()) - int64_t(random()));
      return;
    case 3:
      out.bulk(std::string("\r\n:1\r\n\0", 7).substr(random() % 7));
      return;
    case 4:
      out.null();
      return;
    default:
      size_t size = random() % 4;
      out.array(size);
      for (size_t i = 0; i < size; ++i) write_random(out, random, depth - 1);
  }
}

void flatten(const redisReply& reply, Words& words) {
  bool text = reply.type == REDIS_REPLY_STATUS || reply.type == REDIS_REPLY_ERROR ||
              reply.type == REDIS_REPLY_STRING;
  words.push_back(reply.type == REDIS_REPLY_INTEGER ? std::to_string(reply.integer)
                  : reply.type == REDIS_REPLY_ARRAY ? "array " + std::to_string(reply.elements)
                  : text                            ? std::string(reply.str, reply.len)
                                                    : "null");
  for (size_t i = 0; i < reply.elements; ++i) flatten(*reply.element[i], words);
}

Words words_of(std::span<const ReplyElement> elements) {
  Words words;
  for (const ReplyElement& element : elements)
    words.push_back(element.kind == ReplyKind::integer ? std::to_string(element.number)
                    : element.kind == ReplyKind::array ? "array " + std::to_string(element.number)
                    : element.kind == ReplyKind::null  ? "null"
                                                       : std::string(element.text));
  return words;
}

TEST(RespHiredis, RepliesAreReadAsItReadsThemAtEverySplit) {
  std::minstd_rand random(3);
  for (int round = 0; round < 500; ++round) {
    ReplyWriter out(2);
    write_random(out, random, 4);
    std::string_view bytes = out.bytes();
    bool failed = false;
    auto theirs = read_replies({bytes}, &failed);
    ASSERT_FALSE(failed);
    ASSERT_EQ(theirs.size(), 1u);
    Words expected;
    flatten(*theirs[0], expected);
    for (size_t at = 0; at < bytes.size(); ++at) {
      ReplyReader ours;
      ASSERT_EQ(ours.read(bytes.substr(0, at)), ReplyReader::Status::need_more) << at;
      ASSERT_EQ(ours.read(bytes), ReplyReader::Status::complete);
      ASSERT_EQ(ours.used(), bytes.size());
      ASSERT_EQ(words_of(ours.elements()), expected);
    }
  }
}

}  // namespace
}  // namespace holdfast::resp
