// Replies as bytes of RESP2 and RESP3.

#include "wire/resp/reply_writer.h"

#include <gtest/gtest.h>

#include "worker/channels/payload.h"

namespace holdfast::resp {
namespace {

TEST(RespReply, IsWrittenAsRedisDoes) {
  for (int version : {2, 3}) {
    ReplyWriter out(version);
    out.status("OK").error("ERR no\r\nway").integer(-1).bulk("").bulk("ab").array(0);
    EXPECT_EQ(out.bytes(), "+OK\r\n-ERR no  way\r\n:-1\r\n$0\r\n\r\n$2\r\nab\r\n*0\r\n");
  }
  EXPECT_EQ(ReplyWriter(2).null().bytes(), "$-1\r\n");
  EXPECT_EQ(ReplyWriter(3).null().bytes(), "_\r\n");
  EXPECT_EQ(ReplyWriter(2).text("ab").bytes(), "$2\r\nab\r\n");
  EXPECT_EQ(ReplyWriter(3).text("ab").bytes(), "=6\r\ntxt:ab\r\n");
  EXPECT_EQ(ReplyWriter(2).map(2).set(1).push(3).bytes(), "*4\r\n*1\r\n*3\r\n");
  EXPECT_EQ(ReplyWriter(3).map(2).set(1).push(3).bytes(), "%2\r\n~1\r\n>3\r\n");
}

TEST(RespReply, AMessageIsFramedOnceForAChannelAndAVersion) {
  std::string data("a\0b", 3);
  Payload payload(data, false);
  const BufferRef two = payload.resp("news", 2);
  EXPECT_EQ(two.bytes(), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\n" + data + "\r\n");
  const BufferRef three = payload.resp("news", 3);
  EXPECT_EQ(three.bytes(), ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\n" + data + "\r\n");
  EXPECT_EQ(payload.resp("news", 2).bytes().data(), two.bytes().data()) << "not framed again";
  EXPECT_EQ(payload.resp("news", 3).bytes().data(), three.bytes().data());
  EXPECT_EQ(payload.resp("olds", 3).bytes(),
            ">3\r\n$7\r\nmessage\r\n$4\r\nolds\r\n$3\r\n" + data + "\r\n");
}

}  // namespace
}  // namespace holdfast::resp
