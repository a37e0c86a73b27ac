/* tidy: what nobody can use any more goes: drafts that have expired, dead letters older than outbox.keep_dead_letters. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"

#define TIDY_MS 60000                           /* between two runs */

/* A bounded number; answers how many went.  Writer, in a group. */
int tidy_run(struct agent *ag, struct arena *a, struct wall_time now);
/* How many rows lie under a table's byte. */
int tidy_count(struct state s, enum agent_table table, uint64_t *ret);
