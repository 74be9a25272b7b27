// worker/api/resp/handlers.h - the effect of each RESP command. The table (commands.cc) has checked
// the number of its arguments and its scopes; everything else is checked here, before the first effect.
#pragma once

#include "worker/api/resp/call.h"

namespace holdfast::api::run {

// connection_commands.cc: commands that concern the connection alone
void auth(const RespCall& call);
void client_getname(const RespCall& call);
void client_id(const RespCall& call);
void client_setinfo(const RespCall& call);
void client_setname(const RespCall& call);
void echo(const RespCall& call);
void hello(const RespCall& call);
void ping(const RespCall& call);
void quit(const RespCall& call);
void reset(const RespCall& call);
void select(const RespCall& call);

// subscribe_commands.cc
void psubscribe(const RespCall& call);
void punsubscribe(const RespCall& call);
void ssubscribe(const RespCall& call);
void subscribe(const RespCall& call);
void sunsubscribe(const RespCall& call);
void unsubscribe(const RespCall& call);

// transaction.cc
void discard(const RespCall& call);
void exec(const RespCall& call);
void multi(const RespCall& call);
void unwatch(const RespCall& call);
void watch(const RespCall& call);

// commands.cc: the list of commands
void command(const RespCall& call);
void command_count(const RespCall& call);
void command_docs(const RespCall& call);
void command_info(const RespCall& call);
void command_list(const RespCall& call);
void help(const RespCall& call);

// push_commands.cc: one Command each, answered with a number
void bind(const RespCall& call);
void data(const RespCall& call);
void join(const RespCall& call);
void join_user(const RespCall& call);
void kick(const RespCall& call);
void kick_channel(const RespCall& call);
void kick_user(const RespCall& call);
void leave(const RespCall& call);
void leave_user(const RespCall& call);
void publish(const RespCall& call);
void spublish(const RespCall& call);
void send(const RespCall& call);
void send_all(const RespCall& call);
void send_user(const RespCall& call);
void unbind(const RespCall& call);

// history_commands.cc
void delete_history(const RespCall& call);
void follow(const RespCall& call);
void history(const RespCall& call);
void publish_kept(const RespCall& call);

// query_commands.cc
void channel(const RespCall& call);
void channels(const RespCall& call);
void pubsub_channels(const RespCall& call);
void pubsub_numpat(const RespCall& call);
void pubsub_numsub(const RespCall& call);
void pubsub_shardchannels(const RespCall& call);
void pubsub_shardnumsub(const RespCall& call);
void session(const RespCall& call);
void sessions(const RespCall& call);
void user(const RespCall& call);
void users(const RespCall& call);

// info.cc
void info(const RespCall& call);
void stats(const RespCall& call);

}  // namespace holdfast::api::run
