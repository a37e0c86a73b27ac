/* audit_search: pages of acquisitions or acts that answer a question, for who may see them.
 *
 * The broker answers READ_AUDIT with it from its log and index, an auditor's mirror its own searches: the index names the
 * entries, each is read and laid open (audit.h).  One criterion is walked, the others are looked up entry by entry; the
 * work of a page is bounded, and a page may be empty and not the last.  One thread. */
#pragma once
#include "common/audit.h"
#include "common/fold.h"
#include "common/search.h"

#define AUDIT_CURSOR_BYTES 16                   /* seq of the entry, link within its receipt */

/* Who asks: exactly one is set (REGULATIONS 3.5). */
struct audit_scope {
        bool all;                               /* an AUDIT_OFFICER of the authority; the owner of a mirror */
        const char *department;                 /* its DATA_OFFICER: what it is a party of */
        struct bytes person;                    /* a USER or APPROVER: in what he or she took part */
};

struct audit_search {
        const Shuyi__V1__AuditQuery *query;     /* audit_query_fits() */
        struct audit_scope scope;
        struct store_snapshot *ledger;          /* state and outcomes */
        struct state state;                     /* of it */
        struct store_snapshot *index;
        unsigned index_db;
        uint64_t as_of;                         /* the last entry that may be shown */
        struct arena *arena;                    /* rows of the page */
        /* An entry, borrowed until the next call.  1, 0: no longer kept, or a fault. */
        int (*entry)(void *ctx, uint64_t seq, struct segment_entry *ret);
        /* Takes a packed row; false: the page is full. */
        bool (*add)(void *ctx, struct bytes row);
        void *ctx;
};

/* Is it a question that can be answered? */
bool audit_query_fits(const Shuyi__V1__AuditQuery *q);
/* `after`: {0} or the cursor of the page before.  *ret_more: `ret_next` says where to go on.  0 or a fault. */
int audit_search_page(const struct audit_search *s, struct bytes after, bool *ret_more, uint8_t ret_next[AUDIT_CURSOR_BYTES]);
