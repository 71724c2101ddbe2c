/* The thread pool and the allocator without Python, for the thread and address sanitizers: concurrent submitters, nested
 * calls, changing thread counts, forks, blocks that move between threads. Exits 0 and prints "ok" where all is right. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pydl.h"

enum { CHUNKS = 64, ROUNDS = 300, SUBMITTERS = 4, BLOCKS = 64 };

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    _exit(1);
}

static void square(void *context, size_t chunk) { ((uint64_t *)context)[chunk] = (uint64_t)chunk * chunk; }

static void nested(void *context, size_t chunk) { pd_parallel(CHUNKS, square, (uint64_t *)context + chunk * CHUNKS); }

static void check(const uint64_t *sums) {
    for (uint64_t i = 0; i < CHUNKS; i++)
        if (sums[i] != i * i) fail("a chunk did not run, or ran with another's data");
}

static void compute(int rounds) {
    uint64_t *sums = malloc(CHUNKS * CHUNKS * sizeof *sums);
    for (int round = 0; round < rounds; round++) {
        memset(sums, 255, CHUNKS * CHUNKS * sizeof *sums);
        pd_parallel(CHUNKS, square, sums);
        check(sums);
        if (round % 50 == 0) {
            pd_parallel(CHUNKS, nested, sums);
            for (size_t i = 0; i < CHUNKS; i++) check(sums + i * CHUNKS);
        }
    }
    free(sums);
}

static void *submitter(void *unused) {
    compute(ROUNDS);
    return unused;
}

/* Every thread takes blocks out of one table and puts others in: most are freed by another thread than made them. */
static struct {
    pthread_mutex_t mutex;
    unsigned char *block[BLOCKS];
    size_t bytes[BLOCKS];
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void *exchanger(void *seed) {
    uint32_t state = (uint32_t)(uintptr_t)seed * 2654435761u + 1;
    for (int round = 0; round < 2000; round++) {
        state = state * 1664525u + 1013904223u;
        const size_t slot = state >> 8 & (BLOCKS - 1), bytes = (state >> 12) % (round % 40 ? 3000 : 3000000) + 1;
        unsigned char *made = pd_alloc(bytes);
        if (!made || (uintptr_t)made % 64) fail("no memory, or not aligned");
        made[0] = made[bytes - 1] = (unsigned char)bytes;
        pthread_mutex_lock(&table.mutex);
        unsigned char *old = table.block[slot];
        const size_t old_bytes = table.bytes[slot];
        table.block[slot] = made;
        table.bytes[slot] = bytes;
        pthread_mutex_unlock(&table.mutex);
        if (old && (old[0] != (unsigned char)old_bytes || old[old_bytes - 1] != old[0])) fail("a block was overwritten");
        pd_free(old, old_bytes);
        if (round % 500 == 499) pd_empty_cache();
    }
    return NULL;
}

static void together(void *(*work)(void *)) {
    pthread_t thread[SUBMITTERS];
    for (uintptr_t i = 0; i < SUBMITTERS; i++) pthread_create(&thread[i], NULL, work, (void *)i);
    for (int i = 0; i < SUBMITTERS; i++) pthread_join(thread[i], NULL);
}

static void fork_and_compute(void) {
    const pid_t child = fork();
    if (child == 0) {
        compute(50);
        pd_free(pd_alloc(100), 100);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) fail("a child went wrong");
}

int main(int argc, char **argv) {
    const int forks = argc > 1 ? atoi(argv[1]) : 0; /* not under the thread sanitizer, which refuses threads in a child */
    if (pd_set_num_threads(0) != -1 || pd_set_num_threads(100000) != -1) fail("a number of threads was not refused");
    for (size_t count = 1; count <= 5; count++) {
        pd_set_num_threads(count);
        compute(ROUNDS);
    }
    for (size_t count = 4; count >= 2; count--) {
        pd_set_num_threads(count);
        together(submitter);
    }
    together(exchanger);
    for (int i = 0; i < forks; i++) fork_and_compute();
    if (pd_alloc(SIZE_MAX) || pd_alloc(SIZE_MAX / 2)) fail("an absurd request was granted");
    for (size_t i = 0; i < BLOCKS; i++) pd_free(table.block[i], table.bytes[i]);
    pd_memory stats;
    pd_memory_stats(&stats);
    if (stats.allocated != 0) fail("the count of bytes in use is wrong");
    pd_empty_cache();
    puts("ok");
    return 0;
}
