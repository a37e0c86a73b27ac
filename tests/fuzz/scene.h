/* scene: a market's whole log, and the state as it stood before each of its entries.
 *
 * Made once a process.  What a target does it does to a copy of a state, so inputs do not see each other. */
#pragma once
#include "tests/fuzz/edit_message.h"
#include "tests/lib/market.h"

struct scene {
        const struct city_entry *entry;         /* the log: `n` entries */
        struct map_state **before;              /* n + 1 states */
        size_t n;
        struct vocabulary words;                /* of all of them, and their digests */
        const Shuyi__V1__Entry *open_entry, *conditional_entry;
        struct market *market;                  /* owns the log */
        struct arena *arena;                    /* of the words */
};

const struct scene *scene_get(void);
/* A state with the same rows; map_state_free() it. */
struct map_state *scene_copy(const struct map_state *m);
