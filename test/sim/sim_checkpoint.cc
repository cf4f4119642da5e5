// Checkpoints and configurations as bytes.
#include "base/coding.h"
#include "base/crc32c.h"
#include "sim_store.h"
#include "wire/field_codec.h"
#include "wire/message_codec.h"

namespace ringleader::simulator {

std::vector<uint8_t> EncodeConfiguration(const Configuration& configuration) {
  std::vector<uint8_t> bytes;
  FieldWriter writer(1, &bytes);
  VisitFields(configuration, writer);
  return bytes;
}

bool DecodeConfiguration(Bytes bytes, Configuration* configuration) {
  FieldReader reader(1, bytes, {});
  VisitFields(*configuration, reader);
  return reader.Finished();
}

std::vector<uint8_t> EncodeCheckpoint(const Checkpoint& checkpoint) {
  std::vector<uint8_t> bytes;
  Encoder out(&bytes);
  out.Sized(checkpoint.state.Encode());
  out.Varint(checkpoint.terms.size());
  for (const TermStart& row : checkpoint.terms) {
    out.Varint(row.term.counter.value);
    out.Fixed(row.term.incarnation.value);
    out.Varint(row.start.value);
  }
  out.Varint(checkpoint.configuration.end.value);
  out.Sized(EncodeConfiguration(checkpoint.configuration.configuration));
  out.Fixed(Crc32c(bytes));
  return bytes;
}

bool DecodeCheckpoint(Bytes bytes, Checkpoint* checkpoint) {
  if (bytes.size() < 4) return false;
  const Bytes body = bytes.first(bytes.size() - 4);
  if (LoadLe<uint32_t>(bytes.data() + body.size()) != Crc32c(body)) return false;
  Decoder in(body);
  Bytes state, configuration;
  uint64_t rows = 0;
  if (!in.Sized(body.size(), &state) || !checkpoint->state.Decode(state)) return false;
  if (!in.Varint(&rows) || rows > kMaxTerms) return false;
  checkpoint->terms.resize(rows);
  for (TermStart& row : checkpoint->terms) {
    uint64_t counter = 0;
    if (!in.Varint(&counter) || !in.Fixed(&row.term.incarnation.value) ||
        !in.Varint(&row.start.value)) {
      return false;
    }
    row.term.counter = Term(static_cast<uint32_t>(counter));
  }
  return in.Varint(&checkpoint->configuration.end.value) &&
         in.Sized(kMaxFieldBytes, &configuration) && in.Finished() &&
         DecodeConfiguration(configuration, &checkpoint->configuration.configuration);
}

}  // namespace ringleader::simulator
