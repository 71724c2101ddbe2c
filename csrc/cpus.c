/* What the operating system grants this process: CPUs (affinity mask, cgroup quota of version 1 and 2) and memory. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"

#ifdef __linux__
#include <sched.h>

static size_t affinity_count(void) {
    for (size_t cpus = 1024; cpus <= (size_t)1 << 20; cpus *= 4) { /* the kernel refuses a mask smaller than its own */
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set) return 0;
        const int failed = sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set);
        const size_t count = failed ? 0 : (size_t)CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set);
        CPU_FREE(set);
        if (!failed) return count;
    }
    return 0;
}

static int read_line(const char *path, char *line, int size) {
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    const int read = fgets(line, size, file) != NULL;
    fclose(file);
    return read;
}

/* CPUs of a quota, rounded up; 0 where there is none. Version 2: "max 100000" or "150000 100000" in cpu.max;
 * version 1: cpu.cfs_quota_us, -1 for none, and cpu.cfs_period_us. */
static size_t quota_of(const char *folder, int version) {
    char path[4400], line[128];
    long long quota = -1, period = 0;
    if (version == 2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!read_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2) return 0;
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!read_line(path, line, sizeof line) || sscanf(line, "%lld", &quota) != 1) return 0;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!read_line(path, line, sizeof line) || sscanf(line, "%lld", &period) != 1) return 0;
    }
    return quota > 0 && period > 0 ? (size_t)((quota + period - 1) / period) : 0;
}

/* The smallest quota of a control group and of those above it, up to the mount point. */
static size_t smallest_quota(const char *mount, const char *group, int version) {
    char folder[4300];
    const size_t root = strlen(mount);
    size_t smallest = 0;
    snprintf(folder, sizeof folder, "%s%s", mount, group);
    for (size_t end = strlen(folder); end >= root;) {
        folder[end] = '\0';
        const size_t quota = quota_of(folder, version);
        if (quota && (!smallest || quota < smallest)) smallest = quota;
        if (end == root) break;
        while (end > root && folder[end] != '/') end--;
    }
    return smallest;
}

/* Lines of /proc/self/cgroup: "0::/group" (version 2), "4:cpu,cpuacct:/group" (version 1). */
static size_t cgroup_quota(void) {
    size_t smallest = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return 0;
    char line[4200];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        size_t quota = 0;
        if (*controllers == '\0') quota = smallest_quota("/sys/fs/cgroup", group, 2);
        else if (strncmp(controllers, "cpu", 3) == 0 && (controllers[3] == ',' || controllers[3] == '\0'))
            quota = smallest_quota("/sys/fs/cgroup/cpu", group, 1);
        if (quota && (!smallest || quota < smallest)) smallest = quota;
    }
    fclose(file);
    return smallest;
}
#else
static size_t affinity_count(void) { return 0; }
static size_t cgroup_quota(void) { return 0; }
#endif

size_t pd_cpu_count(void) {
    size_t count = affinity_count();
    if (count == 0) {
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (size_t)online : 1;
    }
    const size_t quota = cgroup_quota();
    return quota && quota < count ? quota : count;
}

/* A positive whole number, or the first of a comma-separated list of them (OpenMP's nesting levels); else 0. */
static size_t count_in(const char *name) {
    const char *text = getenv(name);
    if (!text || *text < '0' || *text > '9') return 0;
    char *end;
    const unsigned long count = strtoul(text, &end, 10);
    return *end == '\0' || *end == ',' ? count : 0;
}

size_t pd_default_threads(void) {
    size_t count = count_in("PYDL_NUM_THREADS");
    if (count == 0) count = count_in("OMP_NUM_THREADS");
    return count ? count : pd_cpu_count();
}

size_t pd_memory_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}
