#include "store/shipped_section.h"

#include "store/operations.h"

namespace ringleader {

void ShippedSection::Foresee(std::span<const Entry> entries) {
  FetchPlaces(set_->active(), entries);
}

Admission ShippedSection::Admit(size_t, Lsn, Entry& entry) {
  changes_catalogue_ = false;
  if (entry.type != RecordType::kTransaction) return Admission::kAppend;
  stop_ = Stop::kRefresh;
  if (overlay_.epoch() != set_->epoch) return Admission::kStop;
  auto summary = SummarizePayload(entry.payload);
  if (!summary.ok()) return Admission::kRefuse;
  changes_catalogue_ = summary->changes_catalogue;
  stop_ = MakeRoom(overlay_, region_, set_->active(), summary->overlay_bytes, inserted_);
  return stop_ == Stop::kNone ? Admission::kAppend : Admission::kStop;
}

Status ShippedSection::Insert(Lsn end, const Entry& entry) {
  if (entry.type != RecordType::kTransaction) return Status::Ok();
  inserted_ = true;
  RL_RETURN_IF_ERROR(InsertPayload(set_->active(), end, entry.payload, false));
  if (changes_catalogue_) NoteCatalogueChange(region_, end);
  return Status::Ok();
}

}  // namespace ringleader
