#include "worker/api/http/batch.h"

#include <memory>
#include <utility>

#include "worker/api/idempotency.h"
#include "worker/api/settle.h"

namespace holdfast::api {
namespace {

// Kept alive by the callback of the command that is under way (and by run() while it runs).
class BatchRun : public std::enable_shared_from_this<BatchRun> {
 public:
  BatchRun(const Exchange& exchange, std::vector<ParsedCommand> items)
      : exchange_(exchange), items_(std::move(items)) {
    json_.begin_object().key("results").begin_array();
  }

  // Carries out items until one has to wait. A loop, not a recursion: most results come at once.
  void run() {
    running_ = true;
    while (next_ < items_.size() && !waiting_) step();
    running_ = false;
    if (next_ < items_.size() || waiting_) return;
    json_.end_array().end_object();
    exchange_.answer(200, json_.take());
  }

 private:
  void step() {
    ParsedCommand& item = items_[next_++];
    if (ApiError* error = std::get_if<ApiError>(&item)) return failed(*error);
    Asked& asked = std::get<Asked>(item);
    auto opened = open_receipt(exchange_.context(), asked.id, asked.command);
    if (Refusal* refusal = std::get_if<Refusal>(&opened)) return failed(refusal->error);
    if (Repeat* repeat = std::get_if<Repeat>(&opened)) return repeated(*repeat);
    carry_out(asked.command, std::get<Receipt>(opened));
  }

  void carry_out(Command& command, const Receipt& receipt) {
    if (auto error = settle(exchange_.context(), command)) {
      receipt.give_back(exchange_.context());
      return failed(*error);
    }
    waiting_ = true;
    command.source = exchange_.source();
    exchange_.context().router->execute(
        command, [self = shared_from_this(), &command, receipt](CommandResult&& result) {
          self->done(command, result, receipt);
        });
  }

  void failed(const ApiError& error) {
    json_.begin_object().key("status").number(uint64_t(error.status));
    write_error(json_, error);
    json_.end_object();
  }

  void repeated(const Repeat& repeat) {
    json_.begin_object().key("status").number(uint64_t(repeat.status));
    json_.members_of(repeat.body).key("repeated").boolean(true).end_object();
  }

  void done(const Command& command, const CommandResult& result, const Receipt& receipt) {
    json::Writer body;
    body.begin_object();
    int status = write_outcome(body, command, result);
    std::string text = body.end_object().take();
    receipt.close(exchange_.context(), command.op, result, status, text);
    json_.begin_object().key("status").number(uint64_t(status)).members_of(text).end_object();
    waiting_ = false;
    if (!running_) run();
  }

  Exchange exchange_;
  std::vector<ParsedCommand> items_;  // never changes size: callbacks refer into it
  size_t next_ = 0;
  bool running_ = false;  // run() is on the stack
  bool waiting_ = false;  // a command is under way
  json::Writer json_;
};

}  // namespace

void run_batch(const Exchange& exchange, std::vector<ParsedCommand> items) {
  std::make_shared<BatchRun>(exchange, std::move(items))->run();
}

}  // namespace holdfast::api
