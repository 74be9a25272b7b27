#include "worker/api/resp/transaction.h"

#include <fmt/format.h>

#include <utility>

#include "worker/api/resp/commands.h"
#include "worker/api/resp/handlers.h"

namespace holdfast::api {
namespace {

// Questions are not asked any more when the answers have come to so much: the connection could not take it.
constexpr size_t kMaxAnswerBytes = 4 * 1024 * 1024;

bool only_asks(const RespCommand& command) {
  return (command.scopes & conf::kScopePush) == 0;
}

// Null: there is no such command.
const RespCommand* row_of(resp::Arguments arguments) {
  auto found = find_command(arguments);
  const RespCommand** row = std::get_if<const RespCommand*>(&found);
  return row != nullptr ? *row : nullptr;
}

bool is_question(const RespCommand* row) {
  return row != nullptr && (row->scopes & conf::kScopeQuery) != 0;
}

}  // namespace

void RespAnswer::send_part(std::string_view bytes) const {
  exec_->settle(part_, bytes);
}

// ---- RespTransaction

RespTransaction::~RespTransaction() {
  if (under_way_) under_way_->leave_connection();
}

void RespTransaction::discard() {
  open_ = spoilt_ = false;
  bytes_ = questions_ = 0;
  queued_ = {};
}

std::optional<std::string> RespTransaction::queue(resp::Arguments arguments) {
  size_t bytes = bytes_;
  for (std::string_view argument : arguments) bytes += argument.size() + sizeof(std::string);
  if (queued_.size() == kMaxQueued)
    return fmt::format("ERR a transaction has {} commands at most", kMaxQueued);
  // One request alone may have so many bytes, whatever its arguments cost.
  if (bytes > context_.api->max_body && !queued_.empty())
    return fmt::format("ERR a transaction has {} bytes at most (max_body)", context_.api->max_body);
  bool question = is_question(row_of(arguments));
  if (question && questions_ == kMaxQuestions)
    return fmt::format("ERR a transaction has {} questions at most", kMaxQuestions);
  questions_ += question ? 1 : 0;
  bytes_ = bytes;
  queued_.emplace_back(arguments.begin(), arguments.end());
  return {};
}

void RespTransaction::restore(bool spoilt, std::vector<Queued>&& queued) {
  open_ = true;
  spoilt_ = spoilt;
  queued_ = std::move(queued);
  for (const Queued& request : queued_) {
    for (const std::string& argument : request) bytes_ += argument.size() + sizeof(std::string);
    std::vector<std::string_view> arguments(request.begin(), request.end());
    questions_ += is_question(row_of(arguments)) ? 1 : 0;
  }
}

void RespTransaction::exec(const RespCall& call) {
  bool spoilt = spoilt_;
  std::vector<Queued> queued = std::move(queued_);
  discard();
  if (spoilt)
    return call.answer.refuse("EXECABORT Transaction discarded because of previous errors.");
  if (queued.empty()) return call.answer.send(call.answer.writer().array(0));
  under_way_ = std::make_shared<Exec>(call, std::move(queued));
  under_way_->go_on();
}

// ---- Exec

Exec::Exec(const RespCall& call, std::vector<RespTransaction::Queued>&& queued)
    : context_(call.context),
      state_(&call.state),
      subscriber_(&call.subscriber),
      answer_(call.answer),
      queued_(std::move(queued)),
      answers_(queued_.size()) {}

void Exec::leave_connection() {
  if (left_ || queued_.empty()) return;
  left_.emplace(context_, *state_);
  state_ = &left_->state;
  subscriber_ = &left_->subscriber;
}

bool Exec::must_wait() const {
  if (settled_ == next_) return false;
  if (changed_ || next_ - settled_ >= kMostUnderWay) return true;
  std::vector<std::string_view> arguments(queued_[next_].begin(), queued_[next_].end());
  const RespCommand* row = row_of(arguments);
  return is_question(row) || (row != nullptr && (row->flags & kWaits) != 0);
}

// An answer that comes during a command is this loop's to go on from.
void Exec::go_on() {
  if (std::exchange(running_, true)) return;
  std::shared_ptr<Exec> keep = shared_from_this();
  while (next_ < queued_.size() && !must_wait()) run_next();
  running_ = false;
  if (settled_ == queued_.size()) finish();
}

void Exec::run_next() {
  size_t part = next_++;
  std::vector<std::string_view> arguments(queued_[part].begin(), queued_[part].end());
  RespAnswer answer(answer_, shared_from_this(), part);
  auto found = find_command(arguments);
  if (std::string* error = std::get_if<std::string>(&found)) return answer.refuse(*error);
  const RespCommand& command = *std::get<const RespCommand*>(found);
  changed_ = (command.flags & kChangesState) != 0;
  if (std::string refusal = refusal_of(context_, *state_, command); !refusal.empty())
    return answer.refuse(refusal);
  if (answer_bytes_ > kMaxAnswerBytes && only_asks(command))
    return answer.refuse("ERR what this transaction asks for is too long for one answer");
  command.run({context_, arguments, *state_, *subscriber_, nullptr, answer});
}

void Exec::settle(size_t part, std::string_view answer) {
  answers_[part] = answer;
  answer_bytes_ += answer.size();
  ++settled_;
  go_on();
}

void Exec::finish() {
  resp::ReplyWriter out = answer_.writer();
  out.array(answers_.size());
  for (const std::string& answer : std::exchange(answers_, {})) out.raw(answer);
  queued_.clear();
  settled_ = next_ = 0;
  answer_.send(out);
}

// ---- the commands

namespace run {

void multi(const RespCall& call) {
  if (call.transaction->open()) return call.answer.refuse("ERR MULTI calls can not be nested");
  call.transaction->begin();
  call.answer.ok();
}

void exec(const RespCall& call) {
  if (!call.transaction->open()) return call.answer.refuse("ERR EXEC without MULTI");
  call.transaction->exec(call);
}

void discard(const RespCall& call) {
  if (!call.transaction->open()) return call.answer.refuse("ERR DISCARD without MULTI");
  call.transaction->discard();
  call.answer.ok();
}

void watch(const RespCall& call) {
  if (call.transaction->open()) return call.answer.refuse("ERR WATCH inside MULTI is not allowed");
  call.answer.ok();
}

void unwatch(const RespCall& call) {
  call.answer.ok();
}

}  // namespace run
}  // namespace holdfast::api
