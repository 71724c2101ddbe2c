/* The caching allocator: 64-byte aligned blocks in size classes, eight to a doubling, freed ones kept for the next request
 * of their class. Blocks from MAPPED on come from mmap, aligned to huge pages and marked for them: fresh pages are what a
 * large temporary costs most. Blocks from COLOURED on start some cache lines into their first page, another number each
 * time: operands at equal distances from a page's start would fall into the same cache sets and delay loads behind stores.
 *
 * At most `cache_limit` bytes are kept: PYDL_CACHE_MB MiB, by default a quarter of the memory and at most 1024.
 * Under a sanitizer nothing is kept, so that it sees each use after free. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cpus.h"
#include "pydl.h"

#if defined(PD_SANITIZE) || defined(__SANITIZE_ADDRESS__)
enum { CACHING = 0 };
#else
enum { CACHING = 1 };
#endif

enum { LINE = 64, PAGE = 4096, STEPS = 8, CLASSES = 8 * 64, COLOURS = 16, COLOUR_STEP = 4 * LINE };
#define COLOURED ((size_t)1 << 16)
#define MAPPED ((size_t)1 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define MIB ((size_t)1 << 20)

/* A free block holds the link to the next one of its class. */
typedef struct block {
    struct block *next;
} block;

static struct {
    _Alignas(64) atomic_flag lock;
    pd_memory stats;
    unsigned colour;
    size_t largest;         /* no class above this one holds a block */
    block *bin[CLASSES];
} heap = {.lock = ATOMIC_FLAG_INIT};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic int ready;

static void lock_heap(void) {
    for (unsigned tries = 0; atomic_flag_test_and_set_explicit(&heap.lock, memory_order_acquire); tries++)
        if (tries > 64) sched_yield();
}
static void unlock_heap(void) { atomic_flag_clear_explicit(&heap.lock, memory_order_release); }

static void set_up(void) {
    const size_t quarter = pd_memory_bytes() / 4;
    size_t limit = quarter && quarter < 1024 * MIB ? quarter : 1024 * MIB;
    const char *text = getenv("PYDL_CACHE_MB");
    if (text && *text >= '0' && *text <= '9') {
        const unsigned long long mib = strtoull(text, NULL, 10);
        limit = mib > SIZE_MAX / MIB ? SIZE_MAX : (size_t)mib * MIB;
    }
    heap.stats.cache_limit = CACHING ? limit : 0;
    pthread_atfork(lock_heap, unlock_heap, unlock_heap);
    atomic_store_explicit(&ready, 1, memory_order_release);
}

static void get_ready(void) {
    if (!atomic_load_explicit(&ready, memory_order_acquire)) pthread_once(&once, set_up);
}

/* The class of a request and the bytes of its blocks: multiples of 64 up to 512, then eight steps to a doubling. */
static size_t class_of(size_t bytes, size_t *size) {
    const size_t last = (bytes ? bytes : 1) - 1;
    const unsigned log = 63 - (unsigned)__builtin_clzll(last | 511);
    const unsigned shift = last < 512 ? 6 : log - 3;
    const size_t step = last >> shift; /* 0 .. 7 below 512, else 8 .. 15 */
    *size = (step + 1) << shift;
    return last < 512 ? step : (size_t)(log - 9) * STEPS + step;
}

static void *map_block(size_t size) {
    if (size > SIZE_MAX - HUGE_PAGE - PAGE) return NULL;
    const size_t align = size < HUGE_PAGE ? PAGE : HUGE_PAGE, length = size + PAGE, reserved = length + align;
    char *from = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (from == MAP_FAILED) return NULL;
    char *base = (char *)(((uintptr_t)from + align - 1) & ~(uintptr_t)(align - 1));
    if (base > from) munmap(from, (size_t)(base - from));
    if (from + reserved > base + length) munmap(base + length, (size_t)(from + reserved - (base + length)));
#ifdef MADV_HUGEPAGE
    if (align == HUGE_PAGE) madvise(base, length, MADV_HUGEPAGE);
#endif
    return base;
}

/* New memory from the system. `size` is the class's, `bytes` what was asked for: a sanitizer guards the latter's end. */
static void *fresh(size_t bytes, size_t size, unsigned colour) {
    void *base;
    if (!CACHING || size < COLOURED) return posix_memalign(&base, LINE, CACHING ? size : bytes ? bytes : 1) == 0 ? base : NULL;
    if (size >= MAPPED) base = map_block(size);
    else if (posix_memalign(&base, PAGE, size + PAGE) != 0) base = NULL;
    return base ? (char *)base + colour % COLOURS * COLOUR_STEP : NULL;
}

static void give_back(void *pointer, size_t size) {
    void *const page = (void *)((uintptr_t)pointer & ~(uintptr_t)(PAGE - 1));
    if (!CACHING || size < COLOURED) free(pointer);
    else if (size < MAPPED) free(page);
    else munmap(page, size + PAGE);
}

static size_t size_of_class(size_t index) {
    return index < STEPS ? (index + 1) << 6 : (index % STEPS + STEPS + 1) << (index / STEPS + 5);
}

/* Takes a block out of the cache, from the largest class there is, if more than `keep` bytes are in it. */
static void *evict(size_t keep, size_t *size) {
    block *taken = NULL;
    lock_heap();
    while (heap.largest > 0 && !heap.bin[heap.largest]) heap.largest--;
    if (heap.stats.cached > keep && heap.bin[heap.largest]) {
        taken = heap.bin[heap.largest];
        heap.bin[heap.largest] = taken->next;
        *size = size_of_class(heap.largest);
        heap.stats.cached -= *size;
    }
    unlock_heap();
    return taken;
}

/* The system is called without the lock. */
static void shrink_cache(size_t keep) {
    size_t size;
    for (void *taken; (taken = evict(keep, &size)) != NULL;) give_back(taken, size);
}

static void count_allocation(size_t size) {
    heap.stats.allocations++;
    heap.stats.allocated += size;
    if (heap.stats.allocated > heap.stats.peak) heap.stats.peak = heap.stats.allocated;
}

void *pd_alloc(size_t bytes) {
    get_ready();
    if (bytes > PTRDIFF_MAX / 2) return NULL;
    size_t size;
    const size_t index = class_of(bytes, &size);
    lock_heap();
    block *cached = heap.bin[index];
    if (cached) {
        heap.bin[index] = cached->next;
        heap.stats.cached -= size;
        heap.stats.cache_hits++;
        count_allocation(size);
    }
    const unsigned colour = cached || size < COLOURED ? 0 : heap.colour++;
    unlock_heap();
    if (cached) return cached;

    void *pointer = fresh(bytes, size, colour);
    if (!pointer) {
        shrink_cache(0);
        pointer = fresh(bytes, size, colour);
        if (!pointer) return NULL;
    }
    lock_heap();
    count_allocation(size);
    unlock_heap();
    return pointer;
}

void pd_free(void *pointer, size_t bytes) {
    if (!pointer) return;
    size_t size;
    const size_t index = class_of(bytes, &size);
    lock_heap();
    heap.stats.allocated -= size;
    const size_t limit = heap.stats.cache_limit;
    const int keep = size <= limit && heap.stats.cached <= limit - size;
    if (keep) {
        block *freed = pointer;
        freed->next = heap.bin[index];
        heap.bin[index] = freed;
        heap.stats.cached += size;
        if (index > heap.largest) heap.largest = index;
    }
    unlock_heap();
    if (keep) return;
    if (size <= limit) shrink_cache(limit - size); /* makes room for blocks of today's sizes */
    give_back(pointer, size);
}

/* Bytes of the pages of a large block that belongs to no class. */
static size_t in_pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

void *pd_alloc_exact(size_t bytes) {
    get_ready();
    if (!CACHING || bytes < MAPPED || bytes > PTRDIFF_MAX / 2) return pd_alloc(bytes);
    void *pointer = map_block(in_pages(bytes));
    if (!pointer) {
        shrink_cache(0);
        pointer = map_block(in_pages(bytes));
    }
    if (!pointer) return NULL;
    lock_heap();
    count_allocation(in_pages(bytes));
    unlock_heap();
    return pointer;
}

void pd_free_exact(void *pointer, size_t bytes) {
    if (!CACHING || bytes < MAPPED) {
        pd_free(pointer, bytes);
        return;
    }
    if (!pointer) return;
    lock_heap();
    heap.stats.allocated -= in_pages(bytes);
    unlock_heap();
    munmap(pointer, in_pages(bytes) + PAGE);
}

void pd_memory_stats(pd_memory *out) {
    get_ready();
    lock_heap();
    *out = heap.stats;
    unlock_heap();
}

void pd_memory_reset_peak(void) {
    lock_heap();
    heap.stats.peak = heap.stats.allocated;
    unlock_heap();
}

void pd_empty_cache(void) { shrink_cache(0); }
