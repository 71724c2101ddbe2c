/* The thread pool: pd_parallel hands the chunks of one job to a few workers and to the caller itself.
 *
 * One job at a time. `state` says everything about it: its number (upper half), whether workers may still join (OPEN),
 * whether the submitter sleeps until the last worker leaves (WAITED), and how many workers are inside. A worker joins by
 * counting itself in while the job is open; the submitter closes the job when no chunk is left and returns when nobody is
 * inside. So it never waits for a worker that is slow to wake, only for one that is computing. A call that finds the pool
 * busy (from inside a task, or from another thread) runs its chunks itself.
 * Workers spin for SPIN_NS after the end of a job, about what waking one costs, then sleep; a worker that found no chunk
 * left waits awake for that end, up to LONG_SPIN_NS. Not at all where there are more threads than CPUs. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "cpus.h"
#include "pydl.h"

enum { MAX_THREADS = 256, SPIN_NS = 50000, LONG_SPIN_NS = 1000000, STACK_BYTES = 4 << 20 };

#define OPEN ((uint64_t)1 << 31)
#define WAITED ((uint64_t)1 << 30)
#define INSIDE (WAITED - 1)
#define JOB(state) ((uint64_t)(state) >> 32)

static struct {
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) pd_task task;          /* written while no job is open */
    void *context;
    size_t chunks, runs;
    _Alignas(64) _Atomic int busy;      /* somebody submits, or changes the workers */
    _Atomic size_t wanted;              /* threads in all, the caller included; 0: not yet asked */
    _Atomic size_t limit;               /* workers with an index from here on end */
    _Atomic size_t sleepers;
    _Atomic int spins;
    size_t started, asked;              /* workers there are and were asked for; guarded by `busy` */
    pthread_t thread[MAX_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

/* Chunks taken of each run: the job's number (upper half) and how many. One of another job stands for none. */
static struct {
    _Alignas(64) _Atomic uint64_t value;
} taken[MAX_THREADS];

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* True once `mask` of the state differs from `value`; false when the time to spin is over. */
static int spin_until_changed(uint64_t mask, uint64_t value) {
    if (!atomic_load_explicit(&pool.spins, memory_order_relaxed)) return 0;
    int64_t now = now_ns(), end = now + SPIN_NS;
    const int64_t last = now + LONG_SPIN_NS;
    do {
        for (int i = 0; i < 16; i++) {
            if ((atomic_load_explicit(&pool.state, memory_order_acquire) & mask) != value) return 1;
            pause_cpu();
        }
        now = now_ns();
        if (now < last && atomic_load_explicit(&pool.busy, memory_order_relaxed)) end = now + SPIN_NS;
    } while (now < end);
    return 0;
}

/* The next of `count` chunks of a run, or `count` where nothing is left. */
static size_t take_chunk(size_t run, uint64_t job, size_t count) {
    uint64_t value = atomic_load_explicit(&taken[run].value, memory_order_relaxed), next;
    do {
        next = JOB(value) == job ? value & UINT32_MAX : 0;
        if (next >= count) return count;
    } while (!atomic_compare_exchange_weak_explicit(&taken[run].value, &value, job << 32 | (next + 1), memory_order_relaxed,
                                                    memory_order_relaxed));
    return (size_t)next;
}

/* Thread `self`: its own run, then what is left of the others'. */
static void run_chunks(size_t self, uint64_t job) {
    const pd_task task = pool.task;
    void *const context = pool.context;
    const size_t chunks = pool.chunks, runs = pool.runs, share = chunks / runs, more = chunks % runs;
    for (size_t i = 0; i < runs; i++) {
        const size_t run = (self + i) % runs, first = run * share + (run < more ? run : more);
        const size_t count = share + (run < more);
        size_t next;
        while ((next = take_chunk(run, job, count)) < count) task(context, first + next);
    }
}

static void join_job(size_t self) {
    uint64_t state = atomic_load(&pool.state);
    do {
        if (!(state & OPEN)) return;
    } while (!atomic_compare_exchange_weak(&pool.state, &state, state + 1));
    run_chunks(self, JOB(state));
    state = atomic_fetch_sub(&pool.state, 1) - 1;
    if ((state & WAITED) && !(state & INSIDE)) {
        pthread_mutex_lock(&pool.mutex);
        pthread_cond_signal(&pool.done);
        pthread_mutex_unlock(&pool.mutex);
    }
}

static void sleep_until_work(uint64_t job, size_t index) {
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.sleepers, 1);
    while (JOB(atomic_load(&pool.state)) == job && index < atomic_load(&pool.limit))
        pthread_cond_wait(&pool.work, &pool.mutex);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.mutex);
}

static void *worker(void *argument) {
    const size_t index = (size_t)(uintptr_t)argument;
    uint64_t job = 0;
    while (index < atomic_load(&pool.limit)) {
        const uint64_t state = atomic_load(&pool.state);
        if (JOB(state) != job) {
            job = JOB(state);
            join_job(index + 1);
        } else if (!spin_until_changed(~(OPEN | WAITED | INSIDE), state & ~(OPEN | WAITED | INSIDE)))
            sleep_until_work(job, index);
    }
    return NULL;
}

/* Workers take no signals: Python's handlers belong to its own threads. Fewer workers than asked for is no error. */
static void start_workers(size_t count) {
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&pool.limit, count);
    while (pool.started < count &&
           pthread_create(&pool.thread[pool.started], &attributes, worker, (void *)(uintptr_t)pool.started) == 0)
        pool.started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static void stop_workers(size_t keep) {
    pthread_mutex_lock(&pool.mutex);
    atomic_store(&pool.limit, keep);
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
    while (pool.started > keep) pthread_join(pool.thread[--pool.started], NULL);
}

/* The child of a fork has no workers, and nobody in it holds anything. */
static void after_fork_in_child(void) {
    const pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    const pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pool.mutex = mutex;
    pool.work = pool.done = condition;
    pool.started = pool.asked = 0;
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.limit, 0);
    atomic_store(&pool.state, 0);
    atomic_store(&pool.busy, 0);
}

static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork_in_child); }

static void adjust_workers(size_t threads) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    if (pool.started > threads - 1) stop_workers(threads - 1);
    else start_workers(threads - 1);
    pool.asked = threads - 1;
    atomic_store(&pool.spins, threads <= pd_cpu_count());
}

/* The number of the job. */
static uint64_t open_job(size_t chunks, pd_task task, void *context, size_t runs) {
    pool.task = task;
    pool.context = context;
    pool.chunks = chunks;
    pool.runs = runs;
    uint64_t job = (JOB(atomic_load_explicit(&pool.state, memory_order_relaxed)) + 1) & UINT32_MAX;
    if (job <= 1) { /* the first, or after a fork, or the numbers come round; a worker starts out having seen job 0 */
        job = 1;
        for (size_t i = 0; i < MAX_THREADS; i++) atomic_store_explicit(&taken[i].value, 0, memory_order_relaxed);
    }
    atomic_store(&pool.state, job << 32 | OPEN);
    size_t sleepers = atomic_load(&pool.sleepers);
    if (sleepers == 0) return job;
    pthread_mutex_lock(&pool.mutex); /* whoever counted itself asleep now waits, or will see the new job */
    pthread_mutex_unlock(&pool.mutex);
    for (size_t helpers = runs - 1; helpers > 0 && sleepers > 0; helpers--, sleepers--) pthread_cond_signal(&pool.work);
    return job;
}

static void close_job(void) {
    uint64_t state = atomic_fetch_and(&pool.state, ~OPEN) & ~OPEN;
    while (state & INSIDE) {
        if (!spin_until_changed(~(uint64_t)0, state)) {
            pthread_mutex_lock(&pool.mutex);
            atomic_fetch_or(&pool.state, WAITED);
            while (atomic_load(&pool.state) & INSIDE) pthread_cond_wait(&pool.done, &pool.mutex);
            pthread_mutex_unlock(&pool.mutex);
        }
        state = atomic_load(&pool.state);
    }
}

void pd_parallel(size_t chunks, pd_task task, void *context) {
    const size_t threads = chunks > 1 ? pd_num_threads() : 1;
    if (threads == 1 || chunks > UINT32_MAX || atomic_exchange_explicit(&pool.busy, 1, memory_order_acquire)) {
        for (size_t chunk = 0; chunk < chunks; chunk++) task(context, chunk);
        return;
    }
    if (pool.asked != threads - 1) adjust_workers(threads);
    run_chunks(0, open_job(chunks, task, context, chunks < threads ? chunks : threads));
    close_job();
    atomic_store_explicit(&pool.busy, 0, memory_order_release);
}

/* The two functions other software may find in the library by name (threadpoolctl looks for them). */
#define EXPORTED __attribute__((visibility("default")))

EXPORTED size_t pd_num_threads(void) {
    size_t count = atomic_load_explicit(&pool.wanted, memory_order_relaxed);
    if (count) return count;
    count = pd_default_threads();
    size_t none = 0;
    atomic_compare_exchange_strong(&pool.wanted, &none, count < MAX_THREADS ? count : MAX_THREADS);
    return atomic_load(&pool.wanted);
}

EXPORTED int pd_set_num_threads(size_t count) {
    if (count == 0 || count > MAX_THREADS) return -1;
    atomic_store(&pool.wanted, count);
    return 0;
}
