// RESP commands that concern their connection alone.
#include <algorithm>

#include "worker/api/auth.h"
#include "worker/api/resp/handlers.h"
#include "worker/api/resp/info.h"
#include "worker/api/resp/subscriber.h"
#include "worker/api/resp/transaction.h"

namespace holdfast::api::run {
namespace {

constexpr std::string_view kWrongPass =
    "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kNoName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

// The user's name is not looked at: a token says by itself what it may. Where there are no tokens, there
// is only the user "default", who needs none, as at a Redis server. The answer: an error, or nothing.
std::string_view log_in(const RespCall& call, std::string_view user, std::string_view token) {
  const std::vector<conf::Token>& tokens = call.context.api->tokens;
  if (tokens.empty()) return user == "default" ? std::string_view() : kWrongPass;
  unsigned scopes = scopes_of(tokens, token);
  if (scopes == 0) {
    call.context.stats->api_unauthorized.add();
    return kWrongPass;
  }
  call.state.scopes = scopes;
  call.state.secret_digest = secret_digest(token);
  return {};
}

bool plain_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

// Why `name` cannot be one; "" if it can.
std::string_view bad_name(std::string_view name) {
  constexpr size_t kMaxNameBytes = 255;
  if (!plain_word(name)) return kNoName;
  return name.size() > kMaxNameBytes ? "ERR Client names cannot be longer than 255 bytes."
                                     : std::string_view();
}

struct Hello {
  int version;
  bool logs_in = false;
  std::string_view user, token;
  bool names = false;
  std::string_view name;
  std::string error;
};

Hello parse_hello(resp::Arguments arguments, int version) {
  Hello hello{.version = version};
  if (arguments.size() > 1) {
    std::string_view wanted = arguments[1];
    if (wanted.empty() || wanted.size() > 18 ||
        wanted.find_first_not_of("0123456789") != std::string_view::npos)
      hello.error = "ERR Protocol version is not an integer or out of range";
    else if (wanted != "2" && wanted != "3")
      hello.error = "NOPROTO unsupported protocol version";
    else
      hello.version = wanted[0] - '0';
  }
  for (size_t i = 2; i < arguments.size() && hello.error.empty(); ++i) {
    size_t left = arguments.size() - i - 1;
    if (same_word(arguments[i], "AUTH") && left >= 2) {
      hello.logs_in = true;
      hello.user = arguments[++i];
      hello.token = arguments[++i];
    } else if (same_word(arguments[i], "SETNAME") && left >= 1) {
      hello.names = true;
      hello.name = arguments[++i];
      hello.error = bad_name(hello.name);
    } else {
      hello.error = "ERR Syntax error in HELLO option " + shown(arguments[i]);
    }
  }
  return hello;
}

void greet(const RespCall& call) {
  resp::ReplyWriter out(call.state.version);
  out.map(7).bulk("server").bulk("redis").bulk("version").bulk(kRedisVersion);
  out.bulk("proto").integer(call.state.version).bulk("id").integer(int64_t(call.state.id));
  out.bulk("mode").bulk("standalone").bulk("role").bulk("master").bulk("modules").array(0);
  call.answer.send(out);
}

}  // namespace

void auth(const RespCall& call) {
  resp::Arguments a = call.arguments;
  if (a.size() > 3) return call.answer.refuse("ERR syntax error");
  if (a.size() == 2 && call.context.api->tokens.empty())
    return call.answer.refuse(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  std::string_view error = log_in(call, a.size() == 3 ? a[1] : "default", a.back());
  return error.empty() ? call.answer.ok() : call.answer.refuse(error);
}

// Everything is looked at before anything is done, the token last.
void hello(const RespCall& call) {
  Hello hello = parse_hello(call.arguments, call.state.version);
  if (!hello.error.empty()) return call.answer.refuse(hello.error);
  if (hello.logs_in) {
    std::string_view error = log_in(call, hello.user, hello.token);
    if (!error.empty()) return call.answer.refuse(error);
  }
  if (call.state.scopes == 0) {
    call.context.stats->api_unauthorized.add();
    return call.answer.refuse(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH "
        "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
        "version at the same time");
  }
  if (hello.names) call.state.name = hello.name;
  call.state.version = hello.version;
  greet(call);
}

void ping(const RespCall& call) {
  if (call.arguments.size() > 2)
    return call.answer.refuse("ERR wrong number of arguments for 'ping' command");
  std::string_view said = call.arguments.size() == 2 ? call.arguments[1] : std::string_view();
  if (call.subscriber.count() > 0 && call.state.version == 2)
    return call.answer.send(call.answer.writer().array(2).bulk("pong").bulk(said));
  if (call.arguments.size() == 2) return call.answer.bulk(said);
  call.answer.send(call.answer.writer().status("PONG"));
}

void echo(const RespCall& call) {
  call.answer.bulk(call.arguments[1]);
}

// There is one database, and nothing in it.
void select(const RespCall& call) {
  std::string_view index = call.arguments[1];
  if (index == "0") return call.answer.ok();
  std::string_view digits = index.substr(index.starts_with('-') ? 1 : 0);
  bool number = !digits.empty() && digits.size() <= 9 &&
                digits.find_first_not_of("0123456789") == std::string_view::npos;
  call.answer.refuse(number ? "ERR DB index is out of range"
                            : "ERR value is not an integer or out of range");
}

void client_id(const RespCall& call) {
  call.answer.integer(call.state.id);
}

void client_getname(const RespCall& call) {
  const std::string& name = call.state.name;
  call.answer.send(name.empty() ? call.answer.writer().null() : call.answer.writer().bulk(name));
}

void client_setname(const RespCall& call) {
  std::string_view error = bad_name(call.arguments[2]);
  if (!error.empty()) return call.answer.refuse(error);
  call.state.name = call.arguments[2];
  call.answer.ok();
}

// What libraries say of themselves is looked at as a Redis server does, and not kept.
void client_setinfo(const RespCall& call) {
  std::string_view option = call.arguments[2];
  bool name = same_word(option, "lib-name");
  if (!name && !same_word(option, "lib-ver"))
    return call.answer.refuse("ERR Unrecognized option " + shown(option));
  if (!plain_word(call.arguments[3]))
    return call.answer.refuse(
        name ? "ERR lib-name cannot contain spaces, newlines or special characters."
             : "ERR lib-ver cannot contain spaces, newlines or special characters.");
  call.answer.ok();
}

void quit(const RespCall& call) {
  call.transaction->discard();
  call.subscriber.unsubscribe_all();
  call.answer.ok();
}

void reset(const RespCall& call) {
  call.transaction->discard();
  call.subscriber.unsubscribe_all();
  call.state.version = 2;
  call.state.name.clear();
  call.state.scopes = scopes_at_start(*call.context.api);
  call.state.secret_digest.clear();
  call.answer.send(call.answer.writer().status("RESET"));
}

}  // namespace holdfast::api::run
