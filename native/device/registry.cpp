#include "device/registry.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace tr0n {
namespace {

std::vector<const DeviceKind*>& registered() {
  static auto* kinds =
      new std::vector<const DeviceKind*>;  // registered before main(), and used until the end
  return *kinds;
}

struct Wanted {
  const DeviceKind* kind;
  std::optional<int> index;  ///< nothing: the first that can be used
};

/// "cuda" or "cuda:3"; nothing for what names no kind.
std::optional<Wanted> named(const std::string& name) {
  const size_t colon = name.find(':');
  const auto& kinds = device_kinds();
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const DeviceKind* one) {
    return name.compare(0, colon, one->name()) == 0;
  });
  if (kind == kinds.end()) return std::nullopt;
  if (colon == std::string::npos) return Wanted{*kind, std::nullopt};
  const std::string digits = name.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return Wanted{*kind, std::stoi(digits)};
}

std::string device_name(const DeviceKind& kind, int index) {
  return std::string(kind.name()) + ":" + std::to_string(index);
}

/// The first device that can be used; nothing and why there is none.
std::optional<int> first_usable(const DeviceKind& kind, const Inventory& found, std::string& why) {
  why = found.problem;
  for (const DeviceSummary& device : found.devices) {
    if (device.problem.empty()) return device.index;
    why += (why.empty() ? "" : "; ") + device_name(kind, device.index) + " (" + device.name +
           "): " + device.problem;
  }
  return std::nullopt;
}

std::string expected_names() {
  std::string text = "\"auto\", \"cpu\"";
  for (const DeviceKind* kind : device_kinds())
    text += std::string(", \"") + kind->name() + "\" or \"" + kind->name() + ":N\"";
  return text;
}

[[noreturn]] void unusable(const std::string& name, const std::string& why) {
  throw Error("ERR_DEVICE_UNAVAILABLE", "\"" + name + "\" cannot be used: " + why);
}

}  // namespace

void register_device_kind(const DeviceKind& kind) { registered().push_back(&kind); }

const std::vector<const DeviceKind*>& device_kinds() { return registered(); }

std::string resolve_device(const std::string& name) {
  if (name == "cpu") return name;
  std::string why;
  if (name == "auto") {
    for (const DeviceKind* kind : device_kinds()) {
      const Inventory found = kind->inventory();
      const auto index = first_usable(*kind, found, why);
      if (index && !found.emulated) return device_name(*kind, *index);
    }
    return "cpu";
  }
  const auto wanted = named(name);
  if (!wanted)
    throw Error("ERR_INVALID_ARGUMENT", "device: expected " + expected_names() + ", got \"" + name + "\"");
  const auto& [kind, index] = *wanted;
  const Inventory found = kind->inventory();
  if (!index) {
    const auto first = first_usable(*kind, found, why);
    if (!first) unusable(name, why);
    return device_name(*kind, *first);
  }
  if (!found.problem.empty()) unusable(name, found.problem);
  if (static_cast<size_t>(*index) >= found.devices.size())
    unusable(name, "expected a device from " + device_name(*kind, 0) + " to " +
                       device_name(*kind, static_cast<int>(found.devices.size()) - 1));
  const std::string& problem = found.devices[static_cast<size_t>(*index)].problem;
  if (!problem.empty()) unusable(name, problem);
  return device_name(*kind, *index);
}

std::shared_ptr<Device> open_device(const std::string& name) {
  if (name == "cpu") return {std::shared_ptr<Device>(), &cpu_device()};  // owned by nobody
  const auto wanted = named(name);
  if (!wanted || !wanted->index) unusable(name, "it is no device's name");
  return wanted->kind->open(*wanted->index);
}

}  // namespace tr0n
