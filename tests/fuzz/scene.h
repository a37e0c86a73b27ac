/* scene: a market's whole log, and the state as it stood before each of its entries.
 *
 * Made once a process.  A target that applies something takes it back (scene_undo), so inputs do not see each other. */
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

/* What was there before, newest first; in the arena of whoever applies. */
struct scene_undo { struct bytes key, value; bool found; struct scene_undo *before; };

void scene_apply(struct arena *a, struct map_state *m, const struct effect *effects, size_t n, struct scene_undo **undo);
void scene_undo(struct map_state *m, struct scene_undo **undo);
