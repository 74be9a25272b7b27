#include "wire/ws/extensions.h"

#include <strings.h>

#include <algorithm>
#include <vector>

namespace holdfast::ws {
namespace {

constexpr std::string_view kHeader = "Sec-WebSocket-Extensions";

struct Parameter {
  std::string name;
  std::optional<std::string> value;
};

struct Offer {
  std::string extension;
  std::vector<Parameter> parameters;
};

bool is_token_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// One header's value, from its begin.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) { skip_blanks(); }
  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    skip_blanks();
    return true;
  }
  // "": there is none here.
  std::string token() {
    size_t size = 0;
    while (size < rest_.size() && is_token_char(rest_[size])) ++size;
    std::string taken(rest_.substr(0, size));
    rest_.remove_prefix(size);
    skip_blanks();
    return taken;
  }
  // A token, or one between quotes; "": neither.
  std::string value() {
    if (!rest_.starts_with('"')) return token();
    rest_.remove_prefix(1);
    std::string taken;
    while (!rest_.empty() && rest_[0] != '"') {
      if (rest_[0] == '\\') rest_.remove_prefix(1);
      if (rest_.empty() || !is_token_char(rest_[0])) return {};
      taken += rest_[0];
      rest_.remove_prefix(1);
    }
    return take('"') ? taken : std::string();
  }

 private:
  void skip_blanks() {
    while (rest_.starts_with(' ') || rest_.starts_with('\t')) rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

bool read_parameter(Reader& reader, Offer& offer) {
  Parameter& parameter = offer.parameters.emplace_back();
  parameter.name = reader.token();
  if (parameter.name.empty()) return false;
  if (!reader.take('=')) return true;
  parameter.value = reader.value();
  return !parameter.value->empty();
}

bool read_offer(Reader& reader, std::vector<Offer>& offers) {
  Offer& offer = offers.emplace_back();
  offer.extension = reader.token();
  if (offer.extension.empty()) return false;
  while (reader.take(';'))
    if (!read_parameter(reader, offer)) return false;
  return true;
}

// Elements of a list may be empty (RFC 9110 section 5.6.1).
bool read_offers(std::string_view text, std::vector<Offer>& offers) {
  Reader reader(text);
  while (!reader.at_end()) {
    if (reader.take(',')) continue;
    if (!read_offer(reader, offers)) return false;
    if (!reader.at_end() && !reader.take(',')) return false;
  }
  return true;
}

std::optional<unsigned> window_bits(const std::string& text) {
  for (unsigned bits = DeflateTerms::kMinBits; bits <= DeflateTerms::kMaxBits; ++bits)
    if (text == std::to_string(bits)) return bits;
  return {};
}

// What an offer of permessage-deflate says.
struct Wishes {
  bool server_no_takeover = false, client_no_takeover = false, client_bits_known = false;
  std::optional<unsigned> server_bits, client_bits;
};

// False: not allowed so, or said before.
bool take_parameter(const Parameter& parameter, Wishes& wishes) {
  auto flag = [&](bool& said) { return !std::exchange(said, true) && !parameter.value; };
  auto bits = [&](std::optional<unsigned>& out) {
    return !out && (out = window_bits(*parameter.value)).has_value();
  };
  if (parameter.name == "server_no_context_takeover") return flag(wishes.server_no_takeover);
  if (parameter.name == "client_no_context_takeover") return flag(wishes.client_no_takeover);
  if (parameter.name == "server_max_window_bits")
    return parameter.value && bits(wishes.server_bits);
  if (parameter.name == "client_max_window_bits")
    return !std::exchange(wishes.client_bits_known, true) &&
           (!parameter.value || bits(wishes.client_bits));
  return false;
}

// None: the offer is declined.
DeflateTerms judge(const Offer& offer, const DeflatePolicy& policy) {
  if (offer.extension != "permessage-deflate") return {};
  Wishes wishes;
  for (const Parameter& parameter : offer.parameters)
    if (!take_parameter(parameter, wishes)) return {};
  unsigned bits = DeflateTerms::kMaxBits;
  if (wishes.client_bits_known)
    bits = std::min(wishes.client_bits.value_or(bits), policy.client_max_window_bits);
  bool takeover =
      policy.client_takeover && !wishes.client_no_takeover && bits <= policy.client_max_window_bits;
  return {wishes.server_bits, bits, takeover};
}

}  // namespace

std::optional<DeflateTerms> negotiate(const http::Request& request, const DeflatePolicy& policy) {
  std::vector<Offer> offers;
  for (const http::Header& header : request.headers) {
    bool ours = header.name.size() == kHeader.size() &&
                strcasecmp(header.name.c_str(), kHeader.data()) == 0;
    if (ours && !read_offers(header.value, offers)) return {};
  }
  for (const Offer& offer : offers)
    if (DeflateTerms terms = judge(offer, policy); terms.on()) return terms;
  return DeflateTerms();
}

std::string extensions_line(DeflateTerms terms) {
  if (!terms.on()) return {};
  std::string line(kHeader);
  line += ": permessage-deflate; server_no_context_takeover";
  if (!terms.client_takeover()) line += "; client_no_context_takeover";
  if (terms.server_bits_asked())
    line += "; server_max_window_bits=" + std::to_string(terms.server_bits());
  if (terms.client_bits() < DeflateTerms::kMaxBits)
    line += "; client_max_window_bits=" + std::to_string(terms.client_bits());
  return line + "\r\n";
}

}  // namespace holdfast::ws
