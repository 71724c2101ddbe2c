/* What the files of plans share. */
#ifndef PLAN_H
#define PLAN_H
#include "pydl.h"

/* Whether p lies in the `bytes` from `at` on, of which there is at least one. */
static inline int pd_within(const void *p, const void *at, size_t bytes) {
    return (uintptr_t)p >= (uintptr_t)at && (uintptr_t)p - (uintptr_t)at < (bytes ? bytes : 1);
}

/* A launch, or a check: low <= value[0] < high, where launch.run is NULL. */
typedef struct pd_entry {
    pd_launch launch;
    const int64_t *value;
    int64_t low, high;
    size_t number;          /* of the check */
    size_t workspace;       /* bytes that the launch needs beside its buffers */
    void *arrays;           /* what launch.buf and launch.step.sizes point at, or NULL */
    int gone;               /* another launch does it (plan_fuse.c) */
    size_t together;        /* this many entries from here on are run in strips (plan_strips.c); 0 or 1: it alone */
} pd_entry;

/* A few bytes that the recording thread wrote itself; put back before every run, as later launches may change them. */
typedef struct pd_constant {
    void *to;
    unsigned char bytes[8];
    size_t n;
} pd_constant;

/* An argument of the step: where the launches that read it are told its address, and where they read it now. */
typedef struct pd_site {
    void **pointer;
    ptrdiff_t offset;
} pd_site;

typedef struct pd_input {
    const char *at;
    size_t bytes, count;
    pd_site *sites;
} pd_input;

/* A product whose right matrix the plan keeps packed: buffers of `pack` are the matrix, then where it is packed. */
typedef struct pd_packed {
    size_t entry, bytes;
    pd_launch pack;
} pd_packed;

struct pd_plan {
    pd_entry *entries;
    pd_constant *constants;
    size_t count, room, constant_count, constant_room, checks;
    pd_input *inputs;
    pd_packed *packed;
    size_t input_count, packed_count;
    uint64_t *time;         /* ns of all runs while `measuring`, of each entry, or of those that run together at the first */
    int measuring;
    int failed;             /* no memory for an entry */
};

/* One use of a block: from the launch `born` on, before the launch `died`. What stays is nobody else's, before or after. */
#define PD_ALIVE SIZE_MAX
typedef struct pd_life {
    char *at;
    size_t block, bytes, born, died;
    int stays;
    size_t touches, first, last;    /* by launches, once pd_plan_touches has counted them */
    size_t offset, room;            /* in the slab */
    int moves;                      /* alive, but into the slab all the same: what lies there when the step begins does not matter */
    const void *was;                /* where it was before */
    struct pd_life *in;             /* whose place it takes over, as the result of an elementwise launch, or NULL */
} pd_life;

typedef struct pd_block {
    void *at;               /* NULL: given back */
    size_t bytes, life;     /* the use it has now, or had last */
    int free;
} pd_block;

struct pd_arena {
    pd_block *blocks;
    pd_life *lives;
    pd_life **passing;              /* those that go into the slab, by address */
    char *slab;                     /* slab_bytes */
    size_t block_count, block_room, life_count, life_room, passing_count, bytes, slab_bytes;
};

void *pd_grow(void *items, size_t count, size_t *room, size_t size); /* with room for one more; NULL: no memory, and nothing has changed */
int pd_plan_detach(pd_plan *plan, pd_arena *arena);         /* 0, or -1 where there is no memory */
pd_life *pd_life_at(const pd_arena *arena, const void *p);  /* of a plan that is detached; NULL for memory that stays */
void pd_plan_touches(pd_plan *plan, const pd_arena *arena);
void pd_plan_fuse(pd_plan *plan, const pd_arena *arena);    /* plan_fuse.c */
void pd_plan_strips(pd_plan *plan, const pd_arena *arena);  /* plan_strips.c */
void pd_strips_run(const pd_entry *first);
size_t pd_unit_of(const pd_entry *e);                       /* how many entries from here on run at the same time */
size_t pd_operands(const pd_entry *e);                      /* of an elementwise launch: the inputs, then the output; 0: another one */
size_t pd_written_by(const pd_entry *e);                    /* the one buffer that it writes, all others being read; PD_MAX_BUFS: nothing is known of it */
int pd_covers(const pd_entry *e, size_t operand, const pd_life *life); /* all of that memory, in order */
void pd_plan_in_place(pd_plan *plan, const pd_arena *arena);
int pd_plan_pack(pd_plan *plan, pd_arena *arena);           /* 0, or -1 where there is no memory */

typedef void (*pd_visit)(void *context, void **pointer);
void pd_entry_pointers(pd_entry *e, pd_visit visit, void *context);   /* every address that the launch is given */

#endif
