// A process of its own with a store, which does what the test asks for, one thing at a time.
//
// Requests and answers are lists of words over a socket. Views and transactions live in the member
// and have numbers. A check that fails over there fails the test.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "child_process.h"
#include "store_fixture.h"

namespace ringleader::test {

using Words = std::vector<std::string>;

inline constexpr int kStorm = 150;  // transactions

class WordSocket {
 public:
  explicit WordSocket(int fd) : fd_(fd) {}
  ~WordSocket() { close(fd_); }
  WordSocket(const WordSocket&) = delete;
  WordSocket& operator=(const WordSocket&) = delete;

  bool Send(const Words& words) {
    std::vector<uint8_t> bytes;
    Encoder out(&bytes);
    out.Fixed(static_cast<uint32_t>(words.size()));
    for (const std::string& word : words) {
      out.Fixed(static_cast<uint32_t>(word.size()));
      out.Raw(AsBytes(word));
    }
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t sent = send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += static_cast<size_t>(sent);
    }
    return true;
  }

  // False at the end of the other side.
  bool Receive(Words* words) {
    words->clear();
    uint32_t count = 0;
    if (!Read(&count, sizeof count)) return false;
    for (; count > 0; --count) {
      uint32_t size = 0;
      if (!Read(&size, sizeof size)) return false;
      words->emplace_back(size, '\0');
      if (!Read(words->back().data(), size)) return false;
    }
    return true;
  }

 private:
  bool Read(void* to, size_t size) {
    auto* bytes = static_cast<uint8_t*>(to);
    for (size_t at = 0; at < size;) {
      const ssize_t got = recv(fd_, bytes + at, size - at, 0);
      if (got <= 0) return false;
      at += static_cast<size_t>(got);
    }
    return true;
  }

  const int fd_;
};

// The member's side.
class MemberBody {
 public:
  MemberBody(const std::string& directory, const StoreOptions& options, WordSocket& socket)
      : socket_(socket), store_(OpenStore(directory, options)) {}

  void Serve() {
    for (Words request; socket_.Receive(&request);) {
      if (request[0] == "close") {
        views_.clear();
        transactions_.clear();
        CHECK_OK(store_->Close());
        socket_.Send({});
        return;
      }
      if (!socket_.Send(Do(request))) return;
    }
  }

 private:
  Words Do(const Words& request) {
    const std::string& what = request[0];
    if (what == "make") return {std::to_string(MakeDatabase(*store_, request[1]))};
    if (what == "clear") {
      CHECK_VALUE(const Database database, store_->ClearDatabase(request[1]));
      return {std::to_string(database.id)};
    }
    if (what == "drop") {
      CHECK_OK(store_->DropDatabase(request[1]));
      return {};
    }
    if (what == "list") return List();
    if (what == "batch") return Batch(request);
    if (what == "storm") return Storm(request);
    if (what == "fold") {
      CHECK_OK(store_->Fold());
      return {};
    }
    return DoWithNumber(what, std::stoi(request[1]), request);
  }

  Words DoWithNumber(const std::string& what, int number, const Words& request) {
    if (what == "view") {
      std::unique_ptr<View>& view = views_[number];
      if (view == nullptr) view = store_->NewView();
      CHECK_OK(view->Renew());
      return {std::to_string(view->lsn().value)};
    }
    if (what == "view get") return Get(*views_.at(number), request[2]);
    if (what == "view walk") {
      CHECK_VALUE(const auto cursor, MergeCursor::Open(*views_.at(number), nullptr));
      return Walk(*cursor, request);
    }
    if (what == "begin") {
      const bool serializable = request[2] == "serializable";
      transactions_[number] =
          Begin(*store_, serializable ? Isolation::kSerializable : Isolation::kSnapshot);
      return {std::to_string(transactions_[number]->snapshot().value)};
    }
    Transaction& transaction = *transactions_.at(number);
    if (what == "get") return Get(transaction, request[2]);
    if (what == "put") CHECK_OK(transaction.Put(AsBytes(request[2]), AsBytes(request[3])));
    if (what == "remove") CHECK_OK(transaction.Remove(AsBytes(request[2])));
    if (what == "range") transaction.AddRange(AsBytes(request[2]), AsBytes(request[3]));
    if (what == "walk") {
      CHECK_VALUE(const auto cursor, transaction.OpenCursor());
      return Walk(*cursor, request);
    }
    if (what != "commit") return {};
    Commit commit = transaction.PrepareCommit();
    const Words outcome = Finish(commit);
    transactions_.erase(number);
    return outcome;
  }

  template <typename Reader>
  Words Get(Reader& reader, const std::string& row_key) {
    CHECK_VALUE(const std::optional<Row> row, reader.Get(AsBytes(row_key)));
    if (!row) return {};
    return {AsText(row->value), std::to_string(row->version.value)};
  }

  // [2] ">=" or "<", [3] from where, [4] steps, "n" and "p" each. A key and a value for every
  // place, a lone word at the first one that is none.
  Words Walk(MergeCursor& cursor, const Words& request) {
    const Bytes from = AsBytes(request[3]);
    CHECK_OK(request[2] == "<" ? cursor.SeekBelow(from) : cursor.SeekAtLeast(from));
    Words places;
    for (const char step : request[4] + ".") {
      if (!cursor.valid()) {
        places.push_back("end");
        break;
      }
      places.push_back(AsText(cursor.row_key()));
      places.push_back(AsText(cursor.row().value));
      if (step == 'n') CHECK_OK(cursor.Next());
      if (step == 'p') CHECK_OK(cursor.Prev());
    }
    return places;
  }

  Words List() {
    CHECK_VALUE(const std::vector<Database> databases, store_->Databases());
    Words words;
    for (const Database& database : databases) {
      words.push_back(database.name);
      words.push_back(std::to_string(database.id));
    }
    return words;
  }

  Words Batch(const Words& request) {
    WriteSet writes;
    for (size_t i = 1; i < request.size(); i += 3) {
      const Bytes row_key = AsBytes(request[i + 1]);
      CHECK_OK(request[i] == "put" ? writes.Put(row_key, AsBytes(request[i + 2]))
                                   : writes.Remove(row_key));
    }
    const std::vector<uint8_t> payload = writes.Encode();
    Commit commit;
    commit.payload = payload;
    return Finish(commit);
  }

  // [1] a prefix, then row keys: transactions that put the prefix and their number everywhere, but
  // remove the last row where the number is odd.
  Words Storm(const Words& request) {
    for (int number = 0; number < kStorm; ++number) {
      Words batch{"batch"};
      for (size_t i = 2; i < request.size(); ++i) {
        const bool removes = number % 2 == 1 && i + 1 == request.size();
        batch.insert(batch.end(),
                     {removes ? "remove" : "put", request[i], request[1] + std::to_string(number)});
      }
      CHECK(Batch(batch).at(0) == "committed");
    }
    return {};
  }

  Words Finish(Commit& commit) {
    CHECK_OK(store_->CommitOne(commit));
    const std::string end = std::to_string(commit.appended.end.value);
    if (commit.verdict == Verdict::kCommitted) return {"committed", end};
    if (commit.verdict == Verdict::kConflict) return {"conflict"};
    if (commit.verdict == Verdict::kDropped) return {"dropped"};
    return {"verdict " + std::to_string(static_cast<int>(commit.verdict)) + ": " +
            commit.error.ToString()};
  }

  WordSocket& socket_;
  std::unique_ptr<Store> store_;
  std::map<int, std::unique_ptr<View>> views_;
  std::map<int, std::unique_ptr<Transaction>> transactions_;
};

class Member {
 public:
  Member(const std::string& directory, const StoreOptions& options) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) Fail(__FILE__, __LINE__, "socketpair");
    socket_ = std::make_unique<WordSocket>(ends[0]);
    child_ = std::make_unique<Child>([&] {
      socket_.reset();
      WordSocket socket(ends[1]);
      MemberBody(directory, options, socket).Serve();
    });
    close(ends[1]);
  }

  void Tell(const Words& request) {
    if (!socket_->Send(request)) Ended();
  }
  Words Ask(const Words& request) {
    Tell(request);
    Words answer;
    if (!socket_->Receive(&answer)) Ended();
    return answer;
  }
  uint64_t AskNumber(const Words& request) { return std::stoull(Ask(request).at(0)); }

  void Close() {
    Ask({"close"});
    child_->Join();
  }
  void Kill() { child_->Kill(); }

 private:
  [[noreturn]] void Ended() {
    child_->Join();
    Fail(__FILE__, __LINE__, "a member ended before its time");
  }

  std::unique_ptr<WordSocket> socket_;
  std::unique_ptr<Child> child_;
};

}  // namespace ringleader::test
