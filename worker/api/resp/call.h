// worker/api/resp/call.h - one RESP request on its way: the arguments of a command's function, and
// the destination of its answer.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "wire/resp/reply_writer.h"
#include "wire/resp/request_reader.h"
#include "worker/api/face.h"

namespace holdfast::api {

class RespSubscriber;
class RespTransaction;
class Exec;

// A connection's own statements about itself.
struct RespState {
  int version = 2;            // HELLO
  unsigned scopes = 0;        // of its token; all of them if no token is needed. 0: none yet
  std::string name;           // CLIENT SETNAME
  uint64_t id = 0;            // CLIENT ID
  std::string secret_digest;  // of the token of AUTH (auth.h)
};

// The destination of one request's answer, in the words of the version it was asked in. A value;
// code that answers later carries a copy. Exactly one of the calls below ends it.
class RespAnswer {
 public:
  RespAnswer(const ApiContext& context, int version, const Reply& reply)
      : context_(&context), version_(version), reply_(reply) {}
  // That of a request that EXEC carries out: a part of EXEC's answer.
  RespAnswer(const RespAnswer& whole, std::shared_ptr<Exec> exec, size_t part)
      : context_(whole.context_),
        version_(whole.version_),
        reply_(whole.reply_),
        exec_(std::move(exec)),
        part_(part) {}

  const ApiContext& context() const { return *context_; }
  uint64_t source() const { return reply_.source(); }
  resp::ReplyWriter writer() const { return resp::ReplyWriter(version_); }

  int version() const { return version_; }
  void send(const resp::ReplyWriter& answer) const { send(answer.bytes()); }
  void ok() const { send("+OK\r\n"); }
  void integer(uint64_t value) const { send(writer().integer(int64_t(value))); }
  void bulk(std::string_view bytes) const { send(writer().bulk(bytes)); }
  // `error` begins with its code; counted.
  void refuse(std::string_view error) const {
    context_->stats->api_errors.add();
    send(writer().error(error));
  }

 private:
  void send(std::string_view bytes) const {
    if (exec_)
      send_part(bytes);
    else
      reply_(bytes);
  }
  void send_part(std::string_view bytes) const;

  const ApiContext* context_;
  int version_;
  Reply reply_;
  std::shared_ptr<Exec> exec_;  // not null: this is the answer of one of its requests
  size_t part_ = 0;
};

// Valid during the call of a command's function.
struct RespCall {
  const ApiContext& context;
  resp::Arguments arguments;  // [0] is the command's name; a container's subcommand is [1]
  RespState& state;
  RespSubscriber& subscriber;
  RespTransaction* transaction;  // null in an EXEC
  RespAnswer answer;
};

// The scopes of a connection of this listener before it has shown a token.
unsigned scopes_at_start(const conf::Api& api);

// Letters of ASCII without regard to case, as Redis compares its words.
bool same_word(std::string_view a, std::string_view b);
// `text` as it is shown in an error: at most 64 bytes of it.
std::string shown(std::string_view text);
// Errors that name the fault.
std::string no_channel(std::string_view name);
std::string no_user(std::string_view name);
std::string no_session_id(std::string_view text);

}  // namespace holdfast::api
