/* Arguments of a captured step, read where the caller has them: the launches are told the address before a run. */
#include <stdlib.h>

#include "plan.h"

static void note_site(void *context, void **pointer) {
    pd_input *input = context;
    if (!pd_within(*pointer, input->at, input->bytes)) return;
    if (input->sites) input->sites[input->count] = (pd_site){pointer, (const char *)*pointer - input->at};
    input->count++;
}

static size_t note_sites(pd_plan *plan, pd_input *input) {
    input->count = 0;
    for (size_t i = 0; i < plan->count; i++) pd_entry_pointers(&plan->entries[i], note_site, input);
    return input->count;
}

int pd_plan_input(pd_plan *plan, const void *at, size_t bytes) {
    pd_input *moved = realloc(plan->inputs, (plan->input_count + 1) * sizeof(pd_input));
    if (!moved) return -1;
    plan->inputs = moved;
    pd_input *const input = &moved[plan->input_count];
    *input = (pd_input){.at = at, .bytes = bytes};
    pd_site *sites = malloc((note_sites(plan, input) + 1) * sizeof(pd_site));
    if (!sites) return -1;
    input->sites = sites;
    note_sites(plan, input);
    plan->input_count++;
    return 0;
}

void pd_plan_read(pd_plan *plan, size_t index, const void *at) {
    pd_input *const input = &plan->inputs[index];
    if (input->at == at) return;
    input->at = at;
    for (size_t i = 0; i < input->count; i++) *input->sites[i].pointer = (char *)at + input->sites[i].offset;
}
