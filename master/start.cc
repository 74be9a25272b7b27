// How a master comes to be: from a configuration, or from the image that was here before.
#include "base/log.h"
#include "master/descriptor_limit.h"
#include "master/listeners_file.h"
#include "master/logs.h"
#include "master/master.h"
#include "master/master_impl.h"

namespace holdfast::master {
namespace {

Result<Generation> first_generation(conf::Config config) {
  auto rights = rights_for(config.server.user);
  if (!rights) return std::move(rights.error());
  auto added = add_builtin_api(config);
  if (!added) return std::move(added.error());
  return Generation{1, std::move(config), *std::move(rights)};
}

Result<Resources> claim_resources(const conf::Config& config) {
  auto instance = Instance::claim(config);
  if (!instance) return std::move(instance.error());
  auto doorbells = Doorbells::make(config.server.max_workers);
  if (!doorbells) return std::move(doorbells.error());
  std::string control_path = config.server.runtime_dir + "/control.sock";
  auto control = ControlSocket::open(control_path);
  if (!control) return std::move(control.error());
  return Resources{*std::move(instance), *std::move(doorbells), *std::move(control),
                   RemovedFile(control_path)};
}

int cannot_start(const Error& error) {
  log_aloud("not started: " + error.text());
  return 1;
}

}  // namespace

int master_main(conf::Config wanted, ProcessTitle& title, WorkerMain worker_main) {
  auto first = first_generation(std::move(wanted));
  if (!first) return cannot_start(first.error());
  Generations generations;
  const Generation& generation = generations.add(*std::move(first));
  generations.accept();
  const conf::Config& config = generation.config;
  auto log = open_master_log(generation);
  if (!log) return cannot_start(log.error());
  title.set(fmt::format("holdfastd: master [{}]", config.server.instance), "holdfastd");
  raise_descriptor_limit(config);
  warn_about_rights(config.server.user, generation.rights);

  auto resources = claim_resources(config);
  if (!resources) return cannot_start(resources.error());
  if (resources->instance.left_over)
    log_warn(
        "a master of this instance was killed earlier; replacing what it left, its workers may "
        "still drain");
  ListenSockets sockets;
  auto opened =
      sockets.open(config, socket_options(generation.rights, resources->instance.left_over));
  if (!opened) return cannot_start(opened.error());
  sockets.commit(config);
  RemovedFile listeners(listeners_path(config.server));
  auto published = publish_listeners(sockets, config);
  if (!published) return cannot_start(published.error());

  Master master(*resources, sockets, generations, title, worker_main,
                image_path_of(title.arguments()));
  return master.run();
}

int takeover_main(const TakeoverOrder& order, ProcessTitle& title, WorkerMain worker_main) {
  UniqueFd record_file(order.record);
  auto record = read_record(order.record);
  if (!record) return cannot_start(record.error());  // nothing to go back by: the check read it too
  bool comes_back = !order.why.empty();  // then the record may still name our own binary
  if (comes_back) record->former_image = 0;
  close_unnamed(*record, order.record);
  std::unique_ptr<WayBack> way_back;
  if (record->former_image != 0)
    way_back = std::make_unique<WayBack>(*record, std::move(record_file), title.arguments());
  auto give_up = [&](const Error& error) {
    return way_back ? way_back->go(error.text()) : cannot_start(error);
  };
  Generations generations;
  for (const GenerationRecord& one : record->generations) {
    auto generation = generation_of(one);
    if (!generation) return give_up(generation.error());
    generations.restore(*std::move(generation), one.current);
  }
  const conf::Config& config = generations.current().config;
  auto log = open_master_log(generations.current());
  if (!log) return give_up(log.error());
  title.set(fmt::format("holdfastd: master [{}]", config.server.instance), "holdfastd");
  auto segment = shm::Segment::adopt(record->instance, record->segment);
  if (!segment) return give_up(segment.error());

  std::string control_path = record->runtime_dir + "/control.sock";
  Resources resources{{PidFile::adopt(record->runtime_dir + "/holdfastd.pid", record->pid_file),
                       *std::move(segment), false},
                      Doorbells::restore(record->doorbells),
                      UniqueFd(record->control),
                      RemovedFile(control_path)};
  ListenSockets sockets;
  sockets.restore(record->points);
  RemovedFile listeners(listeners_path(config.server));
  Master master(resources, sockets, generations, title, worker_main, record->image_path);
  return master.go_on(*record, std::move(way_back), order.why);
}

}  // namespace holdfast::master
