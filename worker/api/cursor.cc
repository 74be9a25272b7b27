#include "worker/api/cursor.h"

#include "base/base64url.h"
#include "base/bytes.h"
#include "base/hash.h"

namespace holdfast::api {
namespace {

constexpr size_t kHeadBytes = 12;

uint32_t check_of(const Listing& listing, std::string_view place) {
  std::string all(1, char(listing.kind));
  all += listing.scope;
  all += '\0';  // neither names nor prefixes that are found have one
  all += place;
  return uint32_t(hash_name(all));
}

}  // namespace

std::string write_cursor(const Listing& listing, const Cursor& cursor) {
  std::string bytes(kHeadBytes, '\0');
  store_be64(bytes.data() + 4, cursor.position);
  bytes += cursor.name;
  store_be32(bytes.data(), check_of(listing, std::string_view(bytes).substr(4)));
  return to_base64url(bytes);
}

std::optional<Cursor> read_cursor(const Listing& listing, std::string_view text) {
  std::optional<std::string> bytes = from_base64url(text);
  if (!bytes || bytes->size() < kHeadBytes) return {};
  if (load_be32(bytes->data()) != check_of(listing, std::string_view(*bytes).substr(4))) return {};
  return Cursor{.position = load_be64(bytes->data() + 4), .name = bytes->substr(kHeadBytes)};
}

}  // namespace holdfast::api
