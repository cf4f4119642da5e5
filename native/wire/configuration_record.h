// The payload of a record of type 6: what the group is from here on
// (docs/FORMATS.md#configuration).
//
// One byte of version, then the fields of the Configuration as a message would have them
// (wire/field_codec.h).
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "core/configuration.h"

namespace ringleader {

inline constexpr uint8_t kConfigurationVersion = 1;

std::vector<uint8_t> EncodeConfiguration(const Configuration& configuration);
// kCorruption for anything that no group can run with; kNewerFormat for a later version.
Result<Configuration> DecodeConfiguration(Bytes payload);

}  // namespace ringleader
