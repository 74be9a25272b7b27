// worker/net/tls/accepting.h - the server's side of one TLS hand-shake, by OpenSSL.
//
// take() keeps the bytes that have come and costs nothing; step() works, and may wait for its turn. Only whole records are given
// to OpenSSL, one by one, and a ClientHello only when it is whole:
//   - bytes after the client's Finished are the application's, however many, and never go to OpenSSL;
//   - a client that has sent no hello costs some hundred bytes, and one that announces a long one no more than the bytes it sends.
//
// The secrets of TLS 1.3 come from OpenSSL's key log (SSL_CTX_set_keylog_callback); they go nowhere else. The records' sequence
// numbers go on after the hand-shake: reading begins at 0 in 1.3 (the client's Finished is under the hand-shake's keys) and at 1
// in 1.2 (it was 0); writing begins after the records of the last flight in 1.3 (tickets), and at 1 in 1.2.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/net/tls/anchors.h"
#include "worker/net/tls/context.h"
#include "worker/net/tls/secrets.h"

namespace holdfast::tls {

class Accepting {
 public:
  enum class Step : uint8_t { need_more, done, failed };
  // All of the hand-shake that a client may send: more than any chain of client certificates needs; and in how many records.
  static constexpr size_t kMaxBytes = 64 * 1024;
  static constexpr unsigned kMaxRecords = 4'096;
  // The memory that OpenSSL 3.0 holds for one after its hello, as measured.
  static constexpr size_t kBegunBytes = 45 * 1024;

  explicit Accepting(const Context& context);  // outlives this
  ~Accepting();
  Accepting(const Accepting&) = delete;
  Accepting& operator=(const Accepting&) = delete;

  // True: step() has something to do.
  bool take(std::string_view bytes);
  // `answer`: ciphertext to be sent is appended, also if it failed (an alert).
  Step step(std::string& answer);
  Step feed(std::string_view bytes, std::string& answer) {
    return take(bytes) ? step(answer) : Step::need_more;
  }
  const std::string& error() const { return error_; }  // after failed
  size_t held_bytes() const;                           // of memory, about

  // After done.
  std::optional<Secrets> secrets();  // empty: a cipher that is none of ours
  std::string rest();                // the bytes after the hand-shake
  std::string_view version() const;  // "TLSv1.3"
  bool resumed() const;
  std::string anchor() const { return anchor_of(ssl_.get()); }  // of the client's certificate

  // For Context's callbacks.
  static Accepting& of(const SSL* ssl);
  const Context& context() const { return context_; }
  void take_secret(std::string_view line);

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  void walk();
  void walk_hello(uint8_t type, std::string_view body);
  void begin();
  Step give(std::string_view bytes, std::string& answer);
  Step too_long(std::string& answer);
  bool complete(Secrets& secrets);

  const Context& context_;
  std::unique_ptr<SSL, Free> ssl_;             // null: no hello yet
  std::string client_secret_, server_secret_;  // 1.3
  std::string kept_;                           // not given yet
  size_t walked_ = 0;                          // of it: whole records
  std::string hello_head_;  // type and length of a ClientHello, once they have come
  size_t hello_bytes_ = 0;  // of it that have come
  bool hello_whole_ = false;
  bool retried_ = false;   // asked for another (HelloRetryRequest)
  bool odd_ = false;       // the input cannot be a record: OpenSSL reports the fault
  bool too_long_ = false;  // a hello of that length is not waited for
  size_t given_ = 0;
  unsigned records_ = 0;
  uint64_t last_flight_ = 0;  // records in it
  std::string error_;
};

}  // namespace holdfast::tls
