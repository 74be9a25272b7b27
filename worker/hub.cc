#include "worker/hub.h"

namespace holdfast {

std::string user_channel(std::string_view user) {
  std::string name(1, '\0');
  name += user;
  return name;
}

const Channel* Hub::find(std::string_view name) const {
  auto it = channels_.find(name);
  return it == channels_.end() ? nullptr : it->second.get();
}

Hub::Joined Hub::join(Session& session, std::string_view name, bool from_url) {
  auto it = channels_.find(name);
  if (it != channels_.end()) {
    for (Session::Membership& m : session.memberships)
      if (m.channel == it->second.get()) return Joined::already;
  }
  size_t channels =
      session.memberships.size() - (session.user.empty() ? 0 : 1);  // its user is none
  if (!is_user_channel(name) && channels >= runtime_.config.limits.max_channels_per_session) {
    runtime_.stats.channels_refused.add();
    return Joined::too_many;
  }
  if (it == channels_.end()) {
    filter_.raise(runtime_.slot, name);  // I1
    auto channel = std::make_unique<Channel>();
    channel->name = name;
    it = channels_.emplace(std::string(name), std::move(channel)).first;
    if (!is_user_channel(name)) runtime_.stats.channels_local.add();
  }
  Channel& channel = *it->second;
  session.memberships.push_back({&channel, uint32_t(channel.members.size()), from_url});
  channel.members.push_back({&session, uint32_t(session.memberships.size() - 1)});
  if (!is_user_channel(name)) runtime_.stats.memberships.add();
  return Joined::joined;
}

void Hub::remove_member(Channel& channel, uint32_t position) {
  uint32_t last = uint32_t(channel.members.size() - 1);
  if (position != last) {
    // A session is a member once, so the one moved is another session's.
    channel.members[position] = channel.members[last];
    Channel::Member& moved = channel.members[position];
    moved.session->memberships[moved.membership].position = position;  // I2
  }
  channel.members.pop_back();
  bool user = is_user_channel(channel.name);
  if (!user) runtime_.stats.memberships.sub();
  if (!channel.members.empty()) return;
  std::string name = channel.name;
  channels_.erase(channels_.find(name));
  filter_.lower(runtime_.slot, name);  // I1
  if (!user) runtime_.stats.channels_local.sub();
}

bool Hub::leave(Session& session, std::string_view name) {
  for (size_t i = 0; i < session.memberships.size(); ++i) {
    Session::Membership gone = session.memberships[i];
    if (gone.channel->name != name) continue;
    session.memberships[i] = session.memberships.back();
    Session::Membership& moved = session.memberships[i];
    moved.channel->members[moved.position].membership = uint32_t(i);  // I2
    session.memberships.pop_back();
    remove_member(*gone.channel, gone.position);
    return true;
  }
  return false;
}

void Hub::leave_all(Session& session) {
  while (!session.memberships.empty()) {
    Session::Membership last = session.memberships.back();
    session.memberships.pop_back();
    remove_member(*last.channel, last.position);
  }
  session.memberships.shrink_to_fit();
}

}  // namespace holdfast
