/* A Vulkan driver around Mesa's llvmpipe that looks like a graphics card which cannot run the kernels. OLD_DRIVER says what it lacks:
 * "1.0", "1.1": Vulkan's version; "features": all of Vulkan 1.2's; "queue": a queue that computes; "device": there is no device.
 * Compiled by the tests: cc -shared -fPIC. Offsets are those of Vulkan's headers, which need not be here.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*function)(void);
typedef function (*resolver)(void *instance, const char *name);
typedef void (*filler)(void *device, void *properties);
typedef void (*lister)(void *device, uint32_t *count, void *families);
typedef int (*enumerator)(void *instance, uint32_t *count, void *devices);

struct chained { uint32_t type; struct chained *next; uint32_t fields[]; };

enum { VULKAN_12_FEATURES = 51, VULKAN_12_FIELDS = 47, DISCRETE = 2, FAMILY_WORDS = 6, COMPUTE = 2 };

static filler properties, properties2, features2;
static lister families;

static int lacks(const char *what)
{
    const char *lack = getenv("OLD_DRIVER");
    return lack && strcmp(lack, what) == 0;
}

static void *mesa(const char *name)
{
    static void *library;
    if (!library) library = dlopen("libvulkan_lvp.so", RTLD_NOW);
    return library ? dlsym(library, name) : NULL;
}

/* apiVersion, driverVersion, vendorID, deviceID, deviceType, deviceName */
static void age(uint32_t *device)
{
    if (lacks("1.0") || lacks("1.1")) device[0] = 1u << 22 | (lacks("1.1") ? 1u : 0u) << 12;
    device[4] = DISCRETE;
    strcpy((char *)(device + 5), "Old Card");
}

static void get_properties(void *device, void *p)
{
    properties(device, p);
    age(p);
}

static void get_properties2(void *device, void *p)
{
    properties2(device, p);
    age(((struct chained *)p)->fields);
}

static void get_features2(void *device, void *p)
{
    features2(device, p);
    for (struct chained *s = p; lacks("features") && s; s = s->next)
        if (s->type == VULKAN_12_FEATURES) memset(s->fields, 0, VULKAN_12_FIELDS * sizeof(uint32_t));
}

static void get_families(void *device, uint32_t *count, void *found)
{
    families(device, count, found);
    for (uint32_t i = 0; found && lacks("queue") && i < *count; i++) ((uint32_t *)found)[i * FAMILY_WORDS] &= ~COMPUTE;
}

static int no_devices(void *instance, uint32_t *count, void *devices)
{
    (void)instance, (void)devices;
    *count = 0;
    return 0;
}

static function wrap(const char *name, function real)
{
    if (!real) return NULL;
    if (!strcmp(name, "vkGetPhysicalDeviceProperties")) { properties = (filler)real; return (function)get_properties; }
    if (!strcmp(name, "vkGetPhysicalDeviceProperties2")) { properties2 = (filler)real; return (function)get_properties2; }
    if (!strcmp(name, "vkGetPhysicalDeviceFeatures2")) { features2 = (filler)real; return (function)get_features2; }
    if (!strcmp(name, "vkGetPhysicalDeviceQueueFamilyProperties")) { families = (lister)real; return (function)get_families; }
    if (!strcmp(name, "vkEnumeratePhysicalDevices") && lacks("device")) return (function)(enumerator)no_devices;
    return real;
}

static function resolve(const char *entry, void *instance, const char *name)
{
    resolver real = (resolver)mesa(entry);
    return real ? wrap(name, real(instance, name)) : NULL;
}

function vk_icdGetInstanceProcAddr(void *instance, const char *name) { return resolve("vk_icdGetInstanceProcAddr", instance, name); }

function vk_icdGetPhysicalDeviceProcAddr(void *instance, const char *name)
{
    return resolve("vk_icdGetPhysicalDeviceProcAddr", instance, name);
}

int vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version)
{
    int (*real)(uint32_t *) = (int (*)(uint32_t *))mesa("vk_icdNegotiateLoaderICDInterfaceVersion");
    return real ? real(version) : -3;
}
