// Tokens signed here by libjwt and by hand, in every algorithm, and what is wrong with them.
#include "worker/clients/token.h"

#include <gtest/gtest.h>

#include <jwt.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <random>

#include <functional>
#include <memory>

#include "base/base64url.h"
#include "tests/harness/openssl_client.h"

namespace holdfast::token {
namespace {

constexpr uint64_t kNow = 1'800'000'000;

struct KeyPair {
  std::string secret, open;  // PEM; of HS256 both the same
};

KeyPair pem_of(EVP_PKEY* key) {
  KeyPair pair{test::pem_of([&](BIO* bio) {
                 return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
               }),
               test::pem_of([&](BIO* bio) { return PEM_write_bio_PUBKEY(bio, key); })};
  EVP_PKEY_free(key);
  return pair;
}

const KeyPair& keys(conf::TokenAlgorithm algorithm) {
  static const KeyPair secret{std::string(32, 's'), std::string(32, 's')};
  static const KeyPair rsa = pem_of(EVP_RSA_gen(2048));
  static const KeyPair ec = pem_of(EVP_EC_gen("P-256"));
  return algorithm == conf::TokenAlgorithm::hs256   ? secret
         : algorithm == conf::TokenAlgorithm::rs256 ? rsa
                                                    : ec;
}

jwt_alg_t libjwt_name(conf::TokenAlgorithm algorithm) {
  return algorithm == conf::TokenAlgorithm::hs256   ? JWT_ALG_HS256
         : algorithm == conf::TokenAlgorithm::rs256 ? JWT_ALG_RS256
                                                    : JWT_ALG_ES256;
}

std::string sign(jwt_alg_t algorithm, const std::string& key, const std::string& claims) {
  jwt_t* jwt = nullptr;
  EXPECT_EQ(jwt_new(&jwt), 0);
  EXPECT_EQ(jwt_add_grants_json(jwt, claims.c_str()), 0) << claims;
  const auto* bytes = reinterpret_cast<const unsigned char*>(key.data());
  EXPECT_EQ(jwt_set_alg(jwt, algorithm, algorithm == JWT_ALG_NONE ? nullptr : bytes,
                        algorithm == JWT_ALG_NONE ? 0 : int(key.size())),
            0);
  std::unique_ptr<char, decltype(&free)> text(jwt_encode_str(jwt), free);
  jwt_free(jwt);
  EXPECT_NE(text, nullptr);
  return text ? text.get() : "";
}

class ConnectToken : public ::testing::TestWithParam<conf::TokenAlgorithm> {
 protected:
  conf::ConnectToken by() const { return {GetParam(), "", keys(GetParam()).open, "", true}; }
  std::string signed_(const std::string& claims) const {
    return sign(libjwt_name(GetParam()), keys(GetParam()).secret, claims);
  }
  Result<Claims> verified(const std::string& claims) const {
    return verify(by(), signed_(claims), kNow, 3);
  }
  std::string refusal(const std::string& claims) const {
    Result<Claims> read = verified(claims);
    return read ? "accepted" : read.error().text();
  }
};

TEST_P(ConnectToken, SaysWhoComesWhereToAndForHowLong) {
  Result<Claims> claims =
      verified(R"({"sub":"42","channels":["room1","news"],"exp":1800000001,"nbf":1800000000})");
  ASSERT_TRUE(claims) << claims.error().text();
  EXPECT_EQ(claims->user, "42");
  EXPECT_EQ(claims->channels, (std::vector<std::string>{"room1", "news"}));
  EXPECT_EQ(claims->expires_wall_s, kNow + 1);
  Result<Claims> empty = verified(R"({"iss":"x"})");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->user, "");
  EXPECT_EQ(empty->expires_wall_s, 0u);
}

TEST_P(ConnectToken, ClaimsThatMakeNoSenseAreRefused) {
  EXPECT_EQ(refusal(R"({"exp":1800000000})"), "the token has expired");
  EXPECT_EQ(refusal(R"({"exp":"tomorrow"})"), "exp is not a time");
  EXPECT_EQ(refusal(R"({"exp":-5})"), "exp is not a time");
  EXPECT_EQ(refusal(R"({"exp":1e300})"), "exp is not a time");
  EXPECT_EQ(refusal(R"({"nbf":1800000001})"), "the token is not valid yet");
  EXPECT_EQ(refusal(R"({"nbf":[1]})"), "nbf is not a time");
  EXPECT_EQ(refusal(R"({"sub":"a b\u0001"})"), "sub is no valid user id");
  EXPECT_EQ(refusal("{\"sub\":\"" + std::string(65, 'x') + "\"}"), "sub is no valid user id");
  EXPECT_EQ(refusal(R"({"channels":"room1"})"), "channels is not a list of texts");
  EXPECT_EQ(refusal(R"({"channels":["a",1]})"), "channels is not a list of texts");
  EXPECT_EQ(refusal(R"({"channels":["a","b","c","d"]})"), "too many channels");
  EXPECT_EQ(refusal(R"({"channels":[""]})"), "channels has what is no channel's name");
}

// NumericDate (RFC 7519 section 2) may have a fraction.
TEST_P(ConnectToken, TimesNeedNotBeWhole) {
  EXPECT_EQ(refusal(R"({"exp":0.5})"), "the token has expired");
  EXPECT_EQ(refusal(R"({"exp":0})"), "the token has expired");
  EXPECT_EQ(refusal(R"({"exp":1800000000.999})"), "the token has expired");
  EXPECT_EQ(refusal(R"({"nbf":1800000000.001})"), "the token is not valid yet");
  Result<Claims> claims = verified(R"({"exp":1800000001.5,"nbf":0,"iat":1799999999.25})");
  ASSERT_TRUE(claims) << claims.error().text();
  EXPECT_EQ(claims->expires_wall_s, kNow + 1);
}

TEST_P(ConnectToken, WhatIsThereMustBeWhatItIsToBe) {
  for (const char* no_time : {"null", "true", "\"1900000000\"", "[1900000000]", "{}", "-0.5", "-1",
                              "1e13", "9223372036854775807"})
    for (std::string name : {"exp", "nbf", "iat"})
      EXPECT_EQ(refusal("{\"" + name + "\":" + no_time + "}"), name + " is not a time") << no_time;
  for (const char* no_text : {"null", "42", "true", "[\"42\"]", "{\"a\":1}"})
    EXPECT_EQ(refusal(std::string("{\"sub\":") + no_text + "}"), "sub is not a text") << no_text;
  for (const char* no_list : {"null", "\"a\"", "{}", "[null]", "[[\"a\"]]"})
    EXPECT_EQ(refusal(std::string("{\"channels\":") + no_list + "}"),
              "channels is not a list of texts")
        << no_list;
}

TEST_P(ConnectToken, IsForWhomItNames) {
  conf::ConnectToken chat = by();
  chat.audience = "chat";
  auto good = [&](const std::string& claims) {
    return bool(verify(chat, signed_(claims), kNow, 3));
  };
  EXPECT_TRUE(good(R"({"aud":"chat"})"));
  EXPECT_TRUE(good(R"({"aud":["mail","chat"]})"));
  EXPECT_FALSE(good(R"({"aud":"mail"})"));
  EXPECT_FALSE(good(R"({"aud":["mail"]})"));
  EXPECT_FALSE(good(R"({"aud":7})"));
  EXPECT_FALSE(good(R"({})"));
}

// Tokens of any header and claims, as text, signed by hand: HMAC is simple enough.
std::string hand_signed(const std::string& header, const std::string& claims) {
  const std::string& secret = keys(conf::TokenAlgorithm::hs256).secret;
  std::string token = to_base64url(header) + "." + to_base64url(claims);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  HMAC(EVP_sha256(), secret.data(), int(secret.size()),
       reinterpret_cast<const unsigned char*>(token.data()), token.size(), mac, &bytes);
  return token + "." + to_base64url({reinterpret_cast<const char*>(mac), bytes});
}

std::string refusal_of(const std::string& header, const std::string& claims) {
  conf::ConnectToken by{conf::TokenAlgorithm::hs256, "", keys(conf::TokenAlgorithm::hs256).open, "",
                        true};
  Result<Claims> read = verify(by, hand_signed(header, claims), kNow, 3);
  return read ? "accepted" : read.error().text();
}

TEST(SignedByHand, CritIsRefused) {  // RFC 7515 section 4.1.11
  constexpr const char* kGood = R"({"alg":"HS256","typ":"JWT","kid":"7"})";
  EXPECT_EQ(refusal_of(kGood, R"({"sub":"42"})"), "accepted");
  for (const char* crit : {R"(["exp"])", R"(["b64"],"b64":false)", R"(["x"],"x":1)", "[]", "null"})
    EXPECT_EQ(refusal_of(R"({"alg":"HS256","crit":)" + std::string(crit) + "}", R"({"sub":"42"})"),
              "crit names what is not understood here")
        << crit;
}

TEST(SignedByHand, AlgIsWhatTheListenerWantsLetterByLetter) {
  for (const char* header : {R"({"alg":"hs256"})", R"({"alg":"none"})", R"({"alg":"HS384"})",
                             R"({"alg":null})", R"({"alg":["HS256"]})", R"({"typ":"JWT"})"})
    EXPECT_EQ(refusal_of(header, R"({"sub":"42"})"), "the token's signature is not good") << header;
  for (const char* header : {R"({"alg":"none","alg":"HS256"})", R"({"alg":"HS256","alg":"none"})"})
    EXPECT_EQ(refusal_of(header, R"({"sub":"42"})"), "the token's header cannot be read");
}

TEST(SignedByHand, NamesThatComeTwiceAreRefused) {
  constexpr const char* kHeader = R"({"alg":"HS256"})";
  for (const char* claims : {R"({"sub":"42","sub":"admin"})", R"({"sub":"42","\u0073ub":"admin"})",
                             R"({"exp":1,"exp":1900000000})", R"({"x":1,"x":1})"})
    EXPECT_EQ(refusal_of(kHeader, claims), "the token's claims cannot be read") << claims;
  for (const char* claims : {R"(["sub"])", R"("sub")", "", R"({"sub":"42"} {})",
                             "{\"sub\":\"\xff\"}", R"({"sub":"42\u0000admin"})"})
    EXPECT_NE(refusal_of(kHeader, claims), "accepted") << claims;
}

// Every byte of a token matters: one changed bit anywhere, and it is refused.
TEST_P(ConnectToken, AForgedOneIsRefused) {
  std::string token = signed_(R"({"sub":"42"})");
  ASSERT_TRUE(verify(by(), token, kNow, 3));
  size_t tried = 0;
  for (size_t at = 0; at < token.size(); ++at) {
    std::string forged = token;
    // The last character of a part may have bits that mean nothing.
    if (at + 1 == token.size() || token[at + 1] == '.') continue;
    forged[at] = forged[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify(by(), forged, kNow, 3)) << at;
    ++tried;
  }
  EXPECT_GT(tried, 60u);
  for (size_t bytes = 0; bytes < token.size(); ++bytes)
    EXPECT_FALSE(verify(by(), token.substr(0, bytes), kNow, 3)) << bytes;
}

// The classic attacks: the public key as a secret, "none", another algorithm, another key.
TEST_P(ConnectToken, TheTokenDoesNotChooseItsAlgorithm) {
  const std::string claims = R"({"sub":"admin"})";
  std::vector<std::string> forged = {sign(JWT_ALG_NONE, "", claims),
                                     sign(JWT_ALG_HS512, keys(GetParam()).open, claims)};
  if (GetParam() != conf::TokenAlgorithm::hs256)
    forged.push_back(sign(JWT_ALG_HS256, keys(GetParam()).open, claims));
  for (auto other :
       {conf::TokenAlgorithm::hs256, conf::TokenAlgorithm::rs256, conf::TokenAlgorithm::es256})
    if (other != GetParam()) forged.push_back(sign(libjwt_name(other), keys(other).secret, claims));
  for (const std::string& token : forged) {
    Result<Claims> read = verify(by(), token, kNow, 3);
    ASSERT_FALSE(read) << token;
    EXPECT_EQ(read.error().text(),
              token.ends_with('.') ? "no JSON Web Token" : "the token's signature is not good");
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, ConnectToken,
                         ::testing::Values(conf::TokenAlgorithm::hs256, conf::TokenAlgorithm::rs256,
                                           conf::TokenAlgorithm::es256),
                         [](const auto& made) {
                           return std::string(made.param == conf::TokenAlgorithm::hs256 ? "HS256"
                                              : made.param == conf::TokenAlgorithm::rs256
                                                  ? "RS256"
                                                  : "ES256");
                         });

TEST(ConnectTokenText, OfAnotherKindIsRefused) {
  conf::ConnectToken by{conf::TokenAlgorithm::hs256, "", std::string(32, 's'), "", true};
  EXPECT_EQ(verify(by, "", kNow, 3).error().text(), "no token");
  for (const std::string& text :
       {std::string("x"), std::string("a.b.c"), std::string("..."), std::string("a\0b", 3),
        std::string(kMaxTokenBytes + 1, 'x'), std::string("{}.{}.x"), std::string("."),
        std::string(".."), std::string(".abc.def"), std::string("abc..def"),
        std::string("abc.def."), std::string("abc.def"), std::string("abc.def.ghi.jkl"),
        std::string("abcde.def.ghi"), std::string("ab=.def.ghi"), std::string("ab+.def.ghi"),
        std::string("ab\0.def.ghi", 11)})
    EXPECT_EQ(verify(by, text, kNow, 3).error().text(), "no JSON Web Token") << text.substr(0, 20);
}

TEST(ConnectTokenText, RandomPartsAreRefused) {
  conf::ConnectToken by{conf::TokenAlgorithm::hs256, "", std::string(32, 's'), "", true};
  constexpr std::string_view kDigits = "ABCXYZabcxyz0189-_eyJhbGciOiJIUzI1NiJ9";
  std::mt19937 dice(1);
  for (int round = 0; round < 3'000; ++round) {
    std::string token;
    for (int part = 0; part < 3; ++part) {
      if (part > 0) token += '.';
      for (size_t size = dice() % 40; size > 0; --size) token += kDigits[dice() % kDigits.size()];
    }
    EXPECT_FALSE(verify(by, token, kNow, 3)) << token;
  }
}

TEST(ConnectTokenText, StandsInTheHeaderOrInTheUrl) {
  auto of = [](const std::string& target, const std::string& header) {
    http::RequestReader reader({4096, 20, 0});
    size_t used = 0;
    EXPECT_EQ(reader.feed("GET " + target + " HTTP/1.1\r\nHost: x\r\n" + header + "\r\n", &used),
              http::RequestReader::Status::complete);
    return token_of(reader.request());
  };
  EXPECT_EQ(of("/ws?token=a.b.c", ""), "a.b.c");
  EXPECT_EQ(of("/ws?x=1&token=a%2Eb.c&token=other", ""), "a.b.c");
  EXPECT_EQ(of("/ws?token=a.b.c", "Authorization: bearer d.e.f\r\n"), "d.e.f");
  EXPECT_EQ(of("/ws", "Authorization: Basic eDp5\r\n"), "");
  EXPECT_EQ(of("/ws?token=%zz", ""), "");
  EXPECT_EQ(of("/ws", ""), "");
}

}  // namespace
}  // namespace holdfast::token
