// worker/tls/accepting.h - the server's side of one TLS hand-shake, by OpenSSL.
//
// The secrets of TLS 1.3 are those that OpenSSL tells its key log (SSL_CTX_set_keylog_callback); they go nowhere else. What of
// the records' sequences has been used: reading begins at 0 in 1.3 (the client's Finished is under the hand-shake's keys) and at 1
// in 1.2 (it was 0); writing behind the records of the last flight in 1.3 (tickets), and at 1 in 1.2.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/tls/context.h"
#include "worker/tls/secrets.h"

namespace holdfast::tls {

class Accepting {
 public:
  enum class Step : uint8_t { need_more, done, failed };
  // All that a client may send before it is done: more than any chain of client certificates needs.
  static constexpr size_t kMaxBytes = 64 * 1024;

  explicit Accepting(const Context& context);  // outlives this
  ~Accepting();
  Accepting(const Accepting&) = delete;
  Accepting& operator=(const Accepting&) = delete;

  // `answer`: ciphertext to be sent is appended, also where it failed (an alert).
  Step feed(std::string_view bytes, std::string& answer);
  const std::string& error() const { return error_; }  // after failed

  // After done.
  std::optional<Secrets> secrets();  // empty: a cipher that is none of ours
  std::string rest();                // what came behind the hand-shake
  std::string_view version() const;  // "TLSv1.3"
  bool resumed() const;

  // For Context's callbacks.
  static Accepting& of(const SSL* ssl);
  const Context& context() const { return context_; }
  void take_secret(std::string_view line);

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  bool complete(Secrets& secrets);

  const Context& context_;
  std::unique_ptr<SSL, Free> ssl_;
  std::string client_secret_, server_secret_;  // 1.3
  size_t taken_ = 0;                           // bytes fed
  uint64_t last_flight_ = 0;                   // records in it
  std::string error_;
};

}  // namespace holdfast::tls
