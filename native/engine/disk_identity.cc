#include "engine/disk_identity.h"

#include <sys/sysmacros.h>

#include <array>
#include <charconv>
#include <optional>

namespace ringleader {
namespace {

// Layers of devices on each other: nobody stacks more, and a circle must end.
constexpr int kMostLayers = 8;

struct DeviceNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
};

class Hash {
 public:
  void Add(Bytes bytes) {
    for (const uint8_t byte : bytes) value_ = (value_ ^ byte) * 0x100000001b3;  // FNV-1a
  }
  void Add(std::string_view text) {
    Add(Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  uint64_t value() const {
    uint64_t mixed = value_;  // its high bits hang on few of the input's
    mixed = (mixed ^ (mixed >> 32)) * 0xd6e8feb86659fd93;
    mixed ^= mixed >> 32;
    return mixed == 0 ? 1 : mixed;
  }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

std::optional<DeviceNumber> ParseDevice(std::string_view text) {
  DeviceNumber number;
  const char* const end = text.data() + text.size();
  const auto [colon, bad_major] = std::from_chars(text.data(), end, number.major);
  if (bad_major != std::errc() || colon == end || *colon != ':') return std::nullopt;
  const auto [rest, bad_minor] = std::from_chars(colon + 1, end, number.minor);
  if (bad_minor != std::errc() || rest != end) return std::nullopt;
  return number;
}

std::string NameOf(const DeviceNumber& device) {
  return std::to_string(device.major) + ":" + std::to_string(device.minor);
}

std::optional<DeviceNumber> DeviceOf(Env& env, const std::string& path) {
  const auto info = env.files.Info(path);
  if (!info.ok()) return std::nullopt;
  const uint64_t device = info.value().device;
  return DeviceNumber{gnu_dev_major(device), gnu_dev_minor(device)};
}

// What the device lies on; none where it is a disk itself, or several.
std::optional<DeviceNumber> Below(Env& env, const DeviceNumber& device) {
  const std::string directory = "/sys/dev/block/" + NameOf(device);
  if (env.files.Info(directory + "/partition").ok()) {
    // The kernel follows the link first, so this is the disk that the partition is a part of.
    const auto disk = ReadText(env.files, directory + "/../dev");
    return disk ? ParseDevice(*disk) : std::nullopt;
  }
  if (const auto file = ReadText(env.files, directory + "/loop/backing_file")) {
    return DeviceOf(env, *file);
  }
  const std::string lower = directory + "/slaves";
  const auto names = env.files.List(lower);
  if (!names.ok() || names.value().size() != 1) return std::nullopt;
  const auto text = ReadText(env.files, lower + "/" + names.value().front() + "/dev");
  return text ? ParseDevice(*text) : std::nullopt;
}

}  // namespace

uint64_t DiskIdentity(Env& env, const std::string& directory) {
  std::optional<DeviceNumber> device = DeviceOf(env, directory);
  if (!device) return 0;
  for (int layer = 0; layer < kMostLayers; ++layer) {
    const std::optional<DeviceNumber> below = Below(env, *device);
    if (!below) break;
    device = below;
  }
  Hash hash;
  hash.Add(env.host.Identity().boot_id);
  // Number 0 belongs to no driver: the file system has made its device up.
  if (device->major != 0) hash.Add(NameOf(*device));
  return hash.value();
}

uint64_t DiskIdentityOf(std::string_view name) {
  Hash hash;
  hash.Add("named disk ");
  hash.Add(name);
  return hash.value();
}

}  // namespace ringleader
