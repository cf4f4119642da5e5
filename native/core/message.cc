#include "core/message.h"

#include <array>

namespace ringleader {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<Body>> kNames = {
    "Canvass",         "CanvassReply",  "Nominate",    "Vote",     "VoteReply", "Records",
    "Heartbeat",       "Ack",           "Request",     "Refusal",  "Hello",     "Outdated",
    "SnapshotRequest", "SnapshotPiece", "ReadRequest", "ReadReply"};

}  // namespace

std::string_view NameOf(const Body& body) { return kNames[body.index()]; }

}  // namespace ringleader
