#include "master/upgrade.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/process_clock.h"

namespace holdfast::master {
namespace {

constexpr unsigned kTurnMs = 1;

}  // namespace

Upgrade::Upgrade(Loop& loop, const std::vector<std::string>& arguments, std::string image_path,
                 UpgradeHost& host)
    : loop_(loop), arguments_(arguments), own_{std::move(image_path)}, host_(host), check_(loop) {}

void Upgrade::ask() {
  HF_CHECK(state_ == State::idle);
  log_info("upgrade asked binary={}", own_.path);
  auto started = check_.start(own_, arguments_, host_.record());
  if (!started) return refuse(started.error().text(), {});
  state_ = State::checking;
}

bool Upgrade::on_exit(const Exit& exit) {
  if (!check_.on_exit(exit)) return false;
  if (state_ != State::checking) return true;  // the master stops
  const UpgradeCheck::Verdict& verdict = check_.verdict();
  const std::vector<std::string>& words = verdict.words;
  bool keyed = std::find(words.begin(), words.end(), kCheckKeyed) != words.end();
  if (!verdict.fit)
    refuse(fmt::format("{}: {}", own_.path, verdict.why), words);
  else if (host_.names_are_keyed() && !keyed)
    // It would look for channels elsewhere in the segment, and messages would be lost without a word.
    refuse(fmt::format("{}: it is older than the segment that runs; restart for it", own_.path),
           words);
  else
    settle(own_, "");
  return true;
}

void Upgrade::refuse(const std::string& why, const std::vector<std::string>& details) {
  state_ = State::idle;
  log_error("upgrade refused reason=\"{}\"; nothing changes", why);
  for (const std::string& detail : details) log_error("upgrade refused: {}", detail);
  host_.answer_upgrade({false, "upgrade refused: " + why, details});
}

void Upgrade::settle(Image image, const std::string& why) {
  next_ = std::move(image);
  why_back_ = why;
  state_ = State::settling;
  deadline_ms_ = process_ms() + kQuietMs;
  if (host_.quiet()) leave();
}

// What the handlers have caught so far is dispatched in the turn that comes; what comes later waits
// in the kernel.
void Upgrade::leave() {
  state_ = State::leaving;
  block_signals();
  turn_.emplace(loop_, kTurnMs, *this, Call<&Upgrade::on_turn>{});
}

void Upgrade::on_turn() {
  turn_->stop();
  if (state_ != State::leaving) return;
  MasterRecord record = host_.record();
  UniqueFd image;
  if (why_back_.empty()) {
    image = UniqueFd(open("/proc/self/exe", O_PATH | O_CLOEXEC));
    record.former_image = image ? image.get() : 0;
  } else {
    record.former_image = 0;
  }
  log_info("upgrade: executing {}", next_.path);
  Error failed = become(next_, arguments_, record, why_back_);
  unblock_signals();
  if (why_back_.empty()) return refuse(failed.text(), {});
  std::string text = fmt::format("{}; the former version could not be executed either ({})",
                                 why_back_, failed.text());
  way_back_.reset();
  state_ = State::idle;
  log_error("upgrade failed: {}", text);
  host_.answer_upgrade({false, "upgrade failed: " + text, {}});
}

void Upgrade::begin(std::unique_ptr<WayBack> way_back, const std::string& former) {
  way_back_ = std::move(way_back);
  former_ = former;
  state_ = State::proving;
  host_.begin_reload();
}

void Upgrade::on_reload_accepted() {
  if (way_back_) way_back_->disarm();
}

void Upgrade::on_reload_ended(const Answer& answer, bool changed) {
  if (!answer.ok && !changed && way_back_) {
    std::string why = answer.text;
    for (const std::string& detail : answer.details) why += "; " + detail;
    log_error("upgrade failed, back to the former version: {}", why);
    return settle(way_back_->image(), why);
  }
  way_back_.reset();
  state_ = State::idle;
  std::string sum =
      fmt::format("upgraded from {} to {}; {}", former_, HOLDFAST_VERSION, answer.text);
  if (answer.ok)
    log_info("{}", sum);
  else
    log_error("{}", sum);
  host_.answer_upgrade({answer.ok, sum, answer.details});
}

void Upgrade::check(uint64_t now_ms) {
  check_.check(now_ms);
  if (state_ == State::settling && (host_.quiet() || now_ms >= deadline_ms_)) leave();
}

void Upgrade::close_in_child() {
  check_.close_in_child();
  if (way_back_) way_back_->close_in_child();
}

void Upgrade::cancel() {
  if (state_ == State::idle) return;
  if (turn_) turn_->stop();
  check_.kill();
  way_back_.reset();
  if (state_ == State::leaving) unblock_signals();
  state_ = State::idle;
  host_.answer_upgrade({false, "upgrade not finished: the master stops", {}});
}

}  // namespace holdfast::master
