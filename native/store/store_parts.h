// What a Store is made of: for the files that implement it.
#pragma once

#include <memory>
#include <string>

#include "env/shared_area.h"
#include "store/base_tree.h"
#include "store/committer.h"
#include "store/folder.h"
#include "store/overlay.h"
#include "store/reservation.h"
#include "store/store.h"
#include "store/store_region.h"

namespace ringleader {

struct Store::Parts : public LogCompanion {
  Parts(Env& environment, std::string path, const StoreOptions& store_options)
      : env(environment), directory(std::move(path)), options(store_options) {}

  Status Opening(Log& log, bool alone) override;
  Status Closing(bool last) override;

  void ShareLog(Log& log);
  Status Attach(Log& log);
  Status Build(Log& log);
  Status Replay(Log& log);
  Status OpenBase(Log& log, Lsn start);

  Env& env;
  const std::string directory;
  const StoreOptions options;
  std::unique_ptr<SharedAreas> areas;
  std::unique_ptr<StoreRegion> region;
  std::unique_ptr<BaseTree> base;
  std::unique_ptr<Overlay> overlay;
  std::unique_ptr<Reservation> reservation;
  std::unique_ptr<Folder> folder;
  std::unique_ptr<Committer> committer;
  bool unfinished = false;  // a snapshot was being installed, and nobody has finished it
  uint64_t replayed_records = 0;
  uint64_t replay_ns = 0;
};

// What transactions on the catalogue are made of.
// The next id that has never been used.
Result<DatabaseId> TakeDatabaseId(Transaction& transaction);
Result<std::optional<Database>> FindInCatalogue(Transaction& transaction, const std::string& name);

}  // namespace ringleader
