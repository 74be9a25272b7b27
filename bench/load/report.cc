#include "bench/load/report.h"

#include <fmt/format.h>

#include "ctl/json.h"
#include "ctl/table.h"
#include "ctl/units.h"

namespace holdfast::bench {
namespace {

using ctl::human_count;

double per(double amount, double divisor) {
  return divisor > 0 ? amount / divisor : 0;
}

double cpu_of_load(const Measured& m) {
  return m.connected && m.loaded ? m.loaded->cpu_s - m.connected->cpu_s : 0;
}

std::string times_text(const LatencyHistogram& h) {
  auto us = [](uint64_t ns) {
    return ns < 10'000 ? fmt::format("{:.1f} us", double(ns) / 1e3) : ctl::human_micros(ns / 1000);
  };
  return fmt::format("p50 {}   p99 {}   p99.9 {}   max {}", us(h.quantile(0.5)),
                     us(h.quantile(0.99)), us(h.quantile(0.999)), us(h.max()));
}

using Lines = std::vector<std::pair<std::string, std::string>>;

void add_connections(Lines& lines, const Options& options, const Measured& m) {
  const Totals& t = m.totals;
  lines.emplace_back("connections",
                     fmt::format("{} of {} open, {} processes", human_count(t.connected),
                                 human_count(options.connections), options.processes));
  lines.emplace_back("connecting",
                     fmt::format("{:.2f} s, {} a second", m.connect_s,
                                 ctl::human_rate(per(double(t.connected), m.connect_s))));
  lines.emplace_back("hand-shake", times_text(m.handshake));
  if (t.connect_failed + t.refused + t.timed_out > 0)
    lines.emplace_back(
        "NOT OPENED", fmt::format("{} without connection, {} refused (last status {}), {} too late",
                                  t.connect_failed, t.refused, t.refusal_status, t.timed_out));
  if (t.closed_early + t.broken > 0)
    lines.emplace_back("LOST", fmt::format("{} closed by the server, {} for breaking the protocol",
                                           t.closed_early, t.broken));
}

void add_publishing(Lines& lines, const Measured& m) {
  const Published& p = m.published;
  double s = double(p.elapsed_ns) / 1e9;
  lines.emplace_back("published", fmt::format("{} requests, {} a second", human_count(p.requests),
                                              ctl::human_rate(per(double(p.requests), s))));
  lines.emplace_back("api answer", times_text(p.answer_time));
  if (p.failures > 0)
    lines.emplace_back("API FAILURES",
                       fmt::format("{}, the last: {}", human_count(p.failures), p.last_trouble));
  if (m.undelivered() > 0)
    lines.emplace_back("UNDELIVERED", fmt::format("{} that the server counted as delivered",
                                                  human_count(m.undelivered())));
}

void add_resumed(Lines& lines, const Options& options, const Measured& m) {
  lines.emplace_back("came back", fmt::format("{} of {} to their sessions, after {} s away",
                                              human_count(m.totals.resumed),
                                              human_count(options.connections), options.away_s));
  if (m.loaded)
    lines.emplace_back("cpu a resume",
                       fmt::format("{:.2f} us, the cut with it", cpu_us_per_resume(m)));
}

void add_messages(Lines& lines, const Options& options, const Measured& m) {
  const Totals& t = m.totals;
  if (options.publishes()) add_publishing(lines, m);
  if (options.scenario == Scenario::echo) lines.emplace_back("sent", human_count(t.sent));
  lines.emplace_back(
      "delivered",
      fmt::format("{} messages of {} bytes, {} a second, {} a second", human_count(t.received),
                  options.payload_bytes, ctl::human_rate(per(double(t.received), m.load_s)),
                  ctl::human_bytes(uint64_t(per(double(t.received_bytes), m.load_s)))));
  lines.emplace_back("latency", times_text(m.latency));
  lines.emplace_back(
      "sequence", fmt::format("{} missing, {} duplicates, {} out of order", human_count(t.missing),
                              human_count(t.duplicates), human_count(t.reordered)));
  if (t.misdirected + t.malformed > 0)
    lines.emplace_back(
        "WRONG", fmt::format("{} for somebody else, {} unreadable", t.misdirected, t.malformed));
}

void add_server(Lines& lines, const Options& options, const Measured& m) {
  if (!m.before || !m.connected) return;
  const Usage& last = m.loaded ? *m.loaded : *m.connected;
  lines.emplace_back("server", fmt::format("{} processes, {} before, {} at the end", last.processes,
                                           ctl::human_bytes(m.before->pss_bytes),
                                           ctl::human_bytes(last.pss_bytes)));
  lines.emplace_back("memory", fmt::format("{:.0f} bytes a connection (PSS without files)",
                                           bytes_per_connection(options, m)));
  lines.emplace_back(
      "cpu connecting",
      fmt::format("{:.2f} s, {:.1f} us a connection", m.connected->cpu_s - m.before->cpu_s,
                  per((m.connected->cpu_s - m.before->cpu_s) * 1e6, double(m.totals.connected))));
  if (m.loaded)
    lines.emplace_back("cpu load", fmt::format("{:.2f} s, {:.1f} % of one core", cpu_of_load(m),
                                               per(100 * cpu_of_load(m), m.load_s)));
  if (m.totals.received > 0)
    lines.emplace_back("cpu a message", fmt::format("{:.2f} us", cpu_us_per_message(options, m)));
}

void write_times(ctl::Json& json, std::string_view key, const LatencyHistogram& h) {
  json.key(key).begin_object().member("count", h.count()).member("mean", h.mean());
  json.member("p50", h.quantile(0.5)).member("p99", h.quantile(0.99));
  json.member("p999", h.quantile(0.999)).member("max", h.max()).end_object();
}

void write_options(ctl::Json& json, const Options& o) {
  json.member("scenario", name_of(o.scenario)).member("connections", o.connections);
  json.member("processes", o.processes).member("payload_bytes", o.payload_bytes);
  json.member("rate", o.rate).member("outstanding", o.outstanding);
  json.member("duration_s", o.duration_s);
  if (o.by_channel()) json.member("channels", o.channels);
  if (!o.publishes()) return;
  json.member("api_connections", o.api_connections);
  json.member("push_protocol", name_of(o.push_protocol));
}

void write_totals(ctl::Json& json, const Totals& t) {
  json.member("connected", t.connected).member("connect_failed", t.connect_failed);
  json.member("refused", t.refused).member("refusal_status", t.refusal_status);
  json.member("timed_out", t.timed_out);
  json.member("closed_early", t.closed_early);
  json.member("broken", t.broken).member("sent", t.sent).member("received", t.received);
  json.member("received_bytes", t.received_bytes).member("missing", t.missing);
  json.member("duplicates", t.duplicates).member("reordered", t.reordered);
  json.member("misdirected", t.misdirected).member("malformed", t.malformed);
  json.member("resumed", t.resumed);
}

void write_published(ctl::Json& json, const Measured& m) {
  const Published& p = m.published;
  json.key("published").begin_object();
  json.member("requests", p.requests).member("answers", p.answers).member("failures", p.failures);
  json.member("delivered", p.delivered).member("undelivered", m.undelivered());
  json.member("last_trouble", p.last_trouble);
  json.member("per_second", per(double(p.requests), double(p.elapsed_ns) / 1e9));
  write_times(json, "answer_ns", p.answer_time);
  json.end_object();
}

void write_server(ctl::Json& json, const Options& options, const Measured& m) {
  if (!m.before || !m.connected) return;
  json.key("server").begin_object();
  json.member("pss_bytes_before", m.before->pss_bytes);
  json.member("pss_bytes_connected", m.connected->pss_bytes);
  if (m.loaded) json.member("pss_bytes_loaded", m.loaded->pss_bytes);
  json.member("bytes_per_connection", bytes_per_connection(options, m));
  json.member("cpu_connecting_s", m.connected->cpu_s - m.before->cpu_s);
  json.member("cpu_load_s", cpu_of_load(m));
  if (m.loaded)
    json.member("user_share", per(m.loaded->user_s - m.connected->user_s, cpu_of_load(m)));
  json.member("cpu_us_per_connection",
              per((m.connected->cpu_s - m.before->cpu_s) * 1e6, double(m.totals.connected)));
  if (m.totals.resumed > 0) json.member("cpu_us_per_resume", cpu_us_per_resume(m));
  if (m.totals.received > 0) json.member("cpu_us_per_message", cpu_us_per_message(options, m));
  json.end_object();
}

}  // namespace

double cpu_us_per_resume(const Measured& m) {
  return per(cpu_of_load(m) * 1e6, double(m.totals.resumed));
}

double cpu_us_per_message(const Options&, const Measured& m) {
  return per(cpu_of_load(m) * 1e6, double(m.totals.received));
}

// Idle: after they were held for a while. Else before the load, whose buffers are not the
// connections'.
double bytes_per_connection(const Options& options, const Measured& m) {
  if (!m.before || !m.connected) return 0;
  bool idle = options.scenario == Scenario::idle && m.loaded;
  uint64_t with = idle ? m.loaded->data_bytes : m.connected->data_bytes;
  return per(double(with) - double(m.before->data_bytes), double(m.totals.connected));
}

std::string report_text(const Options& options, const Measured& m) {
  bool resumes = options.scenario == Scenario::resume;
  bool loaded =
      options.scenario != Scenario::connect && options.scenario != Scenario::idle && !resumes;
  Lines lines{{"scenario", std::string(name_of(options.scenario))}};
  if (options.publishes())
    lines.emplace_back("pushed over", std::string(name_of(options.push_protocol)));
  add_connections(lines, options, m);
  if (loaded) add_messages(lines, options, m);
  if (resumes) add_resumed(lines, options, m);
  if (m.handover) add_handover(lines, *m.handover);
  add_server(lines, options, m);
  if (!m.trouble.empty()) lines.emplace_back("STOPPED", m.trouble);
  lines.emplace_back("verdict", m.good(options) ? "good" : "BAD");
  return ctl::name_value_lines(lines);
}

std::string report_json(const Options& options, const Measured& m) {
  ctl::Json json;
  json.begin_object();
  write_options(json, options);
  json.member("good", m.good(options)).member("trouble", m.trouble);
  write_totals(json, m.totals);
  json.member("connect_s", m.connect_s).member("load_s", m.load_s);
  json.member("connects_per_second", per(double(m.totals.connected), m.connect_s));
  json.member("received_per_second", per(double(m.totals.received), m.load_s));
  write_times(json, "handshake_ns", m.handshake);
  write_times(json, "latency_ns", m.latency);
  if (options.publishes()) write_published(json, m);
  if (m.handover) write_handover(json, *m.handover);
  write_server(json, options, m);
  json.end_object();
  return json.line();
}

}  // namespace holdfast::bench
