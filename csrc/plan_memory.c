/* A plan's memory: what does not outlive the step shares one slab, in which two uses overlap only where no launch needs both.
 *
 * First every such use gets an address of its own, beyond all memory, so that launches may be moved and dropped without a
 * thought of who uses a block after whom. Then each is placed in the slab, the largest first, as low as those allow that
 * live at the same time. Gradients that every step makes anew live there, too, from their first launch on. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

enum { LINE = 64, COLOURED = 1 << 16, COLOUR_STEP = 4 * LINE }; /* as in alloc.c: neighbours start at different distances from a page */
#define BEYOND ((uintptr_t)1 << 62)

/* The last of `count` sorted lives that starts at or before p, or NULL. */
static pd_life **last_before(pd_life **lives, size_t count, const void *p) {
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((uintptr_t)lives[middle]->at <= (uintptr_t)p) low = middle + 1;
        else high = middle;
    }
    return low ? &lives[low - 1] : NULL;
}

/* ---- Addresses of their own ---- */

typedef struct detachment {
    pd_life **lives; /* all, by block, then by birth */
    char **to;       /* of each life of the arena, its new address */
    const pd_arena *arena;
    size_t entry;
} detachment;

static int by_block(const void *a, const void *b) {
    const pd_life *const x = *(pd_life *const *)a, *const y = *(pd_life *const *)b;
    if (x->at != y->at) return (uintptr_t)x->at < (uintptr_t)y->at ? -1 : 1;
    return x->born < y->born ? -1 : x->born > y->born ? 1 : x < y ? -1 : x > y;
}

static void detach(void *context, void **pointer) {
    const detachment *d = context;
    pd_life **found = last_before(d->lives, d->arena->life_count, *pointer);
    if (!found) return;
    const char *const block = (*found)->at;
    while (found > d->lives && (*found)->born > d->entry && found[-1]->at == block) found--;
    const pd_life *const life = *found;
    char *const to = d->to[life - d->arena->lives];
    if (pd_within(*pointer, life->at, life->bytes) && to) *pointer = to + ((char *)*pointer - life->at);
}

static int stays(const pd_life *life) { return life->stays || (life->died == PD_ALIVE && !life->moves); }

int pd_plan_detach(pd_plan *plan, pd_arena *arena) {
    const size_t n = arena->life_count;
    detachment d = {malloc((n + 1) * sizeof(pd_life *)), calloc(n + 1, sizeof(char *)), arena, 0};
    arena->passing = malloc((n + 1) * sizeof(pd_life *));
    const int enough = d.lives && d.to && arena->passing;
    if (enough) {
        uintptr_t next = BEYOND;
        for (size_t i = 0; i < n; i++) {
            d.lives[i] = &arena->lives[i];
            if (stays(d.lives[i])) continue;
            d.to[i] = (char *)next;
            next += (d.lives[i]->bytes + 2 * LINE - 1) / LINE * LINE;
            arena->passing[arena->passing_count++] = d.lives[i];
        }
        qsort(d.lives, n, sizeof(pd_life *), by_block);
        for (; d.entry < plan->count; d.entry++) pd_entry_pointers(&plan->entries[d.entry], detach, &d);
        for (size_t i = 0; i < n; i++)
            if (d.to[i]) arena->lives[i].at = d.to[i];
    }
    free(d.lives);
    free(d.to);
    return enough ? 0 : -1;
}

pd_life *pd_life_at(const pd_arena *arena, const void *p) {
    pd_life **const found = last_before(arena->passing, arena->passing_count, p);
    return found && pd_within(p, (*found)->at, (*found)->bytes) ? *found : NULL;
}

typedef struct touching {
    const pd_arena *arena;
    size_t first, last;
} touching;

static void touch(void *context, void **pointer) {
    const touching *t = context;
    pd_life *const life = pd_life_at(t->arena, *pointer);
    if (!life) return;
    if (!life->touches++) life->first = t->first;
    life->last = t->last;
}

/* What runs at the same time needs memory as long as all of it. */
void pd_plan_touches(pd_plan *plan, const pd_arena *arena) {
    for (size_t i = 0; i < arena->passing_count; i++) arena->passing[i]->touches = arena->passing[i]->first = 0;
    for (size_t i = 0, next; i < plan->count; i = next) {
        next = i + pd_unit_of(&plan->entries[i]);
        touching t = {arena, i, next - 1};
        for (size_t k = i; k < next; k++) pd_entry_pointers(&plan->entries[k], touch, &t);
    }
    for (size_t i = 0; i < arena->passing_count; i++)
        if (arena->passing[i]->moves) arena->passing[i]->last = plan->count;
}

/* ---- The slab ---- */

static pd_life *root_of(pd_life *life) {
    while (life->in) life = life->in;
    return life;
}

/* Whether the launch reads that memory in another order, too. */
static int reads_otherwise(const pd_entry *e, size_t operands, const pd_arena *arena, const pd_life *root) {
    for (size_t o = 0; o + 1 < operands; o++) {
        pd_life *const input = pd_life_at(arena, e->launch.buf[o]);
        if (input && root_of(input) == root && !pd_covers(e, o, input)) return 1;
    }
    return 0;
}

/* Results of elementwise launches take the place of an input that nobody needs any more. */
void pd_plan_in_place(pd_plan *plan, const pd_arena *arena) {
    pd_plan_touches(plan, arena);
    for (size_t i = 0; i < plan->count; i++) {
        pd_entry *const e = &plan->entries[i];
        const size_t operands = pd_operands(e);
        const size_t unit = pd_unit_of(e);
        i += unit - 1;
        if (operands < 2 || unit > 1) continue;
        pd_life *const out = pd_life_at(arena, e->launch.buf[operands - 1]);
        if (!pd_covers(e, operands - 1, out) || out->first != i || out->moves) continue;
        for (size_t o = 0; o + 1 < operands && !out->in; o++) {
            pd_life *const input = pd_life_at(arena, e->launch.buf[o]), *const root = input ? root_of(input) : NULL;
            if (!pd_covers(e, o, input) || input->bytes != out->bytes || root->last != i || root->moves || root == out) continue;
            if (reads_otherwise(e, operands, arena, root)) continue;
            out->in = root;
            root->last = out->last;
        }
    }
}

static int by_size(const void *a, const void *b) {
    const pd_life *const x = *(pd_life *const *)a, *const y = *(pd_life *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The lowest place that nobody else has at the time. `placed`: count lives, by their offset. */
static size_t place_for(const pd_life *life, pd_life *const *placed, size_t count) {
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const pd_life *const other = placed[i];
        if (other->last < life->first || other->first > life->last) continue;
        if (other->offset >= offset + life->room) break;
        if (other->offset + other->room > offset) offset = other->offset + other->room;
    }
    return offset;
}

/* Offsets for all that is touched -> the bytes of the slab. */
static size_t place_all(pd_life **lives, size_t count, pd_life **placed) {
    size_t total = 0, done = 0;
    qsort(lives, count, sizeof(pd_life *), by_size);
    for (size_t i = 0; i < count; i++) {
        pd_life *const life = lives[i];
        if (life->in || (!life->touches && !life->moves)) continue;
        life->room = (life->bytes + (life->bytes >= COLOURED ? COLOUR_STEP : 0) + LINE - 1) / LINE * LINE;
        life->offset = place_for(life, placed, done);
        size_t at = done++;
        for (; at > 0 && placed[at - 1]->offset > life->offset; at--) placed[at] = placed[at - 1];
        placed[at] = life;
        if (life->offset + life->room > total) total = life->offset + life->room;
    }
    return total;
}

static char *place_of(const pd_arena *arena, const pd_life *life) {
    while (life->in) life = life->in;
    return arena->slab + life->offset;
}

static void attach(void *context, void **pointer) {
    const pd_arena *arena = context;
    const pd_life *const life = pd_life_at(arena, *pointer);
    if (life) *pointer = place_of(arena, life) + ((char *)*pointer - life->at);
}

/* Gives back the blocks that nothing is left in; `moved`: also those from which everything has moved. */
static void release_blocks(pd_arena *arena, int moved) {
    for (size_t i = 0; i < arena->block_count; i++) arena->blocks[i].free = 1;
    for (size_t i = 0; i < arena->life_count; i++) {
        const pd_life *const life = &arena->lives[i];
        if (stays(life) || (life->moves && !moved)) arena->blocks[life->block].free = 0;
    }
    for (size_t i = 0; i < arena->block_count; i++) {
        pd_block *const block = &arena->blocks[i];
        if (!block->free || !block->at) continue;
        pd_free(block->at, block->bytes);
        arena->bytes -= block->bytes;
        block->at = NULL;
    }
}

/* What has to be placed: all that goes into the slab, and the workspace of every launch; 0 where there is no memory. */
static int all_lives(const pd_plan *plan, const pd_arena *arena, pd_life ***lives, pd_life **workspaces) {
    const size_t most = arena->passing_count + plan->count;
    *lives = malloc((2 * most + 1) * sizeof(pd_life *));
    *workspaces = calloc(plan->count + 1, sizeof(pd_life));
    if (!*lives || !*workspaces) return 0;
    for (size_t i = 0; i < arena->passing_count; i++) (*lives)[i] = arena->passing[i];
    for (size_t i = 0, next; i < plan->count; i = next) {
        next = i + pd_unit_of(&plan->entries[i]);
        for (size_t k = i; k < next; k++) {
            const size_t bytes = plan->entries[k].workspace;
            (*workspaces)[k] = (pd_life){.bytes = bytes, .first = i, .last = next - 1, .touches = bytes > 0};
            (*lives)[arena->passing_count + k] = &(*workspaces)[k];
        }
    }
    return 1;
}

int pd_plan_pack(pd_plan *plan, pd_arena *arena) {
    const size_t most = arena->passing_count + plan->count;
    pd_life **lives, *workspaces;
    int result = -1;
    if (all_lives(plan, arena, &lives, &workspaces)) {
        arena->slab_bytes = place_all(lives, most, lives + most);
        release_blocks(arena, 0);
        if (!arena->slab_bytes || (arena->slab = pd_alloc_exact(arena->slab_bytes))) result = 0;
    }
    for (size_t i = 0; result == 0 && i < arena->passing_count; i++) {
        const pd_life *const life = arena->passing[i];
        if (life->moves) memcpy(place_of(arena, life), life->was, life->bytes);
    }
    for (size_t i = 0; result == 0 && i < plan->count; i++) {
        pd_entry *const e = &plan->entries[i];
        pd_entry_pointers(e, attach, arena);
        e->launch.workspace = e->workspace ? place_of(arena, &workspaces[i]) : NULL;
    }
    if (result == 0) release_blocks(arena, 1);
    free(lives);
    free(workspaces);
    return result;
}
