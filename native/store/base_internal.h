// What the parts of the base tree share: LMDB's errors as ours, and ends of its transactions.
#pragma once

#include <lmdb.h>

#include <memory>
#include <string_view>

#include "base/status.h"

namespace ringleader::base_internal {

// `code` is not MDB_SUCCESS.
Status LmdbStatus(int code, std::string_view what);

struct AbortTxn {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
using TxnPtr = std::unique_ptr<MDB_txn, AbortTxn>;

// LMDB in `path`; where `single_file`, that is the name of the file and not of its directory.
Result<MDB_env*> OpenLmdbFile(const char* path, bool single_file, uint32_t max_readers);

inline constexpr MDB_dbi kMainDbi = 1;  // the only one in use

inline constexpr char kDataName[] = "data.mdb";
inline constexpr char kReadersName[] = "lock.mdb";
inline constexpr char kLockName[] = "open.lock";
// Bytes of open.lock: one held around opening and closing, one shared while open.
inline constexpr uint64_t kOpeningByte = 0;
inline constexpr uint64_t kAttachedByte = 1;

}  // namespace ringleader::base_internal
