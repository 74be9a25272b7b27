// What a PushRouter does for those who wait, what it does with commands of other workers, and its tick.
#include "base/bytes.h"
#include "worker/routing/push_router.h"
#include "worker/sessions/transport.h"

namespace holdfast {

uint64_t Router::source_of(const Session& session) {
  return session.id.lo;
}

void PushRouter::hold_while_waiting(Session& session) {
  if (waiting(source_of(session)) == 0 || session.transport == nullptr) return;
  session.transport->pause_reading(true);
  held_.insert_or_assign(source_of(session), session.id);
}

void PushRouter::none_waits(uint64_t source) {
  if (waiting(source) > 0) return;
  auto it = held_.find(source);
  if (it == held_.end()) return;
  Session* session = sessions_.find(it->second);
  held_.erase(it);
  if (session != nullptr && session->transport != nullptr) session->transport->pause_reading(false);
}

// What homes still have to answer is not waited for: their answers will find another process, or nobody who waits.
void PushRouter::finish_all() {
  carrier_.finish();
  to_streams_.clear();
  while (!held_.empty()) none_waits(held_.begin()->first);
}

void PushRouter::begin_serving() {
  streams_.begin_serving();
  recovery_.hold(false);
}

void PushRouter::tick() {
  while (!deadlines_.empty() && deadlines_.front().first <= runtime_.now_ms) {
    uint64_t token = deadlines_.front().second;
    deadlines_.pop_front();
    auto it = pending_.find(token);
    if (it != pending_.end()) end(it, true);
  }
  if (!streams_.any()) return;
  ticks_away_ = streams_.is_home_of_any() ? 0 : ticks_away_ + 1;
  streams_.tick(worker_count_, segment_);
  home_.tick();
  recovery_.tick();
}

void PushRouter::on_command(uint16_t from, std::string_view body) {
  ByteReader reader(body);
  auto token = reader.get<uint64_t>();
  std::optional<Command> part;
  if (reader.ok()) part = Command::decode(body.substr(sizeof token));
  if (!part || part->answer_to > slots()) return runtime_.stats.push_bad_record.add();
  if (part->op == Op::note_top)
    return part->channels.empty() ? runtime_.stats.push_bad_record.add()
                                  : recovery_.note_top(part->channels.front(), part->at);
  PushCarrier::Asker asker{.slot = part->answer_to != 0 ? uint16_t(part->answer_to - 1) : from,
                           .version = record_version(body.substr(sizeof token)),
                           .token = token};
  CommandResult result;
  if (is_for_home(part->op)) {
    home_.carry_out(*part, part->data, asker, &result);
    result.of = part->answer_to == 0 ? CommandResult::Of::home : CommandResult::Of::next_home;
    if (token != 0) reply(asker, std::move(result));
    return;
  }
  Given given =
      carrier_.take(*part, part->data, PushCarrier::source_of_worker(from), asker, &result);
  if (given == Given::done && token != 0) reply(asker, std::move(result));
}

}  // namespace holdfast
