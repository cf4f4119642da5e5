#include "env/sim/sim_env.h"

#include <algorithm>

#include "base/coding.h"

namespace ringleader {
namespace {

constexpr uint32_t kFirstProcessId = 1000;

}  // namespace

void SimRandom::Fill(MutableBytes into) {
  for (size_t at = 0; at < into.size(); at += sizeof(uint64_t)) {
    uint8_t word[sizeof(uint64_t)];
    StoreLe(word, rng_.Next());
    std::copy_n(word, std::min(sizeof word, into.size() - at), into.begin() + at);
  }
}

Result<std::unique_ptr<File>> SimProcessFiles::Open(const std::string& path, OpenMode mode) {
  return disk_.OpenAs(process_, path, mode);
}

Status SimProcessFiles::Rename(const std::string& from, const std::string& to) {
  return disk_.Rename(from, to);
}

Status SimProcessFiles::Remove(const std::string& path) { return disk_.Remove(path); }

Result<std::vector<std::string>> SimProcessFiles::List(const std::string& directory) {
  return disk_.List(directory);
}

Status SimProcessFiles::MakeDirectory(const std::string& path) { return disk_.MakeDirectory(path); }

Status SimProcessFiles::SyncDirectory(const std::string& directory) {
  return disk_.SyncDirectory(directory);
}

Result<FileInfo> SimProcessFiles::Info(const std::string& path) { return disk_.Info(path); }

SimProcess::SimProcess(SimWorld& world, uint64_t id, uint64_t seed, const HostIdentity& identity)
    : id_(id),
      files_(world.disk(), id),
      random_(seed),
      host_(identity, kFirstProcessId + static_cast<uint32_t>(id)),
      env_{files_, world.clock(), random_, host_, world.memory(), world.threads().ForProcess(id)} {}

SimWorld::SimWorld(const SimWorldOptions& options)
    : SimWorld(options, std::make_unique<SimDisk>(options.disk)) {}

SimWorld::SimWorld(const SimWorldOptions& options, std::unique_ptr<SimDisk> disk)
    : rng_(options.seed),
      clock_(rng_.Next()),
      threads_(clock_, rng_.Next(), options.threads),
      disk_(std::move(disk)),
      memory_(*disk_, threads_) {
  SimDiskHooks hooks;
  hooks.step = [this] { threads_.SchedulingPoint(); };
  hooks.wait_until = [this](const std::string& what, const std::function<bool()>& ready,
                            bool killable) { threads_.WaitUntil(what, ready, killable); };
  hooks.delay = [this](uint64_t nanos) { threads_.Sleep(nanos); };
  disk_->SetHooks(std::move(hooks));
  threads_.SetProcessExit([this](uint64_t process) {
    disk_->CloseProcess(process);
    if (process > 0) processes_[process - 1]->alive_ = false;
  });
  NewBoot();
}

SimWorld::~SimWorld() {
  threads_.SetProcessExit(nullptr);
  disk_->SetHooks({});
}

SimProcess& SimWorld::StartProcess(uint64_t pid_namespace) {
  HostIdentity identity = identity_;
  identity.pid_namespace = pid_namespace;
  const uint64_t id = processes_.size() + 1;
  processes_.push_back(
      std::unique_ptr<SimProcess>(new SimProcess(*this, id, rng_.Next(), identity)));
  return *processes_.back();
}

void SimWorld::KillProcess(SimProcess& process) {
  process.alive_ = false;
  threads_.KillProcess(process.id());
}

void SimWorld::KillAll() {
  for (const std::unique_ptr<SimProcess>& process : processes_) {
    if (process->alive()) KillProcess(*process);
  }
}

void SimWorld::NewBoot() {
  SimRandom bits(rng_.Next());
  bits.Fill(identity_.boot_id);
}

void SimWorld::PowerCut(const CrashPolicy& policy, uint64_t seed) {
  KillAll();
  memory_.WriteBack();
  disk_->Crash(policy, seed);
  memory_.Drop();
  NewBoot();
}

void SimWorld::Reboot() { PowerCut(CrashPolicy::Everything(), 0); }

}  // namespace ringleader
