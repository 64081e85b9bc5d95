#include "bridge/providers/vulkan.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace tr0n {
namespace {

/// Of Vulkan's binary interface (Vulkan 1.0): structures and functions as far as they are used here.
constexpr const char* kLoader = "libvulkan.so.1";
constexpr int kApplicationInfo = 0, kInstanceCreateInfo = 1;
constexpr uint32_t kVersion = 1U << 22 | 1U << 12;  // 1.1
constexpr uint32_t kDeviceTypeCpu = 4;
constexpr int32_t kSuccess = 0, kIncomplete = 5, kNoDriver = -9;

struct Application {
  int type = kApplicationInfo;
  const void* next = nullptr;
  const char* name = "tr0n";
  uint32_t version = 0;
  const char* engine = nullptr;
  uint32_t engine_version = 0;
  uint32_t api_version = kVersion;
};
struct CreateInfo {
  int type = kInstanceCreateInfo;
  const void* next = nullptr;
  uint32_t flags = 0;
  const Application* application = nullptr;
  uint32_t layer_count = 0;
  const char* const* layers = nullptr;
  uint32_t extension_count = 0;
  const char* const* extensions = nullptr;
};
/// The beginning of VkPhysicalDeviceProperties, and room for the rest of its 824 bytes.
struct Properties {
  uint32_t api_version = 0, driver_version = 0, vendor = 0, device = 0, type = 0;
  char name[256] = {};
  char rest[1024] = {};
};

using Create = int32_t (*)(const CreateInfo*, const void*, void**);
using Destroy = void (*)(void*, const void*);
using Enumerate = int32_t (*)(void*, uint32_t*, void**);
using GetProperties = void (*)(void*, Properties*);

std::string version_text(uint32_t version) {
  return std::to_string(version >> 22 & 0x7f) + "." + std::to_string(version >> 12 & 0x3ff) + "." +
         std::to_string(version & 0xfff);
}

const char* const kNoDriverText =
    "Vulkan finds no driver: install the GPU's (Mesa: apt-get install mesa-vulkan-drivers; NVIDIA: its "
    "driver has "
    "one)";

std::string no_driver() {
  for (const char* variable : {"VK_ICD_FILENAMES", "VK_DRIVER_FILES"})
    if (const char* files = std::getenv(variable); files && *files)
      return std::string(kNoDriverText) + ", or unset " + variable + ", which names \"" + files + "\"";
  return kNoDriverText;
}

}  // namespace

VulkanInventory vulkan_inventory() {
  VulkanInventory found;
  found.library = kLoader;
  void* library = dlopen(kLoader, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    found.problem = std::string("the Vulkan loader cannot be opened (") + (why ? why : kLoader) +
                    "): apt-get install libvulkan1, or your distribution's vulkan-loader";
    return found;
  }
  const auto create = reinterpret_cast<Create>(dlsym(library, "vkCreateInstance"));
  const auto destroy = reinterpret_cast<Destroy>(dlsym(library, "vkDestroyInstance"));
  const auto enumerate = reinterpret_cast<Enumerate>(dlsym(library, "vkEnumeratePhysicalDevices"));
  const auto properties = reinterpret_cast<GetProperties>(dlsym(library, "vkGetPhysicalDeviceProperties"));
  if (!create || !destroy || !enumerate || !properties) {
    found.problem = std::string(kLoader) + " is no Vulkan loader: vkCreateInstance and its like are missing";
    return found;
  }
  const Application application;
  CreateInfo info;
  info.application = &application;
  void* instance = nullptr;
  const int32_t status = create(&info, nullptr, &instance);
  if (status != kSuccess) {
    found.problem =
        status == kNoDriver ? no_driver() : "vkCreateInstance failed with " + std::to_string(status);
    return found;
  }
  uint32_t count = 16;
  void* devices[16] = {};
  const int32_t listed = enumerate(instance, &count, devices);
  if (listed == kSuccess || listed == kIncomplete)
    for (uint32_t i = 0; i < count; ++i) {
      Properties of;
      properties(devices[i], &of);
      of.name[sizeof of.name - 1] = 0;
      found.adapters.push_back({of.name, version_text(of.api_version), of.type == kDeviceTypeCpu});
    }
  destroy(instance, nullptr);
  if (found.adapters.empty())
    found.problem =
        listed < 0 ? "vkEnumeratePhysicalDevices failed with " + std::to_string(listed) : no_driver();
  return found;
}

}  // namespace tr0n
