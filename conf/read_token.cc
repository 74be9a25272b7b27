// The `token` of a [[listen]]: who signs the tokens of its hand-shakes.
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>

#include "conf/files.h"
#include "conf/read.h"
#include "conf/units.h"

namespace holdfast::conf {

namespace {

constexpr std::string_view kForm =
    "token = { algorithm = \"HS256\", key = \"FILE\" }, or RS256, ES256 with a public key";
constexpr size_t kMaxKey = 64 * kKiB;
constexpr size_t kLeastSecret = 32;  // RFC 7518 section 3.2

// A signature is checked for every stranger who comes; with 8192 bits that takes some tenth of a millisecond.
constexpr int kMostRsaBits = 8'192;

// EVP_PKEY_NONE: no PEM of a public key.
int kind_of_public_key(const std::string& pem, int* bits) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), int(pem.size())),
                                                BIO_free);
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  *bits = key ? EVP_PKEY_get_bits(key.get()) : 0;
  return key ? EVP_PKEY_get_base_id(key.get()) : EVP_PKEY_NONE;
}

void check_key(Table& table, const ConnectToken& token) {
  if (token.algorithm == TokenAlgorithm::hs256) {
    if (token.key.size() < kLeastSecret)
      table.wrong("key", "too short a secret", fmt::format("at least {} bytes", kLeastSecret));
    return;
  }
  bool rsa = token.algorithm == TokenAlgorithm::rs256;
  int bits = 0;
  if (kind_of_public_key(token.key, &bits) != (rsa ? EVP_PKEY_RSA : EVP_PKEY_EC))
    return table.wrong(
        "key", "not a public key for this algorithm",
        rsa ? "a PEM file with an RSA public key" : "a PEM file with an EC public key");
  if (rsa && bits > kMostRsaBits)
    table.wrong("key", "too long a key, for it is used for every stranger",
                fmt::format("an RSA key of at most {} bits", kMostRsaBits));
}

void read_key(Table& table, ConnectToken& token, const Reading& reading) {
  if (!table.has("key")) return table.missing("key", "the path of a file");
  if (!table.text("key", token.key_file)) return;
  token.key_file = reading.resolve(token.key_file);
  Result<WholeFile> file = read_whole(token.key_file, kMaxKey);
  if (!file) return table.wrong("key", file.error().text(), "a readable file");
  token.key = std::move(file->text);
  // An editor ends the last line; a secret in a file seldom means it.
  if (token.algorithm == TokenAlgorithm::hs256 && token.key.ends_with('\n')) token.key.pop_back();
  check_key(table, token);
}

}  // namespace

void read_connect_token(Table& listen, Listen& out, const Reading& reading) {
  if (!listen.has("token")) return;
  std::optional<Table> table = listen.table("token", kForm);
  if (!table) return;
  ConnectToken token;
  if (!table->has("algorithm")) table->missing("algorithm", "\"HS256\", \"RS256\", \"ES256\"");
  table->choice<TokenAlgorithm>("algorithm", token.algorithm,
                                {{"HS256", TokenAlgorithm::hs256},
                                 {"RS256", TokenAlgorithm::rs256},
                                 {"ES256", TokenAlgorithm::es256}});
  read_key(*table, token, reading);
  table->text("audience", token.audience);
  table->boolean("required", token.required);
  table->finish();
  out.token = std::move(token);
}

}  // namespace holdfast::conf
