#include "emulator/config.h"

#include <cctype>
#include <cstdlib>
#include <string>

namespace tr0n::emulator {
namespace {

bool set(Config& config, const std::string& name, long long value) {
  if (name == "sm")
    config.compute_capability = static_cast<int>(value);
  else if (name == "devices")
    config.devices = static_cast<int>(value);
  else if (name == "driver_version")
    config.driver_version = static_cast<int>(value);
  else if (name == "memory")
    config.memory = static_cast<uint64_t>(value);
  else if (name == "order")
    config.order = static_cast<int>(value);
  else if (name == "threads")
    config.threads = static_cast<int>(value);
  else if (name == "races")
    config.check_races = value != 0;
  else if (name == "initialised")
    config.check_initialised = value != 0;
  else if (name == "lazy")
    config.lazy = value != 0;
  else if (name == "worst")
    config.worst = value != 0;
  else if (name == "timeout")
    config.block_instructions = static_cast<uint64_t>(value);
  else
    return false;
  return true;
}

Config from_environment() {
  Config config;
  for (const char* name : {"sm", "devices", "driver_version", "memory", "order", "threads", "races",
                           "initialised", "lazy", "worst", "timeout"}) {
    std::string variable = "TR0N_EMULATOR_";
    for (const char* c = name; *c != '\0'; ++c)
      variable += static_cast<char>(std::toupper(static_cast<unsigned char>(*c)));
    const char* text = std::getenv(variable.c_str());
    if (text != nullptr && *text != '\0') set(config, name, std::atoll(text));
  }
  return config;
}

}  // namespace

Config& config() {
  static Config config = from_environment();
  return config;
}

bool configure(const char* name, long long value) { return set(config(), name, value); }

}  // namespace tr0n::emulator
