// Which disk a directory lies on, as a number that differs between any two disks of any two
// machines: so copies can be counted by what would be lost together.
//
// Under a partition and under a mapped device (LUKS, LVM on one disk) lies the disk itself, which
// is what counts. File systems without a device of their own (overlay, tmpfs, btrfs, a network's)
// count as one disk of their machine: that may be too careful, and is never wrong the other way
// round. A machine is a running kernel (its boot id): containers on one machine share it whatever
// /etc/machine-id they were given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "env/env.h"

namespace ringleader {

// 0 = unknown, which counts as no disk of its own anywhere.
uint64_t DiskIdentity(Env& env, const std::string& directory);

// Of a disk that the application names; the same name is the same disk. Never 0.
uint64_t DiskIdentityOf(std::string_view name);

}  // namespace ringleader
