#include "wire/configuration_record.h"

#include <string>

#include "wire/field_codec.h"

namespace ringleader {

std::vector<uint8_t> EncodeConfiguration(const Configuration& configuration) {
  std::vector<uint8_t> bytes{kConfigurationVersion};
  FieldWriter writer(kConfigurationVersion, &bytes);
  writer("configuration", configuration);
  return bytes;
}

Result<Configuration> DecodeConfiguration(Bytes payload) {
  if (payload.empty()) return Status(Code::kCorruption, "an empty configuration in the log");
  if (payload[0] > kConfigurationVersion) {
    return Status(Code::kNewerFormat,
                  "a configuration of version " + std::to_string(payload[0]) + " in the log");
  }
  Configuration configuration;
  FieldReader reader(payload[0], payload.subspan(1), {});
  reader("configuration", configuration);
  const Status checked = reader.Finished() && payload[0] > 0 ? CheckConfiguration(configuration)
                                                             : Status(Code::kCorruption, "");
  if (checked.ok()) return configuration;
  return Status(Code::kCorruption,
                "a configuration in the log is none: " + std::string(checked.message()));
}

}  // namespace ringleader
