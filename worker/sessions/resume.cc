#include "worker/sessions/resume.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "worker/net/shelf.h"

namespace holdfast {
namespace {

constexpr size_t kDigits = 22;       // of 6 bits: 128, and four that are zero
constexpr char kLetter = '\3';       // before the name in the filter: hub.h has the others
constexpr uint64_t kOverflowed = 1;  // earlier than any time
constexpr size_t kEntryBytes = sizeof(BufferRef) + 16;  // of a message beside its bytes

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  return c == '_' ? 63 : -1;
}

// One text for each key, so that nobody has two sessions by writing it otherwise.
bool is_key(std::string_view digits) {
  return digits.size() == kDigits &&
         std::all_of(digits.begin(), digits.end(), [](char c) { return digit(c) >= 0; }) &&
         (digit(digits.back()) & 0x0f) == 0;
}

}  // namespace

std::optional<ResumeKey> Resume::key_of(const conf::Listen& listen, std::string_view digits) const {
  if (!is_key(digits)) return {};
  std::string text = "holdfast resume";
  for (std::string_view part :
       {std::string_view(listen.address.text), std::string_view(listen.path), digits}) {
    text += '\0';
    text += part;
  }
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  HF_CHECK(HMAC(EVP_sha256(), &secret_, int(sizeof secret_),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac,
                &bytes) != nullptr);
  ResumeKey key;
  std::memcpy(key.data(), mac, key.size());
  OPENSSL_cleanse(text.data(), text.size());
  return key;
}

std::string Resume::filter_name(const ResumeKey& key) {
  std::string name(1, kLetter);
  name.append(reinterpret_cast<const char*>(key.data()), key.size());
  return name;
}

size_t Resume::KeyHash::operator()(const ResumeKey& key) const noexcept {
  size_t word;
  std::memcpy(&word, key.data(), sizeof word);
  return word;
}

bool Resume::SameKey::operator()(const ResumeKey& a, const ResumeKey& b) const noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// ---- which sessions

Resume::States::value_type& Resume::entry_of(const Session& session) const {
  HF_CHECK(session.resumable);
  return *by_place_[session.id.index() - first_index_];
}

void Resume::place(const Session& session, States::value_type* entry) {
  size_t at = session.id.index() - first_index_;
  if (at >= by_place_.size()) by_place_.resize(at + 1);
  by_place_[at] = entry;
}

bool Resume::begin(Session& session, const ResumeKey& key) {
  auto [it, fresh] = by_key_.try_emplace(key);
  if (!fresh) return false;
  it->second.session = &session;
  it->second.token_user = session.user.view();
  place(session, &*it);
  session.resumable = true;
  filter_.raise(runtime_.slot,
                filter_name(key));  // without a page for it this worker is told of all
  runtime_.stats.resume_sessions.add();
  return true;
}

void Resume::end(Session& session) {
  if (!session.resumable) return;
  States::value_type& entry = entry_of(session);
  if (entry.second.tail) forget(*entry.second.tail);
  windows_.forget(session.id.index());
  filter_.lower(runtime_.slot, filter_name(entry.first));
  runtime_.stats.resume_sessions.sub();
  place(session, nullptr);
  session.resumable = false;
  by_key_.erase(by_key_.find(entry.first));
}

Session* Resume::find(const ResumeKey& key) const {
  auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second.session;
}

// ---- who comes back

bool Resume::is_of(const Session& session, std::string_view token_user) const {
  return state_of(session).token_user == token_user;
}

// A client that has not heard of this session has seen nothing of it.
uint64_t Resume::seen_of(const Session& session, const ResumeWish& wish) {
  return wish.of_session && *wish.of_session != session.id ? 0 : wish.seen;
}

Resume::Verdict Resume::judge(const Session& session, const ResumeWish& wish) const {
  const State& state = state_of(session);
  uint64_t seen = seen_of(session, wish);
  if (seen > state.sent) return Verdict::ahead;
  size_t kept = state.tail ? state.tail->count() : 0;
  return state.sent - seen <= kept ? Verdict::good : Verdict::too_old;
}

std::vector<BufferRef> Resume::missed(const Session& session, uint64_t seen) const {
  const State& state = state_of(session);
  if (!state.tail) return {};
  auto all = state.tail->messages.end();
  return {all - std::ptrdiff_t(state.sent - seen), all};
}

// ---- what was sent

bool Resume::sent(const Session& session, const BufferRef& message) {
  State& state = state_of(session);
  ++state.sent;
  if (!state.tail) state.tail = std::make_unique<Tail>();
  Tail& tail = *state.tail;
  size_t bytes = message.size() + kEntryBytes;
  while (tail.count() > 0 && tail.bytes + bytes > session.listen->resume_buffer) drop_oldest(tail);
  uint64_t bound = runtime_.config.limits.max_unsent_per_worker;
  bool room = bound == 0 || runtime_.stats.resume_kept_bytes.get() + bytes <= bound;  // I3
  if (!room) runtime_.stats.resume_forgotten.add();
  bool kept = room && bytes <= session.listen->resume_buffer;
  if (!kept) {
    forget(tail);
  } else {
    tail.messages.push_back(message);
    tail.bytes += bytes;
    runtime_.stats.resume_kept_bytes.add(bytes);
  }
  if (session.phase != SessionPhase::detached) return kept;
  if (state.sent - tail.certain <= tail.count()) return true;
  windows_.set(session.id.index(), kOverflowed);  // I4
  return false;
}

// Of those that are kept, nobody can say any more which the client will get.
void Resume::not_sent(const Session& session, size_t messages) {
  State& state = state_of(session);
  if (messages == 0) return;
  state.sent -= messages;
  if (state.tail) forget(*state.tail);
}

void Resume::drop_oldest(Tail& tail) {
  constexpr size_t kGone = 32;  // and half of all: then they are moved up
  BufferRef& oldest = tail.messages[tail.first];
  size_t bytes = oldest.size() + kEntryBytes;
  tail.bytes -= bytes;
  runtime_.stats.resume_kept_bytes.sub(bytes);
  oldest = {};
  if (++tail.first < kGone || tail.first * 2 < tail.messages.size()) return;
  tail.messages.erase(tail.messages.begin(), tail.messages.begin() + std::ptrdiff_t(tail.first));
  tail.first = 0;
}

void Resume::forget(Tail& tail) {
  runtime_.stats.resume_kept_bytes.sub(tail.bytes);
  std::vector<BufferRef>().swap(tail.messages);
  tail.first = tail.bytes = 0;
}

void Resume::agreed(const Session& session, std::string_view subprotocol) {
  if (session.resumable) state_of(session).subprotocol = subprotocol;
}

std::string_view Resume::subprotocol_of(const Session& session) const {
  return session.resumable ? state_of(session).subprotocol.view() : std::string_view();
}

// ---- with and without a connection

void Resume::detached(const Session& session, uint64_t until_ms) {
  State& state = state_of(session);
  if (!state.tail) state.tail = std::make_unique<Tail>();
  state.tail->certain = state.sent;
  windows_.set(session.id.index(), until_ms);
}

void Resume::attached(const Session& session) {
  windows_.forget(session.id.index());
}

std::optional<uint32_t> Resume::take_due(uint64_t now_ms) {
  std::optional<uint32_t> index = windows_.take_due(kOverflowed);
  if (index) {
    runtime_.stats.resume_overflowed.add();
  } else if ((index = windows_.take_due(now_ms))) {
    runtime_.stats.resume_expired.add();
  }
  return index;
}

// ---- handover

void Resume::save(const Session& session, handover::SessionRecord& record) const {
  if (!session.resumable) return;
  const States::value_type& entry = entry_of(session);
  const State& state = entry.second;
  record.resume_key.assign(reinterpret_cast<const char*>(entry.first.data()), entry.first.size());
  record.resume_user = state.token_user.view();
  record.resume_subprotocol = state.subprotocol.view();
  record.resume_sent = state.sent;
  record.detached_until_ms = windows_.of(session.id.index());
  if (!state.tail) return;
  record.resume_certain = state.tail->certain;
  for (size_t i = state.tail->first; i < state.tail->messages.size(); ++i) {
    const BufferRef& buffer = state.tail->messages[i];
    if (runtime_.shelf != nullptr && buffer.shared())
      record.resume_tail.push_back({runtime_.shelf->put(buffer), {}, 0});
    else
      record.resume_tail.push_back({0, std::string(buffer.bytes()), buffer.tag()});
  }
}

bool Resume::restore(Session& session, handover::SessionRecord& record) {
  bool waits = session.phase == SessionPhase::detached;
  if (record.resume_key.empty()) return !waits;
  ResumeKey key;
  if (record.resume_key.size() != key.size() || waits != (record.detached_until_ms != 0) ||
      record.resume_tail.size() > record.resume_sent)
    return false;
  std::memcpy(key.data(), record.resume_key.data(), key.size());
  auto [it, fresh] = by_key_.try_emplace(key);
  if (!fresh) return false;
  State& state = it->second;
  state.session = &session;
  state.token_user = record.resume_user;
  state.subprotocol = record.resume_subprotocol;
  state.sent = record.resume_sent;
  place(session, &*it);
  session.resumable = true;
  if (waits) windows_.set(session.id.index(), record.detached_until_ms);
  if (!waits && record.resume_tail.empty()) return true;
  state.tail = std::make_unique<Tail>();
  state.tail->certain = record.resume_certain;
  for (const handover::BufferRecord& b : record.resume_tail) {
    BufferRef buffer = b.shared == 0 ? BufferRef::concat(b.bytes).tagged(b.tag) : BufferRef();
    if (b.shared != 0 && runtime_.shelf != nullptr) buffer = runtime_.shelf->get(b.shared);
    if (!buffer) return false;
    state.tail->bytes += buffer.size() + kEntryBytes;
    state.tail->messages.push_back(std::move(buffer));
  }
  return true;
}

}  // namespace holdfast
