// The keyed hash, against OpenSSL's and the paper's.
#include "base/hash.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string>

namespace holdfast {
namespace {

// 00 01 02 ... 0f
constexpr HashKey kKey{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

std::string counting(size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += char(i);
  return text;
}

uint64_t by_openssl(std::string_view text, const HashKey& key, unsigned rounds, unsigned last) {
  std::unique_ptr<EVP_MAC, void (*)(EVP_MAC*)> mac(EVP_MAC_fetch(nullptr, "SIPHASH", nullptr),
                                                   EVP_MAC_free);
  std::unique_ptr<EVP_MAC_CTX, void (*)(EVP_MAC_CTX*)> context(EVP_MAC_CTX_new(mac.get()),
                                                               EVP_MAC_CTX_free);
  size_t bytes = 8, written = 0;
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &bytes),
                               OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &rounds),
                               OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &last),
                               OSSL_PARAM_construct_end()};
  uint64_t hash = 0;
  EXPECT_EQ(
      EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(&key), sizeof key, params),
      1);
  EXPECT_EQ(EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(text.data()),
                           text.size()),
            1);
  EXPECT_EQ(
      EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(&hash), &written, sizeof hash),
      1);
  return hash;
}

TEST(SipHash, IsThatOfThePaper) {  // appendix A
  EXPECT_EQ((siphash<2, 4>(counting(15), kKey)), 0xa129ca6149be45e5u);
}

TEST(SipHash, IsThatOfOpenSslForEveryLength) {
  for (size_t bytes = 0; bytes <= 255; ++bytes) {
    std::string text = counting(bytes);
    ASSERT_EQ((siphash<2, 4>(text, kKey)), by_openssl(text, kKey, 2, 4)) << bytes;
    ASSERT_EQ((siphash<1, 3>(text, kKey)), by_openssl(text, kKey, 1, 3)) << bytes;
  }
}

// A segment outlives the binary that made it.
TEST(HashName, StaysWhatItIs) {
  EXPECT_EQ(hash_name("room-4711", kKey), (siphash<1, 3>("room-4711", kKey)));
  EXPECT_EQ(hash_name("news", HashKey{}), hash_name("news")) << "a segment without a key";
  EXPECT_EQ(hash_name(""), 0xefd01f60ba992926u);
}

TEST(HashName, KeysAreRandom) {
  HashKey one = random_hash_key(), other = random_hash_key();
  EXPECT_FALSE(one.none());
  EXPECT_NE(one, other);
  EXPECT_NE(hash_name("news", one), hash_name("news", other));
  EXPECT_NE(NameHash()("news"), NameHash()("news"));
}

}  // namespace
}  // namespace holdfast
