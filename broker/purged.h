/* purged: the part of the log that lies before a BASE, of which some was purged: what is left of it must still give every
 * signed tree. */
#pragma once
#include "broker/broker.h"
#include "common/base.h"

struct purged {
        uint64_t entries, bodies, inputs;       /* up to the BASE; of them without body, and with nothing but their leaf hash */
        uint64_t heads;                         /* whose tree was found again */
        uint64_t unknown_from;                  /* from this entry on no leaf is known before the BASE; 0: all are */
        char reason[160];                       /* with -EBADMSG */
};

/* `against`: recorded outcomes, for entries that retention has not touched; may be NULL.  `key`: of the log. */
int purged_check(struct broker *b, const struct base *base, const uint8_t key[32], struct store_snapshot *against, struct purged *ret);
