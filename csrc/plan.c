/* Captured plans: the launches of a step, kept in order, to be run again in one call.
 *
 * While a thread records, prepare() puts pd_recorded in the place of a kernel: it runs the kernel and appends the launch to
 * the thread's plan. What a launch points at (pd_step's arrays) is copied behind it, after it has run. Memory that launches
 * read and write belongs to the caller, or to the arena. A check stops the run where a number that a launch has
 * written is out of range: what the caller found out by looking while it recorded. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plan.h"

int pd_plan_on;             /* threads that record */
static _Thread_local pd_plan *recording;

pd_plan *pd_plan_new(void) { return calloc(1, sizeof(pd_plan)); }

void pd_plan_free(pd_plan *plan) {
    if (!plan) return;
    for (size_t i = 0; i < plan->count; i++) free(plan->entries[i].arrays);
    free(plan->entries);
    free(plan->constants);
    for (size_t i = 0; i < plan->input_count; i++) free(plan->inputs[i].sites);
    free(plan->inputs);
    for (size_t i = 0; i < plan->packed_count; i++) pd_free(plan->packed[i].pack.buf[1], plan->packed[i].bytes);
    free(plan->packed);
    free(plan->time);
    free(plan);
}

pd_plan *pd_plan_record(pd_plan *plan) {
    pd_plan *const before = recording;
    recording = plan;
    __atomic_fetch_add(&pd_plan_on, (plan != NULL) - (before != NULL), __ATOMIC_RELAXED);
    return before;
}

static pd_entry *append(pd_plan *plan) {
    pd_entry *const entries = pd_grow(plan->entries, plan->count, &plan->room, sizeof(pd_entry));
    if (!entries) {
        plan->failed = 1;
        return NULL;
    }
    plan->entries = entries;
    pd_entry *new = &plan->entries[plan->count++];
    memset(new, 0, sizeof *new);
    return new;
}

/* What a launch of a pd_step points at, buffer by buffer: pointers, bytes and scratch for each of step.count. */
enum { PLAIN, POINTERS, BYTES, SCRATCH };
static void step_layout(int kernel, unsigned char *layout) {
    memset(layout, PLAIN, PD_MAX_BUFS);
    size_t pointers = 0;
    switch (kernel) {
    case PD_sgd_step: memset(layout, POINTERS, 5), layout[3] = BYTES, layout[5] = SCRATCH; return;
    case PD_adam_step:
    case PD_adamw_step: pointers = 7; break;
    case PD_rmsprop_step: case PD_adagrad_step: case PD_adadelta_step: case PD_adamax_step:
    case PD_nadam_step: case PD_radam_step: case PD_asgd_step: case PD_rprop_step:
        memset(layout, POINTERS, 9), layout[4] = SCRATCH;
        return;
    case PD_clip_norm:
    case PD_clip_scale: pointers = 1; break;
    default: return;
    }
    memset(layout, POINTERS, pointers);
    layout[pointers] = SCRATCH;
}

static size_t layout_bytes(unsigned char kind, size_t count) {
    return kind == POINTERS ? count * sizeof(void *) : kind == BYTES ? (count + 15) / 16 * 16 : kind == SCRATCH ? count * PD_STEP_PLACE : 0;
}

/* Moves what the launch points at into memory of the entry. */
static int copy_arrays(pd_entry *e) {
    unsigned char layout[PD_MAX_BUFS];
    const size_t count = e->launch.step.count;
    size_t bytes = count * sizeof(size_t);
    step_layout(e->launch.kernel, layout);
    for (size_t i = 0; i < PD_MAX_BUFS; i++) bytes += layout_bytes(layout[i], count);
    char *to = e->arrays = malloc(bytes ? bytes : 1);
    if (!to) return 0;
    memcpy(to, e->launch.step.sizes, count * sizeof(size_t));
    e->launch.step.sizes = (const size_t *)to;
    to += count * sizeof(size_t);
    for (size_t i = 0; i < PD_MAX_BUFS; i++) {
        const size_t length = layout_bytes(layout[i], count);
        if (!length) continue;
        if (layout[i] == BYTES) memcpy(to, e->launch.buf[i], count);
        else if (layout[i] == POINTERS) memcpy(to, e->launch.buf[i], length);
        e->launch.buf[i] = to;
        to += length;
    }
    return 1;
}

static int is_step(int kernel) {
    unsigned char layout[PD_MAX_BUFS];
    step_layout(kernel, layout);
    return layout[0] == POINTERS;
}

void pd_recorded(const pd_launch *launch) {
    const pd_kernel kernel = pd_isa_in_use()->kernel[launch->kernel][launch->dtype];
    if (pd_trace_on) pd_traced(launch);
    else kernel(launch);
    pd_plan *const plan = recording;
    if (!plan || plan->failed) return;
    const pd_sizer sizer = pd_isa_in_use()->sizer[launch->kernel][launch->dtype];
    const size_t workspace = sizer ? sizer(launch) : 0;
    pd_entry *e = append(plan);
    if (!e) return;
    e->launch = *launch;
    e->launch.run = kernel;
    e->workspace = workspace;
    if (is_step(launch->kernel) && !copy_arrays(e)) plan->failed = 1;
}

size_t pd_plan_check(pd_plan *plan, const int64_t *value, int64_t low, int64_t high) {
    pd_entry *e = append(plan);
    if (e) e->value = value, e->low = low, e->high = high, e->number = plan->checks;
    return plan->checks++;
}

void pd_plan_constant(pd_plan *plan, void *at, size_t n) {
    pd_constant *const constants = pd_grow(plan->constants, plan->constant_count, &plan->constant_room, sizeof(pd_constant));
    if (!constants) {
        plan->failed = 1;
        return;
    }
    plan->constants = constants;
    pd_constant *new = &plan->constants[plan->constant_count++];
    new->to = at, new->n = n;
    memcpy(new->bytes, at, n);
}

int pd_plan_finish(const pd_plan *plan) { return plan->failed ? -1 : 0; }

int pd_plan_settle(pd_plan *plan, pd_arena *arena) {
    if (pd_plan_detach(plan, arena) < 0) return -1;
    pd_plan_fuse(plan, arena);
    pd_plan_strips(plan, arena);
    pd_plan_in_place(plan, arena);
    return pd_plan_pack(plan, arena);
}

size_t pd_unit_of(const pd_entry *e) { return e->together > 1 ? e->together : 1; }

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

size_t pd_plan_run(const pd_plan *plan) {
    uint64_t *const time = plan->measuring ? plan->time : NULL;
    for (size_t i = 0; i < plan->constant_count; i++) memcpy(plan->constants[i].to, plan->constants[i].bytes, plan->constants[i].n);
    for (size_t i = 0, next; i < plan->count; i = next) {
        const pd_entry *e = &plan->entries[i];
        const uint64_t start = time ? now() : 0;
        next = i + pd_unit_of(e);
        if (e->together > 1) pd_strips_run(e);
        else if (e->launch.run) (pd_trace_on ? pd_traced : e->launch.run)(&e->launch);
        else if (*e->value < e->low || *e->value >= e->high) return e->number;
        if (time) time[i] += now() - start;
    }
    return PD_DONE;
}

int pd_plan_measure(pd_plan *plan, int on) {
    if (on && !plan->time) plan->time = calloc(plan->count + 1, sizeof(uint64_t));
    plan->measuring = on && plan->time;
    return on && !plan->time ? -1 : 0;
}

uint64_t pd_plan_time(const pd_plan *plan, size_t index) { return plan->time ? plan->time[index] : 0; }

size_t pd_plan_together(const pd_plan *plan, size_t index) { return pd_unit_of(&plan->entries[index]); }

size_t pd_plan_length(const pd_plan *plan) { return plan->count; }

size_t pd_plan_bytes(const pd_plan *plan) {
    size_t bytes = 0;
    for (size_t i = 0; i < plan->packed_count; i++) bytes += plan->packed[i].bytes;
    return bytes;
}

const pd_launch *pd_plan_launch(const pd_plan *plan, size_t index) {
    const pd_launch *launch = &plan->entries[index].launch;
    return launch->run ? launch : NULL;
}

void pd_entry_pointers(pd_entry *e, pd_visit visit, void *context) {
    unsigned char layout[PD_MAX_BUFS];
    if (!e->launch.run) return;
    if (e->arrays) step_layout(e->launch.kernel, layout);
    for (size_t i = 0; i < PD_MAX_BUFS; i++) {
        if (!e->arrays || layout[i] == PLAIN) {
            if (e->launch.buf[i]) visit(context, &e->launch.buf[i]);
        } else if (layout[i] == POINTERS) {
            for (size_t k = 0; k < e->launch.step.count; k++)
                if (((void **)e->launch.buf[i])[k]) visit(context, &((void **)e->launch.buf[i])[k]);
        }
    }
}

typedef struct pointer_list {
    const void **to;
    size_t count;
} pointer_list;

static void note_pointer(void *context, void **pointer) {
    pointer_list *list = context;
    if (list->to) list->to[list->count] = *pointer;
    list->count++;
}

size_t pd_plan_pointers(const pd_plan *plan, size_t index, const void **to) {
    pointer_list list = {to, 0};
    pd_entry_pointers(&plan->entries[index], note_pointer, &list);
    return list.count;
}
