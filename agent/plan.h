/* plan: which views this agent serves now, and who may be in the audience of each.
 *
 * From the grants of the replica that name this agent and pass grant_check_use(), the SUBSCRIBEs that came by mail, and the seal
 * keys published.  Making one also marks the views of which no grant is left: they hold no record back any more. */
#pragma once
#include "agent/agent.h"
#include "agent/replica.h"
#include "agent/view.h"

struct planned {
        struct digest stream;
        struct view_group group;
        Shuyi__V1__Entry *entry;                /* of the view's version */
        bool frozen;                            /* as the replica has it: heads go on, data wait */
        bool personal;                          /* items above INTERNAL: fresher trust is asked for */
        struct mono_time waiting_since;         /* since when a record waits for this view; 0 none */
        bool again;                             /* trust has changed: what was refused for a while may be tried now */
};

struct plan {
        struct arena *arena;                    /* holds all of it */
        struct planned *views;
        size_t views_n;
        struct view_member *members;
        size_t members_n;
        struct view_group *groups;
        struct replica_terms terms;
        struct wall_time at;
};

/* Makes a new one, with the waiting times of `old`.  Writer, in a group.  *ret is for plan_fini; untouched on a fault. */
int plan_make(struct agent *ag, struct wall_time now, const struct plan *old, struct plan *ret);
void plan_fini(struct plan *p);                 /* {0} is fine */
