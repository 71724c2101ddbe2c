/* The memory of a captured step while it is recorded: blocks are used again as soon as what lay there is gone, as they are
 * in an eager run, and every use is remembered, with the launches between which it lived. */
#include <stdlib.h>

#include "plan.h"

enum { LINE = 64 };

pd_arena *pd_arena_new(void) { return calloc(1, sizeof(pd_arena)); }

void pd_arena_free(pd_arena *arena) {
    if (!arena) return;
    for (size_t i = 0; i < arena->block_count; i++)
        if (arena->blocks[i].at) pd_free(arena->blocks[i].at, arena->blocks[i].bytes);
    free(arena->blocks);
    free(arena->lives);
    free(arena->passing);
    if (arena->slab) pd_free_exact(arena->slab, arena->slab_bytes);
    free(arena);
}

void *pd_grow(void *items, size_t count, size_t *room, size_t size) {
    if (count < *room) return items;
    const size_t larger = *room ? 2 * *room : 64;
    void *moved = realloc(items, larger * size);
    if (moved) *room = larger;
    return moved;
}

/* The free block that fits best, not much larger than asked for, or block_count. */
static size_t free_block(const pd_arena *arena, size_t bytes) {
    size_t best = arena->block_count;
    for (size_t i = 0; i < arena->block_count; i++) {
        const pd_block *b = &arena->blocks[i];
        if (!b->free || b->bytes < bytes || b->bytes > bytes + bytes / 4) continue;
        if (best == arena->block_count || b->bytes < arena->blocks[best].bytes) best = i;
    }
    return best;
}

void *pd_arena_take(pd_arena *arena, size_t bytes, size_t now, int stays) {
    const size_t rounded = bytes < LINE ? LINE : bytes;
    pd_life *const lives = pd_grow(arena->lives, arena->life_count, &arena->life_room, sizeof(pd_life));
    if (!lives) return NULL;
    arena->lives = lives;
    size_t block = free_block(arena, rounded);
    if (block == arena->block_count) {
        pd_block *const blocks = pd_grow(arena->blocks, block, &arena->block_room, sizeof(pd_block));
        if (!blocks) return NULL;
        arena->blocks = blocks;
        void *at = pd_alloc(rounded);
        if (!at) return NULL;
        arena->blocks[arena->block_count++] = (pd_block){at, rounded, 0, 0};
        arena->bytes += rounded;
    }
    pd_block *const b = &arena->blocks[block];
    b->free = 0, b->life = arena->life_count;
    arena->lives[arena->life_count++] = (pd_life){.at = b->at, .block = block, .bytes = bytes, .born = now, .died = PD_ALIVE, .stays = stays};
    return b->at;
}

void pd_arena_give(pd_arena *arena, const void *at, size_t now) {
    for (size_t i = 0; i < arena->block_count; i++) {
        pd_block *const b = &arena->blocks[i];
        if (b->at != at) continue;
        pd_life *const life = &arena->lives[b->life];
        if (life->stays || life->died != PD_ALIVE) return;
        life->died = now;
        b->free = 1;
        return;
    }
}

void pd_arena_move(pd_arena *arena, const void *at) {
    for (size_t i = 0; i < arena->life_count; i++) {
        pd_life *const life = &arena->lives[i];
        if (life->at == at && life->died == PD_ALIVE && !life->stays) life->moves = 1, life->was = at;
    }
}

void *pd_arena_moved(const pd_arena *arena, const void *at) {
    for (size_t i = 0; i < arena->life_count; i++) {
        const pd_life *const life = &arena->lives[i];
        if (life->moves && life->was == at) return arena->slab + life->offset;
    }
    return NULL;
}

int pd_arena_meets(const pd_arena *arena, const void *at, size_t bytes) {
    const uintptr_t first = (uintptr_t)at, last = first + bytes;
    for (size_t i = 0; i < arena->block_count; i++) {
        const uintptr_t block = (uintptr_t)arena->blocks[i].at;
        if (block && first < block + arena->blocks[i].bytes && block < last) return 1;
    }
    return arena->slab && first < (uintptr_t)arena->slab + arena->slab_bytes && (uintptr_t)arena->slab < last;
}

size_t pd_arena_bytes(const pd_arena *arena) { return arena->bytes + arena->slab_bytes; }

size_t pd_arena_count(const pd_arena *arena) { return arena->block_count; }

const void *pd_arena_block(const pd_arena *arena, size_t index, size_t *bytes) {
    *bytes = arena->blocks[index].bytes;
    return arena->blocks[index].at;
}
