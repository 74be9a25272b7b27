#include "worker/api_connection.h"

namespace holdfast {
namespace {
constexpr size_t kMaxUnsent =
    4 * 1024 * 1024;  // a pusher that does not read its answers gets no further ones
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
}  // namespace

ApiConnection::ApiConnection(ApiHome& home, UniqueFd fd)
    : Connection(home.runtime, home.table, std::move(fd)),
      home_(home),
      reader_({home.runtime.config.limits.max_header_size, home.runtime.config.limits.max_headers,
               home.context.api->max_body}),
      number_(home.next_number++) {}

ApiConnection::~ApiConnection() {
  home_.waiting.erase(number_);
}

void ApiConnection::start() {
  arm(runtime_.now_ms + kIdleMs);
  read_on(true);
}

void ApiConnection::on_bytes(std::span<char> bytes) {
  if (phase_ == Phase::lingering) return;
  pending_.append(bytes.data(), bytes.size());
  work();
}

void ApiConnection::work() {
  if (working_) return;  // a reply that came at once: the loop below goes on
  working_ = true;
  size_t used = 0;
  // Whatever stops this loop early leaves an answer to be sent or to come, and that calls again.
  for (unsigned n = 0; n < kTurnRequests && phase_ == Phase::reading && used < pending_.size() &&
                       unsent() < kMaxUnsent;
       ++n) {
    bool fresh = !reader_.started();
    size_t consumed = 0;
    auto status = reader_.feed(std::string_view(pending_).substr(used), &consumed);
    used += consumed;
    if (status == http::RequestReader::Status::complete) {
      handle_request();
    } else if (status == http::RequestReader::Status::failed) {
      enqueue(BufferRef::concat(
                  api::unreadable(home_.context, reader_.error_status(), reader_.error_text())),
              Urgency::urgent);
      linger();
    } else {
      if (fresh) arm(runtime_.now_ms + kRequestMs);
      if (reader_.wants_continue() && !std::exchange(continued_, true))
        enqueue(BufferRef::concat(kContinue), Urgency::urgent);  // RFC 9110 section 10.1.1
      break;
    }
  }
  pending_.erase(0, used);
  if (pending_.empty() && pending_.capacity() > 64 * 1024) pending_.shrink_to_fit();
  working_ = false;
  if (!retired() && phase_ != Phase::lingering)
    read_on(phase_ == Phase::reading && pending_.empty() && unsent() < kMaxUnsent);
}

void ApiConnection::handle_request() {
  phase_ = Phase::answering;
  // Taken out of the reader: a reply that comes at once may start on the next request.
  http::Request request = std::move(reader_.request());
  reader_.reset();
  continued_ = false;
  close_after_ = !request.keep_alive || runtime_.draining;
  request.keep_alive = !close_after_;
  home_.waiting.emplace(number_, this);
  // The reply may come when this connection is gone: it is looked up by number, not by address.
  api::handle(home_.context, request, [&home = home_, number = number_](std::string&& response) {
    auto it = home.waiting.find(number);
    if (it == home.waiting.end()) return;
    ApiConnection* connection = it->second;
    home.waiting.erase(it);
    connection->on_reply(std::move(response));
  });
}

void ApiConnection::on_reply(std::string&& response) {
  enqueue(BufferRef::concat(response), Urgency::urgent);
  if (close_after_ || runtime_.draining) return linger();
  phase_ = Phase::reading;
  arm(runtime_.now_ms + kIdleMs);
  work();
}

void ApiConnection::linger() {
  phase_ = Phase::lingering;
  read_on(true);
  arm(runtime_.now_ms + kSendMs);
  if (output_empty()) on_drained();
}

void ApiConnection::on_drained() {
  if (phase_ == Phase::reading && !pending_.empty()) return work();
  if (phase_ == Phase::reading) return read_on(true);
  if (phase_ != Phase::lingering || shut_) return;
  if (!reading()) return on_end();  // the other side has ended already
  shut_ = true;
  arm(runtime_.now_ms + kLingerMs);
  shut_down_writing();
}

void ApiConnection::on_end() {
  home_.waiting.erase(number_);
  retire();
}

void ApiConnection::on_end_of_input() {
  if (output_empty()) return on_end();
  phase_ = Phase::lingering;
  arm(runtime_.now_ms + kSendMs);
  read_on(false);
}

void ApiConnection::on_deadline() {
  if (phase_ == Phase::answering) return;  // the router's deadline answers
  on_end();
}

void ApiConnection::wind_up(WindUp) {
  if (phase_ != Phase::reading || !pending_.empty() || reader_.started()) return;
  if (output_empty()) return on_end();  // idle: nothing it could miss
  linger();
}

}  // namespace holdfast
