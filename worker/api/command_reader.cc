#include "worker/api/command_reader.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <utility>

#include "base/check.h"

namespace holdfast::api {
namespace {

namespace dom = simdjson::dom;

// The keys a call may have, as bits.
enum Key : unsigned {
  kSessions = 1u << 0,
  kUsers = 1u << 1,
  kChannels = 1u << 2,
  kExclude = 1u << 3,
  kData = 1u << 4,
  kDataBase64 = 1u << 5,
  kBinary = 1u << 6,
  kSession = 1u << 7,
  kUser = 1u << 8,
  kCode = 1u << 9,
  kReason = 1u << 10,
  kOp = 1u << 11,  // batch items only
};
constexpr unsigned kPayload = kData | kDataBase64;

constexpr std::array<std::string_view, 12> kKeyNames = {
    "sessions", "users",   "channels", "exclude", "data",   "data_base64",
    "binary",   "session", "user",     "code",    "reason", "op"};

struct Shape {
  Op op;
  std::string_view name;
  unsigned required;  // all of them
  unsigned one_of;    // exactly one of them
  unsigned optional;
  unsigned allowed() const { return required | one_of | optional; }
};

constexpr Shape kShapes[] = {
    {Op::send, "send", kSessions, kPayload, kBinary},
    {Op::send_user, "send-user", kUsers, kPayload, kBinary | kExclude},
    {Op::send_all, "send-all", 0, kPayload, kBinary | kExclude},
    {Op::publish, "publish", kChannels, kPayload, kBinary | kExclude},
    {Op::join, "join", kChannels, kSessions | kUsers, 0},
    {Op::leave, "leave", kChannels, kSessions | kUsers, 0},
    {Op::bind, "bind", kSession | kUser, 0, 0},
    {Op::unbind, "unbind", kSession, 0, kUser},
    {Op::kick, "kick", 0, kSessions | kUsers | kChannels, kCode | kReason},
};

const Shape* shape_of(Op op) {
  for (const Shape& shape : kShapes)
    if (shape.op == op) return &shape;
  return nullptr;
}

unsigned key_named(std::string_view name) {
  for (size_t i = 0; i < kKeyNames.size(); ++i)
    if (kKeyNames[i] == name) return 1u << i;
  return 0;
}

std::string list_keys(unsigned keys, std::string_view separator) {
  std::string list;
  for (size_t i = 0; i < kKeyNames.size(); ++i) {
    if ((keys & 1u << i) == 0) continue;
    if (!list.empty()) list += separator;
    list += kKeyNames[i];
  }
  return list;
}

// Strict RFC 4648 section 4: alphabet, padding, no white space.
std::optional<std::string> decode_base64(std::string_view text) {
  size_t pad = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string_view digits = text.substr(0, text.size() - pad);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0 || digits.find_first_not_of(kAlphabet) != std::string_view::npos)
    return {};
  std::string bytes(text.size() / 4 * 3, '\0');
  int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                          reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
  if (n < 0) return {};
  bytes.resize(size_t(n) - pad);
  return bytes;
}

// Reads one JSON object of a known shape. Stops at the first thing that is wrong.
class CommandReader {
 public:
  CommandReader(const Expected& expected, const std::function<std::string_view()>& raw_text)
      : shape_(*shape_of(expected.op)),
        allowed_(shape_.allowed() | (expected.in_batch ? unsigned{kOp} : 0u)),
        max_message_bytes_(expected.max_message_bytes),
        raw_text_(raw_text) {
    command_.op = shape_.op;
    if (shape_.op == Op::kick) command_.code = kDefaultKickCode;
  }

  ParsedCommand read(dom::object object) {
    for (dom::key_value_pair member : object)
      if (!known(member.key) || !value_of(key_named(member.key), member.value)) return *error_;
    if (!complete() || !payload_fits()) return *error_;
    return std::move(command_);
  }

 private:
  bool fail(std::string message) {
    error_ = ApiError{400, "bad_request", std::move(message)};
    return false;
  }
  bool wrong(unsigned key, std::string_view allowed) {
    return fail(fmt::format("{}: must be {}", list_keys(key, ", "), allowed));
  }

  bool known(std::string_view name) {
    unsigned key = key_named(name) & allowed_;
    if (key == 0)
      return fail(fmt::format("unknown key {}; allowed for {}: {}", quoted(name), shape_.name,
                              list_keys(allowed_, ", ")));
    if ((seen_ & key) != 0) return fail(fmt::format("key {} is given twice", quoted(name)));
    seen_ |= key;
    return true;
  }

  bool value_of(unsigned key, dom::element value) {
    switch (key) {
      case kSessions:
        return ids(key, value, &command_.sessions);
      case kExclude:
        return ids(key, value, &command_.exclude);
      case kUsers:
        return users(value);
      case kChannels:
        return channels(value);
      case kData:
        return data(value);
      case kDataBase64:
        return data_base64(value);
      case kBinary:
        return binary(value);
      case kSession:
        return session(value);
      case kUser:
        return user(value);
      case kCode:
        return code(value);
      case kReason:
        return reason(value);
      default:
        return true;  // op: the batch has read it
    }
  }

  // Calls take(text) for each string of an array of 1..max (0..max for exclude).
  template <class Take>
  bool strings(unsigned key, dom::element value, size_t max, std::string_view what, Take&& take) {
    dom::array array;
    bool may_be_empty = key == kExclude;
    std::string allowed = fmt::format("an array of {} to {} {}", may_be_empty ? 0 : 1, max, what);
    if (value.get(array) != simdjson::SUCCESS) return wrong(key, allowed);
    size_t count = 0;
    for (dom::element item : array) {
      std::string_view text;
      if (++count > max || item.get(text) != simdjson::SUCCESS) return wrong(key, allowed);
      if (!take(text)) return false;
    }
    return count > 0 || may_be_empty || wrong(key, allowed);
  }

  bool bad_item(unsigned key, std::string_view text, std::string_view why) {
    return fail(fmt::format("{}: {} {}", list_keys(key, ", "), quoted(text), why));
  }

  bool id(unsigned key, std::string_view text, std::vector<shm::SessionId>* out) {
    std::optional<shm::SessionId> id = shm::SessionId::parse(text);
    if (!id) return bad_item(key, text, "is no session id (32 hex digits or 22 base64url digits)");
    out->push_back(*id);
    return true;
  }
  bool ids(unsigned key, dom::element value, std::vector<shm::SessionId>* out) {
    return strings(key, value, kMaxSessionsPerCall, "session ids",
                   [&](std::string_view text) { return id(key, text, out); });
  }
  bool user_name(unsigned key, std::string_view text) {
    if (!valid_user(text))
      return bad_item(key, text, "is no user (1 to 64 bytes of UTF-8 without control characters)");
    command_.users.emplace_back(text);
    return true;
  }
  bool users(dom::element value) {
    return strings(kUsers, value, kMaxSessionsPerCall, "users",
                   [&](std::string_view text) { return user_name(kUsers, text); });
  }
  bool channel_name(std::string_view text) {
    if (!valid_channel(text))
      return bad_item(kChannels, text,
                      "is no channel (1 to 255 bytes of UTF-8 without control characters)");
    command_.channels.emplace_back(text);
    return true;
  }
  bool channels(dom::element value) {
    return strings(kChannels, value, kMaxChannelsPerCall, "channels",
                   [&](std::string_view text) { return channel_name(text); });
  }

  bool session(dom::element value) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return wrong(kSession, "a session id");
    return id(kSession, text, &command_.sessions);
  }
  bool user(dom::element value) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return wrong(kUser, "a string");
    return user_name(kUser, text);
  }

  bool data(dom::element value) {
    std::string_view text;
    bool is_string = value.get(text) == simdjson::SUCCESS;
    if (!is_string) text = raw_text_();
    if (!is_string && text.empty()) return fail("data: its text could not be found");
    command_.data = text;
    return true;
  }
  bool data_base64(dom::element value) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return wrong(kDataBase64, "a string");
    std::optional<std::string> bytes = decode_base64(text);
    if (!bytes) return wrong(kDataBase64, "base64 with padding (RFC 4648 section 4)");
    command_.data = std::move(*bytes);
    return true;
  }
  bool binary(dom::element value) {
    return value.get(command_.binary) == simdjson::SUCCESS || wrong(kBinary, "true or false");
  }

  bool code(dom::element value) {
    uint64_t code = 0;
    bool is_whole = value.get(code) == simdjson::SUCCESS;
    if (!is_whole || (code != 1000 && (code < 3000 || code > 4999)))
      return wrong(kCode, "1000 or a whole number from 3000 to 4999");
    command_.code = uint16_t(code);
    return true;
  }
  bool reason(dom::element value) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS || text.size() > kMaxReasonBytes)
      return wrong(kReason, "a string of at most 123 bytes of UTF-8");
    command_.reason = text;
    return true;
  }

  bool complete() {
    if (unsigned missing = shape_.required & ~seen_; missing != 0)
      return fail(fmt::format("{}: missing; {} needs it", list_keys(missing, ", "), shape_.name));
    unsigned chosen = shape_.one_of & seen_;
    if (shape_.one_of != 0 && (chosen == 0 || (chosen & (chosen - 1)) != 0))
      return fail(
          fmt::format("{} needs exactly one of {}", shape_.name, list_keys(shape_.one_of, ", ")));
    return true;
  }

  bool payload_fits() {
    if (command_.data.size() > max_message_bytes_) {
      error_ = ApiError{413, "too_large",
                        fmt::format("data: {} bytes; limits.max_message_size is {}",
                                    command_.data.size(), max_message_bytes_)};
      return false;
    }
    // The text of a parsed body is UTF-8, escapes included; only base64 can hide other bytes.
    bool may_be_other = (seen_ & kDataBase64) != 0 && !command_.binary;
    if (!may_be_other || simdjson::validate_utf8(command_.data)) return true;
    return fail("data_base64: is not UTF-8; set \"binary\": true to send any bytes");
  }

  const Shape& shape_;
  unsigned allowed_;
  size_t max_message_bytes_;
  const std::function<std::string_view()>& raw_text_;
  unsigned seen_ = 0;
  Command command_;
  std::optional<ApiError> error_;
};

}  // namespace

std::optional<Op> op_named(std::string_view name) {
  for (const Shape& shape : kShapes)
    if (shape.name == name) return shape.op;
  return {};
}

std::string quoted(std::string_view text) {
  constexpr size_t kMaxShown = 64;
  bool cut = text.size() > kMaxShown;
  return fmt::format("\"{}{}\"", text.substr(0, kMaxShown), cut ? "..." : "");
}

ParsedCommand read_command(const Expected& expected, simdjson::dom::object object,
                           const std::function<std::string_view()>& raw_text) {
  HF_CHECK(shape_of(expected.op) != nullptr);
  return CommandReader(expected, raw_text).read(object);
}

}  // namespace holdfast::api
