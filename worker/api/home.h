// worker/api/home.h - what the API connections of one listener share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "worker/api/face.h"
#include "worker/net/connection.h"
#include "worker/net/tls/context.h"

namespace holdfast {

class Strangers;
class ApiConnection;

class ApiHome final : public api::Reply::Desk {
 public:
  using MakeFace = std::unique_ptr<api::Face> (*)(const api::ApiContext& context, api::Wire& wire);

  ApiHome(Runtime& its_runtime, ConnectionTable& its_table, const api::ApiContext& its_context,
          MakeFace its_make_face, const tls::Context* its_tls = nullptr,
          Strangers* its_strangers = nullptr)
      : runtime(its_runtime),
        table(its_table),
        context(its_context),
        make_face(its_make_face),
        tls(its_tls),
        strangers(its_strangers) {}
  void on_reply(uint64_t connection, uint64_t request, BufferRef bytes) override;
  // While held, no request is taken and nothing read; what is under way gets its answers.
  void hold(bool on);
  bool settled() const;  // no answer is owed on any connection
  // May who is vouched for by this one (tls/anchors.h) still use the listener?
  bool accepts_anchor(const std::string& anchor);

  Runtime& runtime;
  ConnectionTable& table;
  const api::ApiContext context;
  const MakeFace make_face;
  const tls::Context* const tls;                             // null: newcomers speak without TLS
  std::unordered_map<uint64_t, ApiConnection*> connections;  // by number
  uint64_t next_number = 1;
  std::string name;            // of the listener, for a successor
  Strangers* const strangers;  // null: they are not counted
  bool held = false;

 private:
  std::vector<std::string> anchors_;  // of the listener's client_ca; found out when somebody asks
};

}  // namespace holdfast
