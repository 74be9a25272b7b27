#include "wire/http/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>

#include "base/bounded_append.h"
#include "base/check.h"
#include "wire/http/chars.h"
#include "wire/http/chunked.h"
#include "wire/http/header_scan.h"

namespace holdfast::http {
namespace {

namespace beast = boost::beast;

constexpr size_t kUsualHeaders = 8;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// Beast's parser, told to stop behind the header. It writes straight into a Request: Beast's own
// container would group repeated headers and so lose their order.
class HeaderParser final : public beast::http::basic_parser<true> {
 public:
  HeaderParser(Request& request, unsigned max_headers)
      : request_(request), max_headers_(max_headers) {
    skip(true);
  }
  bool too_many() const { return too_many_; }

 private:
  using Code = beast::error_code;

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                       int version, Code&) override {
    request_.method = view(method);
    request_.target = view(target);
    request_.version_11 = version >= 11;
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     Code& code) override {
    if (request_.headers.size() == max_headers_) {
      too_many_ = true;
      code = beast::http::make_error_code(beast::http::error::header_limit);
      return;
    }
    if (request_.headers.empty()) request_.headers.reserve(kUsualHeaders);
    request_.headers.push_back({std::string(view(name)), std::string(trimmed(view(value)))});
  }
  void on_response_impl(int, beast::string_view, int, Code&) override {}
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  std::size_t on_body_impl(beast::string_view text, Code&) override { return text.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view text, Code&) override {
    return text.size();
  }
  void on_finish_impl(Code&) override {}

  Request& request_;
  unsigned max_headers_;
  bool too_many_ = false;
};

// Before Beast sees the header: it answers every version problem alike.
Failure judge_version(std::string_view head) {
  std::string_view line = head.substr(0, head.find("\r\n"));
  if (line.starts_with("PROXY "))
    return {400, "this is a PROXY header, and the listener expects none"};
  size_t blank = line.rfind(' ');
  std::string_view version = blank == line.npos ? std::string_view() : line.substr(blank + 1);
  auto digit = [&](size_t i) { return version[i] >= '0' && version[i] <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(5) || version[6] != '.' ||
      !digit(7))
    return {400, "malformed request line"};
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return {505, "only HTTP/1.0 and 1.1 are spoken here"};
  return {};
}

// What the header says about the body.
struct BodyPlan {
  bool chunked = false;
  uint64_t length = 0;
};

Failure judge_coding(std::string_view value) {
  bool chunked = false;
  while (true) {
    size_t comma = value.find(',');
    std::string_view coding = trimmed(value.substr(0, comma));
    if (coding.empty() || chunked) return {400, "malformed Transfer-Encoding"};
    if (!equal_ignoring_case(coding, "chunked")) return {501, "unknown transfer coding"};
    chunked = true;
    if (comma == value.npos) return {};
    value.remove_prefix(comma + 1);
  }
}

Failure parse_length(std::string_view text, uint64_t* length) {
  const char* text_end = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), text_end, *length);  // takes digits only
  if (error != std::errc() || end != text_end) return {400, "malformed Content-Length"};
  return {};
}

Failure plan_body(const Request& request, BodyPlan* plan) {
  unsigned lengths = 0, codings = 0, hosts = 0;
  for (const Header& header : request.headers) {
    Failure failure;
    if (equal_ignoring_case(header.name, "Content-Length")) {
      ++lengths;
      failure = parse_length(header.value, &plan->length);
    } else if (equal_ignoring_case(header.name, "Transfer-Encoding")) {
      ++codings;
      failure = judge_coding(header.value);
    } else if (equal_ignoring_case(header.name, "Host")) {
      ++hosts;
    }
    if (failure) return failure;
  }
  if (lengths > 1) return {400, "more than one Content-Length"};
  if (codings > 1) return {400, "more than one Transfer-Encoding"};
  if (lengths + codings > 1) return {400, "Content-Length and Transfer-Encoding together"};
  if (codings == 1 && !request.version_11) return {400, "Transfer-Encoding in HTTP/1.0"};
  if (hosts > 1) return {400, "more than one Host"};
  if (hosts == 0 && request.version_11) return {400, "no Host"};
  plan->chunked = codings == 1;
  return {};
}

Failure parse_header(std::string_view head, unsigned max_headers, Request* request) {
  if (Failure failure = judge_version(head)) return failure;
  HeaderParser parser(*request, max_headers);
  parser.header_limit(uint32_t(std::min<size_t>(head.size() + 1, UINT32_MAX)));
  beast::error_code code;
  parser.put(boost::asio::const_buffer(head.data(), head.size()), code);
  if (parser.too_many()) return {431, "too many headers"};
  // Beast refuses some of what plan_body() would (and passes some: that is why there is
  // plan_body()).
  if (code == beast::http::error::bad_content_length) return {400, "doubtful Content-Length"};
  if (code == beast::http::error::bad_transfer_encoding) return {400, "doubtful Transfer-Encoding"};
  if (code || !parser.is_done()) return {400, "malformed request"};
  return {};
}

std::string in_chunks(std::string_view body) {
  std::string text;
  if (!body.empty()) text = fmt::format("{:x}\r\n{}\r\n", body.size(), body);
  return text + "0\r\n\r\n";
}

}  // namespace

struct RequestReader::Impl {
  enum class Phase : uint8_t { header, fixed_body, chunked_body, complete, failed, skipping };

  explicit Impl(const RequestLimits& given)
      : limits(given), chunks(given.max_body, given.max_header_bytes) {}

  size_t take_header(std::string_view bytes);
  void header_done(std::string_view head);
  size_t take_fixed_body(std::string_view bytes);
  size_t take_chunked_body(std::string_view bytes);
  size_t pass_over(std::string_view bytes);
  // Does a body follow that is not all among the bytes behind the header?
  bool waits_for_body(size_t in_hand) const {
    return phase == Phase::chunked_body || (phase == Phase::fixed_body && body_bytes > in_hand);
  }
  void fail(const Failure& why) {
    failure = why;
    phase = Phase::failed;
    release(raw);
    release(request.body);
  }

  RequestLimits limits;
  Phase phase = Phase::header;
  HeaderScan scan;
  bool empty_line_seen = false;
  std::string raw;  // of an unfinished header // I4
  Request request;
  uint64_t body_bytes = 0;  // fixed_body: announced; skipping: left
  ChunkedReader chunks;
  Failure failure;
};

size_t RequestReader::Impl::take_header(std::string_view bytes) {
  size_t start = 0;  // where the header, or what comes of it now, begins
  for (size_t i = 0; i < bytes.size(); ++i) {
    size_t room = limits.max_header_bytes - (raw.size() + i - start);
    size_t plain = scan.plain(bytes.substr(i, room));
    i += plain;
    if (i == bytes.size()) break;
    if (plain == room) {
      fail({431, "header too large"});
      return i;
    }
    HeaderScan::Found found;
    Failure wrong = scan.take(bytes[i], &found);
    if (!wrong && found == HeaderScan::Found::empty_line) {
      if (empty_line_seen) wrong = {400, "no request line"};
      empty_line_seen = true;
      raw.clear();
      start = i + 1;
    }
    if (wrong) {
      fail(wrong);
      return i + 1;
    }
    if (found != HeaderScan::Found::end) continue;
    std::string_view last = bytes.substr(start, i + 1 - start);
    if (raw.empty()) {
      header_done(last);
    } else {
      bounded_append(raw, last, limits.max_header_bytes);
      header_done(raw);
    }
    return i + 1;
  }
  bounded_append(raw, bytes.substr(start), limits.max_header_bytes);
  return bytes.size();
}

void RequestReader::Impl::header_done(std::string_view head) {
  BodyPlan plan;
  Failure wrong = parse_header(head, limits.max_headers, &request);
  if (!wrong) wrong = plan_body(request, &plan);
  if (!wrong && plan.length > limits.max_body) wrong = {413, "body too large"};
  if (wrong) return fail(wrong);
  release(raw);
  request.keep_alive = request.version_11 ? !request.header_has_token("Connection", "close")
                                          : request.header_has_token("Connection", "keep-alive");
  body_bytes = plan.length;
  phase = plan.chunked      ? Phase::chunked_body
          : plan.length > 0 ? Phase::fixed_body
                            : Phase::complete;
}

size_t RequestReader::Impl::take_fixed_body(std::string_view bytes) {
  size_t n = std::min(size_t(body_bytes) - request.body.size(), bytes.size());
  bounded_append(request.body, bytes.substr(0, n), size_t(body_bytes));
  if (request.body.size() == body_bytes) phase = Phase::complete;
  return n;
}

size_t RequestReader::Impl::take_chunked_body(std::string_view bytes) {
  size_t consumed = 0;
  switch (chunks.feed(bytes, request.body, &consumed)) {
    case ChunkedReader::Status::need_more:
      break;
    case ChunkedReader::Status::complete:
      phase = Phase::complete;
      break;
    case ChunkedReader::Status::malformed:
      fail({400, "malformed chunked body"});
      break;
    case ChunkedReader::Status::body_too_large:
      fail({413, "body too large"});
      break;
    case ChunkedReader::Status::line_too_long:
      fail({431, "chunk line or trailer too long"});
      break;
  }
  return consumed;
}

size_t RequestReader::Impl::pass_over(std::string_view bytes) {
  size_t n = size_t(std::min<uint64_t>(body_bytes, bytes.size()));
  body_bytes -= n;
  if (body_bytes == 0) *this = Impl(RequestLimits(limits));
  return n;
}

RequestReader::RequestReader(const RequestLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestReader::~RequestReader() = default;
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;

RequestReader::Status RequestReader::feed(std::string_view bytes, size_t* consumed) {
  using Phase = Impl::Phase;
  *consumed = 0;
  if (impl_->phase == Phase::skipping) *consumed = impl_->pass_over(bytes);
  bytes.remove_prefix(*consumed);
  if (impl_->phase == Phase::header) {
    size_t taken = impl_->take_header(bytes);
    bytes.remove_prefix(taken);
    *consumed += taken;
    if (impl_->limits.tell_header && impl_->waits_for_body(bytes.size())) return Status::header;
  }
  if (impl_->phase == Phase::fixed_body) *consumed += impl_->take_fixed_body(bytes);
  if (impl_->phase == Phase::chunked_body) *consumed += impl_->take_chunked_body(bytes);
  if (impl_->phase == Phase::complete) return Status::complete;
  return impl_->phase == Phase::failed ? Status::failed : Status::need_more;
}

Request& RequestReader::request() {
  return impl_->request;
}

void RequestReader::reset() {
  *impl_ = Impl(RequestLimits(impl_->limits));
}

int RequestReader::error_status() const {
  return impl_->failure.status;
}

std::string_view RequestReader::error_text() const {
  return impl_->failure.text;
}

std::string RequestReader::replay() const {
  using Phase = Impl::Phase;
  if (impl_->phase == Phase::skipping) return {};
  if (impl_->phase == Phase::header) return (impl_->empty_line_seen ? "\r\n" : "") + impl_->raw;
  const Request& r = impl_->request;
  std::string text = r.method + " " + r.target + (r.version_11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
  for (const Header& header : r.headers) text += header.name + ":" + header.value + "\r\n";
  text += "\r\n";
  if (impl_->phase == Phase::fixed_body) return text + r.body;
  if (impl_->phase == Phase::complete)
    return text + (r.header("Transfer-Encoding") ? in_chunks(r.body) : r.body);
  return text + impl_->chunks.replay(r.body);
}

bool RequestReader::started() const {
  if (impl_->phase == Impl::Phase::header) return !impl_->raw.empty();
  return impl_->phase == Impl::Phase::fixed_body || impl_->phase == Impl::Phase::chunked_body ||
         impl_->phase == Impl::Phase::skipping;
}

std::optional<uint64_t> RequestReader::body_announced() const {
  if (impl_->phase != Impl::Phase::fixed_body) return {};
  return impl_->body_bytes;
}

void RequestReader::skip_body() {
  HF_CHECK(impl_->phase == Impl::Phase::fixed_body);
  skip(impl_->body_bytes - impl_->request.body.size());
}

bool RequestReader::limit_body(size_t max_bytes) {
  if (impl_->phase == Impl::Phase::chunked_body)
    impl_->chunks =
        ChunkedReader(std::min(max_bytes, impl_->limits.max_body), impl_->limits.max_header_bytes);
  return impl_->phase != Impl::Phase::fixed_body || impl_->body_bytes <= max_bytes;
}

uint64_t RequestReader::skipping() const {
  return impl_->phase == Impl::Phase::skipping ? impl_->body_bytes : 0;
}

void RequestReader::skip(uint64_t bytes) {
  *impl_ = Impl(RequestLimits(impl_->limits));
  if (bytes == 0) return;
  impl_->phase = Impl::Phase::skipping;
  impl_->body_bytes = bytes;
}

bool RequestReader::wants_continue() const {
  using Phase = Impl::Phase;
  bool waits = (impl_->phase == Phase::fixed_body && impl_->request.body.empty()) ||
               (impl_->phase == Phase::chunked_body && impl_->chunks.untouched());
  return waits && impl_->request.version_11 &&
         impl_->request.header_has_token("Expect", "100-continue");
}

size_t RequestReader::held_bytes() const {
  return impl_->raw.capacity() + impl_->request.body.capacity();
}

}  // namespace holdfast::http
