/* silence: see silence.h. */
#include "agent/silence.h"

#include <errno.h>

#include "agent/alarms.h"
#include "agent/flow.h"
#include "agent/inbox.h"
#include "agent/replica.h"
#include "common/exchange/rows.h"

/* The link was away for so long that it explains any silence: time is counted anew. */
static void count_from(struct silence *s, uint64_t max_age_ms, struct wall_time now)
{
        if (s->up_last.ms == 0 || now.ms > s->up_last.ms + max_age_ms)
                s->from = now;
        s->up_last = now;
}

static bool flows(struct rows *rows, const struct digest *grant, const Shuyi__Agent__CursorRow *c)
{
        Shuyi__V1__GrantRow *row = c->cursor && !c->nack ? rows_grant(rows, bytes_digest(grant)) : NULL;

        return row && row->state == GRANT_ACTIVE;
}

static int look_at(struct agent *ag, struct arena *a, const struct digest *grant, const Shuyi__Agent__CursorRow *c, struct wall_time from,
                   uint64_t max_age_ms, struct wall_time now)
{
        struct rows rows = { store_state(ag->store), a, 0 };
        struct wall_time last = { c->last_link_at > from.ms ? c->last_link_at : from.ms };
        char hex[2 * DIGEST_BYTES + 1];
        int r;

        if (!flow_stream_silent(last, now, max_age_ms) || !flows(&rows, grant, c))
                return rows.fault;
        hex_format(bytes_digest(grant), hex);
        r = alarms_raise(ag, a, now, &(struct alarm){ .kind = ALARM_STREAM_SILENT, .about = c->cursor, .detail = hex });
        return r < 0 ? r : 0;
}

int silence_watch(struct silence *s, struct agent *ag, struct arena *a, bool up, struct wall_time now)
{
        struct agent_key prefix = agent_key(AGENT_CURSOR), from = prefix;
        struct replica_terms terms = replica_terms(store_state(ag->store), a);
        Shuyi__Agent__CursorRow *c;
        struct bytes key, value;
        struct digest grant;
        int r = 0;

        if (!up)
                return 0;
        count_from(s, terms.max_age_ms, now);
        while (r == 0 && (r = keep_next(store_state(ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                if (!bytes_copy_exact(bytes_of(key.p + 1, key.n - 1), grant.b, DIGEST_BYTES))
                        return -EBADMSG;
                r = keep_decode(a, value, &shuyi__agent__cursor_row__descriptor, &c);
                r = r < 0 ? r : look_at(ag, a, &grant, c, s->from, terms.max_age_ms, now);
        }
        return r;
}
