// Every codec of clients' messages, by the invariants of wire/codec.h. A new one adds a Kind: how one is made, a stream of it, what is
// told of the stream.
#include "wire/codec.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>

#include "tests/unit/wire/ws/client_frames.h"
#include "wire/tcp/record.h"
#include "wire/ws/record.h"

namespace holdfast::test {
namespace {

constexpr uint32_t kMaxMessage = 1'000;
constexpr size_t kSmallString = 15;  // characters that a std::string holds in itself

// What any codec's sink writes down; `stops`: it wants one message at a time.
struct Page {
  Told told;
  bool stops = false;
};

struct WebSocket {
  using Codec = ws::Decoder;
  struct Sink final : ws::FrameSink {
    explicit Sink(Page& to) : page(to) {}
    bool on_message(ws::Opcode, std::string_view text) override { return note("message ", text); }
    bool on_ping(std::string_view text) override { return note("ping ", text); }
    bool on_pong(std::string_view text) override { return note("pong ", text); }
    void on_close(uint16_t code, std::string_view) override {
      note("close ", std::to_string(code));
    }
    void on_error(uint16_t code, std::string_view) override {
      note("error ", std::to_string(code));
    }
    ws::Next next() override { return page.stops ? ws::Next::stop : ws::Next::decode; }
    bool note(std::string what, std::string_view text) {
      page.told.push_back(what.append(text));
      return text != "last";
    }
    Page& page;
  };
  static Codec make() { return Codec(kMaxMessage); }
  static std::string error(const Codec&) { return {}; }  // its sink is told
  static std::string good() {
    return frame(1, "Gr\xc3\xbc\xc3\x9f") + part(2, "in ") + frame(9, "still?") + frame(0, "two") +
           frame(1, "") + frame(2, std::string(300, 'x'));
  }
  static Told told() {
    return {"message Gr\xc3\xbc\xc3\x9f", "ping still?", "message in two", "message ",
            "message " + std::string(300, 'x')};
  }
  static std::string last() { return frame(2, "last"); }
  static std::string wrong() { return frame(3, "what"); }
  static std::string announcing() { return frame_head(2, kMaxMessage, 16, {}); }
};

template <class Framing>
struct Tcp {
  using Codec = tcp::Framer;
  struct Sink final : tcp::MessageSink {
    explicit Sink(Page& to) : page(to) {}
    bool on_message(std::string_view text) override {
      page.told.emplace_back(text);
      return text != "last";
    }
    bool wants_more() override { return !page.stops; }
    Page& page;
  };
  static const conf::Framing& framing() {
    static const conf::Framing framing = Framing::framing();
    return framing;
  }
  static Codec make() { return Codec(framing(), kMaxMessage); }
  static std::string error(const Codec& codec) {
    return codec.error() == tcp::FrameError::none ? "" : "error";
  }
  static Told told() { return {"one", "", "three\r", std::string(300, 'x')}; }
  static std::string good() {
    std::string all;
    for (const std::string& message : told()) all += tcp::encode(framing(), message);
    return all;
  }
  static std::string last() { return tcp::encode(framing(), "last"); }
  static std::string wrong() { return Framing::wrong(); }
  static std::string announcing() { return Framing::announcing(); }
};

struct ByLength {
  static conf::Framing framing() { return {.size = 2}; }
  static std::string wrong() { return "\xff\xff"; }
  static std::string announcing() { return {"\x03\xe8", 2}; }
};

struct ByDelimiter {
  static conf::Framing framing() {
    return {.kind = conf::FramingKind::delimiter, .delimiter = "\r\n"};
  }
  static std::string wrong() { return std::string(kMaxMessage + 1, 'x') + "\r\n"; }
  static std::string announcing() { return "\r"; }
};

// The smallest one that somebody could add: a byte is a message, 'z' an error, 'l' the last one. It keeps nothing but its end.
struct Letters {
  struct Sink {
    explicit Sink(Page& to) : page(to) {}
    Page& page;
  };
  class Codec {
   public:
    using Sink = Letters::Sink;
    struct Record {
      char over = 0;
    };
    size_t feed(std::span<char> bytes, Sink& sink) {
      size_t used = 0;
      while (used < bytes.size() && over_ == 0) {
        char letter = bytes[used++];
        if (letter == 'z' || letter == 'l') over_ = letter;
        if (letter != 'z') sink.page.told.emplace_back(1, letter);
        if (over_ == 0 && used < bytes.size() && sink.page.stops) return used;
      }
      return bytes.size();
    }
    bool fresh() const { return over_ == 0; }
    size_t held_bytes() const { return 0; }
    Record save() const { return {over_}; }
    bool restore(Record record) {
      over_ = record.over;
      return over_ == 0 || over_ == 'z' || over_ == 'l';
    }

   private:
    char over_ = 0;
  };
  static Codec make() { return {}; }
  static std::string error(const Codec& codec) { return codec.save().over == 'z' ? "error" : ""; }
  static std::string good() { return "abc"; }
  static Told told() { return {"a", "b", "c"}; }
  static std::string last() { return "l"; }
  static std::string wrong() { return "z"; }
  static std::string announcing() { return ""; }
};

template <class Kind>
class Codecs : public ::testing::Test {
 protected:
  using Codec = typename Kind::Codec;
  static_assert(holdfast::Codec<Codec>);

  // Feeds all of it, as often as the sink stops it.
  static void feed(Codec& codec, std::string bytes, Page& page) {
    typename Kind::Sink sink(page);
    std::span<char> rest(bytes);
    while (!rest.empty()) {
      size_t used = codec.feed(rest, sink);
      ASSERT_LE(used, rest.size());
      ASSERT_GT(used, 0u);
      rest = rest.subspan(used);
    }
  }
  // What is told, and the error: by a codec that stays, by one that moves after each piece, and by one whose sink stops it after
  // every message.
  static Told told_of(const Pieces& pieces) {
    Codec stays = Kind::make(), moves = Kind::make(), stopped = Kind::make();
    Page here, there, slowly;
    slowly.stops = true;
    for (const std::string& piece : pieces) {
      feed(stays, piece, here);
      feed(moves, piece, there);
      feed(stopped, piece, slowly);
      Codec next = Kind::make();
      EXPECT_TRUE(next.restore(moves.save()));
      EXPECT_EQ(next.fresh(), moves.fresh());
      moves = std::move(next);
    }
    here.told.push_back(Kind::error(stays));
    there.told.push_back(Kind::error(moves));
    slowly.told.push_back(Kind::error(stopped));
    EXPECT_EQ(there.told, here.told) << "moved at each cut";
    EXPECT_EQ(slowly.told, here.told) << "stopped after each message";
    return here.told;
  }
};

using Kinds = ::testing::Types<WebSocket, Tcp<ByLength>, Tcp<ByDelimiter>, Letters>;
TYPED_TEST_SUITE(Codecs, Kinds);

// I1, I4
TYPED_TEST(Codecs, TellTheSameHoweverTheBytesAreDivided) {
  Told expected = TypeParam::told();
  expected.emplace_back();
  expect_told(TypeParam::good(), expected, TestFixture::told_of);
}

TYPED_TEST(Codecs, TellDamagedBytesTheSameToo) {
  DamagedBytes damaged(TypeParam::good() + TypeParam::wrong() + TypeParam::last(),
                       TypeParam::good().substr(0, 8));
  for (int round = 0; round < 500; ++round) {
    const std::string stream = damaged.next();
    ASSERT_EQ(this->told_of({stream}), this->told_of(damaged.cut(stream)))
        << testing::PrintToString(stream);
  }
}

TYPED_TEST(Codecs, AreFreshAfterWholeMessages) {
  auto codec = TypeParam::make();
  EXPECT_TRUE(codec.fresh());
  Page page;
  this->feed(codec, TypeParam::good(), page);
  EXPECT_TRUE(codec.fresh());
  EXPECT_LE(codec.held_bytes(), kSmallString);
}

// I2
TYPED_TEST(Codecs, TakeNoMemoryForWhatIsAnnounced) {
  auto codec = TypeParam::make();
  Page page;
  this->feed(codec, TypeParam::announcing(), page);
  EXPECT_EQ(codec.fresh(), TypeParam::announcing().empty());
  EXPECT_LE(codec.held_bytes(), 32u);
  EXPECT_TRUE(page.told.empty());
}

// I3
TYPED_TEST(Codecs, TellNothingAfterAnError) {
  expect_told(TypeParam::wrong() + TypeParam::good(), this->told_of({TypeParam::wrong()}),
              TestFixture::told_of);
}

// I3
TYPED_TEST(Codecs, TellNothingAfterTheirSinkHasEndedTheStream) {
  Told expected = this->told_of({TypeParam::last()});
  ASSERT_EQ(expected.size(), 2u);
  expect_told(TypeParam::last() + TypeParam::good(), expected, TestFixture::told_of);
}

}  // namespace
}  // namespace holdfast::test
