#include "worker/api/http/command_reader.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "worker/api/http/call_shapes.h"
#include "worker/api/http/raw_data.h"
#include "worker/sessions/session.h"

namespace holdfast::api {
namespace {

namespace ondemand = simdjson::ondemand;

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

// Two members of the same name. `pairs` is bounded (kMaxDataPairs).
bool has_repeated_key(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<std::string_view> keys;
  keys.reserve(pairs.size());
  for (const auto& [key, value] : pairs) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

// What it is, for somebody who expected something else; "" where it is not even JSON.
std::string kind_of(ondemand::value& value) {
  constexpr size_t kMaxShown = 24;
  ondemand::json_type type{};
  if (value.type().get(type) != simdjson::SUCCESS) return {};
  std::string_view token = value.raw_json_token();
  token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  switch (type) {
    case ondemand::json_type::array:
      return "an array";
    case ondemand::json_type::object:
      return "an object";
    case ondemand::json_type::number:
      return fmt::format("a number ({})", token.substr(0, kMaxShown));
    case ondemand::json_type::string:
      return "a string";
    case ondemand::json_type::boolean:
      return "a boolean";
    case ondemand::json_type::null:
      return "null";
  }
  return {};
}

// Reads one JSON object of a known shape. Stops at the first thing that is wrong.
class CommandReader {
 public:
  CommandReader(const Expected& expected, ondemand::document& document)
      : shape_(*shape_of(expected.op)),
        allowed_(shape_.allowed() | (expected.in_batch ? unsigned{kOp} : 0u)),
        max_message_bytes_(expected.max_message_bytes),
        document_(document) {
    asked_.command.op = shape_.op;
    if (shape_.op == Op::kick) asked_.command.code = kDefaultKickCode;
  }

  ParsedCommand read(ondemand::object object) {
    for (auto member : object) {
      ondemand::field field;
      std::string_view name;
      if (std::move(member).get(field) != simdjson::SUCCESS ||
          field.unescaped_key().get(name) != simdjson::SUCCESS)
        return ApiError{400, "bad_request", "a member could not be read"};
      if (!known(name) || !value_of(call_key(name), field.value())) return *error_;
    }
    if (!complete() || !payload_fits() || !pairs_fit()) return *error_;
    return std::move(asked_);
  }

 private:
  bool fail(std::string message) {
    error_ = ApiError{400, "bad_request", std::move(message)};
    return false;
  }
  bool too_large(std::string message) {
    error_ = ApiError{413, "too_large", std::move(message)};
    return false;
  }
  bool wrong(unsigned key, std::string_view allowed) {
    return fail(fmt::format("{}: must be {}", list_keys(key, ", "), allowed));
  }
  // The value is of another kind than `wanted`: "users: must be an array of ...; users[1] is a number (42), not a string".
  bool other_kind(unsigned key, ondemand::value value, std::string_view wanted,
                  std::string_view allowed, std::string_view place = "it") {
    std::string kind = kind_of(value);
    if (kind.empty() || kind == wanted) return wrong(key, allowed);
    return wrong(key, fmt::format("{}; {} is {}, not {}", allowed, place, kind, wanted));
  }

  bool known(std::string_view name) {
    unsigned key = call_key(name) & allowed_;
    if (key == 0)
      return fail(fmt::format("unknown key {}; allowed for {}: {}", quoted(name), shape_.name,
                              list_keys(allowed_, ", ")));
    if ((seen_ & key) != 0) return fail(fmt::format("key {} is given twice", quoted(name)));
    seen_ |= key;
    return true;
  }

  bool value_of(unsigned key, ondemand::value value) {
    switch (key) {
      case kSessions:
        return ids(key, value, &asked_.command.sessions);
      case kExclude:
        return ids(key, value, &asked_.command.exclude);
      case kUsers:
        return users(value);
      case kChannels:
        return channels(value);
      case kData:
        return data(value);
      case kDataBase64:
        return data_base64(value);
      case kBinary:
        return value.get_bool().get(asked_.command.binary) == simdjson::SUCCESS ||
               other_kind(key, value, "a boolean", "true or false");
      case kSession:
        return session(value);
      case kUser:
        return user(value);
      case kCode:
        return code(value);
      case kReason:
        return reason(value);
      case kSet:
      case kMerge:
        return pairs(key, value);
      case kId:
        return request_id(value);
      case kVersion:
        return version(value);
      case kHistory:
        return history(value);
      default:
        return value.get_string().error() == simdjson::SUCCESS ||
               other_kind(key, value, "a string", "a string");  // op
    }
  }

  bool text_of(ondemand::value value, std::string_view* text) {
    return value.get_string().get(*text) == simdjson::SUCCESS;
  }

  // Calls take(text) for each string of an array of 1..max (0..max for exclude).
  template <class Take>
  bool strings(unsigned key, ondemand::value value, size_t max, std::string_view what,
               Take&& take) {
    bool may_be_empty = key == kExclude;
    std::string allowed = fmt::format("an array of {} to {} {}", may_be_empty ? 0 : 1, max, what);
    auto refused = [&] { return wrong(key, allowed); };
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS)
      return other_kind(key, value, "an array", allowed);
    size_t count = 0;
    for (auto item : array) {
      std::string_view text;
      ondemand::value element;
      if (++count > max || item.get(element) != simdjson::SUCCESS) return refused();
      if (element.get_string().get(text) != simdjson::SUCCESS)
        return other_kind(key, element, "a string", allowed,
                          fmt::format("{}[{}]", list_keys(key, ", "), count - 1));
      if (!take(text)) return false;
    }
    return count > 0 || may_be_empty || refused();
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
  bool ids(unsigned key, ondemand::value value, std::vector<shm::SessionId>* out) {
    return strings(key, value, kMaxSessionsPerCall, "session ids",
                   [&](std::string_view text) { return id(key, text, out); });
  }
  bool user_name(unsigned key, std::string_view text) {
    if (!valid_user(text))
      return bad_item(key, text, "is no user (1 to 64 bytes of UTF-8 without control characters)");
    asked_.command.users.emplace_back(text);
    return true;
  }
  bool users(ondemand::value value) {
    return strings(kUsers, value, kMaxSessionsPerCall, "users",
                   [&](std::string_view text) { return user_name(kUsers, text); });
  }
  bool channel_name(std::string_view text) {
    if (!valid_channel(text))
      return bad_item(kChannels, text,
                      "is no channel (1 to 255 bytes of UTF-8 without control characters)");
    asked_.command.channels.emplace_back(text);
    return true;
  }
  bool channels(ondemand::value value) {
    return strings(kChannels, value, kMaxChannelsPerCall, "channels",
                   [&](std::string_view text) { return channel_name(text); });
  }

  bool session(ondemand::value value) {
    std::string_view text;
    if (!text_of(value, &text)) return other_kind(kSession, value, "a string", "a session id");
    return id(kSession, text, &asked_.command.sessions);
  }
  bool user(ondemand::value value) {
    std::string_view text;
    if (!text_of(value, &text)) return other_kind(kUser, value, "a string", "a string");
    return user_name(kUser, text);
  }

  bool data(ondemand::value value) {
    ondemand::json_type type{};
    std::string_view text;
    if (value.type().get(type) != simdjson::SUCCESS) return wrong(kData, "a JSON value");
    if (type == ondemand::json_type::string) {
      if (!text_of(value, &text)) return wrong(kData, "a string of JSON");
    } else if (std::optional<std::string_view> raw = raw_text(document_, value)) {
      text = *raw;
    } else {
      return wrong(kData, fmt::format("JSON, nested at most {} deep", kMaxDepth));
    }
    asked_.command.data = text;
    return true;
  }
  bool data_base64(ondemand::value value) {
    std::string_view text;
    if (!text_of(value, &text)) return other_kind(kDataBase64, value, "a string", "a string");
    std::optional<std::string> bytes = decode_base64(text);
    if (!bytes) return wrong(kDataBase64, "base64 with padding (RFC 4648 section 4)");
    asked_.command.data = std::move(*bytes);
    return true;
  }

  bool code(ondemand::value value) {
    uint64_t code = 0;
    bool is_whole = value.get_uint64().get(code) == simdjson::SUCCESS;
    constexpr std::string_view kAllowed = "1000 or a whole number from 3000 to 4999";
    if (!is_whole) return other_kind(kCode, value, "a whole number", kAllowed);
    if (code != 1000 && (code < 3000 || code > 4999)) return wrong(kCode, kAllowed);
    asked_.command.code = uint16_t(code);
    return true;
  }
  bool reason(ondemand::value value) {
    std::string_view text;
    constexpr std::string_view kAllowed = "a string of at most 123 bytes of UTF-8";
    if (!text_of(value, &text)) return other_kind(kReason, value, "a string", kAllowed);
    if (text.size() > kMaxReasonBytes) return wrong(kReason, kAllowed);
    asked_.command.reason = text;
    return true;
  }
  bool version(ondemand::value value) {
    constexpr std::string_view kAllowed = "a whole number from 1 to 9223372036854775807";
    uint64_t& version = asked_.command.version;
    if (value.get_uint64().get(version) != simdjson::SUCCESS)
      return other_kind(kVersion, value, "a whole number", kAllowed);
    return (version > 0 && version <= uint64_t(INT64_MAX)) || wrong(kVersion, kAllowed);
  }
  bool history(ondemand::value value) {
    bool kept = true;
    if (value.get_bool().get(kept) != simdjson::SUCCESS)
      return other_kind(kHistory, value, "a boolean", "true or false");
    asked_.command.unkept = !kept;
    return true;
  }
  bool request_id(ondemand::value value) {
    std::string_view text;
    std::string allowed = fmt::format("a string of 1 to {} bytes", kMaxIdBytes);
    if (!text_of(value, &text)) return other_kind(kId, value, "a string", allowed);
    if (text.empty() || text.size() > kMaxIdBytes) return wrong(kId, allowed);
    asked_.id = text;
    return true;
  }

  // "set" or "merge": strings under keys that are not empty. null, in merge only, is "".
  bool pairs(unsigned key, ondemand::value value) {
    asked_.command.merge = key == kMerge;
    std::string allowed =
        fmt::format("an object of at most {} strings{}, each once, under keys that are not empty",
                    kMaxDataPairs, key == kMerge ? " or nulls" : "");
    auto refused = [&] { return wrong(key, allowed); };
    ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS)
      return other_kind(key, value, "an object", allowed);
    for (auto member : object) {
      ondemand::field field;
      if (std::move(member).get(field) != simdjson::SUCCESS) return refused();
      if (!pair(key, field, allowed)) return error_ ? false : refused();
      if (asked_.command.pairs.size() > kMaxDataPairs) return refused();
    }
    return !has_repeated_key(asked_.command.pairs) || refused();
  }
  bool pair(unsigned key, ondemand::field& field, const std::string& allowed) {
    bool may_be_null = key == kMerge;
    std::string_view name, text;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS || name.empty()) return false;
    bool null = false;
    if (may_be_null && field.value().is_null().get(null) != simdjson::SUCCESS) return false;
    if (!null && !text_of(field.value(), &text))
      return other_kind(key, field.value(), "a string", allowed, quoted(name));
    asked_.command.pairs.emplace_back(name, text);
    return true;
  }

  bool complete() {
    if (unsigned missing = shape_.required & ~seen_; missing != 0)
      return fail(fmt::format("{}: missing; {} needs it", list_keys(missing, ", "), shape_.name));
    unsigned chosen = shape_.one_of & seen_;
    if (shape_.one_of != 0 && (chosen == 0 || (chosen & (chosen - 1)) != 0))
      return fail(
          fmt::format("{} needs exactly one of {}", shape_.name, list_keys(shape_.one_of, ", ")));
    if (asked_.command.unkept && asked_.command.version != 0) return fail("version: needs history");
    if ((seen_ & kExclude) != 0 && (seen_ & kSessions) != 0)
      return fail("exclude: goes with users or channels, not with sessions");
    return true;
  }

  bool payload_fits() {
    const Command& command = asked_.command;
    if (command.data.size() > max_message_bytes_)
      return too_large(fmt::format("data: {} bytes; limits.max_message_size is {}",
                                   command.data.size(), max_message_bytes_));
    // The text of a parsed body is UTF-8, escapes included; only base64 can hide other bytes.
    bool may_be_other = (seen_ & kDataBase64) != 0 && !command.binary;
    if (!may_be_other || simdjson::validate_utf8(command.data)) return true;
    return fail("data_base64: is not UTF-8; set \"binary\": true to send any bytes");
  }

  // What could not fit even into a session without data. The session itself judges the rest.
  bool pairs_fit() {
    size_t bytes = 0;
    for (const auto& [key, value] : asked_.command.pairs)
      if (!value.empty()) bytes += key.size() + value.size();
    return bytes <= kMaxDataBytes ||
           too_large(fmt::format("{}: {} bytes of keys and values; a session holds {}",
                                 list_keys(seen_ & (kSet | kMerge), ", "), bytes, kMaxDataBytes));
  }

  const CallShape& shape_;
  unsigned allowed_;
  size_t max_message_bytes_;
  ondemand::document& document_;
  unsigned seen_ = 0;
  Asked asked_;
  std::optional<ApiError> error_;
};

}  // namespace

std::optional<Op> op_of_item(ondemand::object& item) {
  ondemand::raw_json_string name;
  bool found = item.find_field_unordered("op").get_raw_json_string().get(name) == simdjson::SUCCESS;
  std::optional<Op> op;
  for (const CallShape& shape : call_shapes())
    if (found && name == shape.name) op = shape.op;
  if (item.reset().error() != simdjson::SUCCESS) return {};
  return op;
}

std::string quoted(std::string_view text) {
  constexpr size_t kMaxShown = 64;
  bool cut = text.size() > kMaxShown;
  return fmt::format("\"{}{}\"", text.substr(0, kMaxShown), cut ? "..." : "");
}

ParsedCommand read_command(const Expected& expected, ondemand::document& document,
                           ondemand::object object) {
  HF_CHECK(shape_of(expected.op) != nullptr);
  return CommandReader(expected, document).read(object);
}

}  // namespace holdfast::api
