/* reads_audit: acquisitions and acts, found in the search index and laid open from the log (common/audit_search.h). */
#include "broker/index.h"
#include "broker/reads.h"
#include "common/audit_search.h"
#include "common/macro.h"
#include <errno.h>

static int entry_at(void *ctx, uint64_t seq, struct segment_entry *ret)
{
        return reading_entry(ctx, seq, ret);
}

static bool add_row(void *ctx, struct bytes row)
{
        return reading_add(ctx, row);
}

static int refuse(struct reading *r, enum refusal code, const char *detail)
{
        r->page.code = code;
        r->page.detail = (char *)detail;
        return 0;
}

int reads_audit(struct reading *r)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *index = NULL;
        const Shuyi__V1__Read *read = r->question->read;
        struct audit_search s = { .scope = r->asker.scope, .ledger = r->snapshot, .state = r->state, .index_db = INDEX_DB, .as_of = r->page.as_of,
                                  .arena = r->arena, .entry = entry_at, .add = add_row, .ctx = r };
        uint8_t next[AUDIT_CURSOR_BYTES];
        bool more = false;
        int f;

        if (!r->asker.known)
                return refuse(r, E_ROLE, "the question must be signed by who asks");
        s.query = message_parse(r->arena, &shuyi__v1__audit_query__descriptor, bytes_of(read->key.data, read->key.len));
        if (!s.query || !audit_query_fits(s.query) || (read->after.len != 0 && read->after.len != AUDIT_CURSOR_BYTES))
                return refuse(r, E_FORM, "key");
        f = index_snapshot(r->broker->index, &index);
        s.index = index;
        if (f == 0)
                f = audit_search_page(&s, bytes_of(read->after.data, read->after.len), &more, next);
        if (f == 0 && more)
                reading_next(r, bytes_of(next, sizeof(next)));
        if (f == -EBADMSG)
                index_doubt(r->broker->index);
        return f;
}
