/* tidy: see tidy.h. */
#include "agent/tidy.h"

#include "common/envelope.h"
#include "common/log.h"

#define TIDY_MAX 256

/* Dead letters lie in the order of their times. */
static int tidy_dead(struct agent *ag, uint64_t before)
{
        struct agent_key prefix = agent_key(AGENT_DEAD), k;
        struct bytes key, value;
        int gone = 0, r = 1;

        for (; gone < TIDY_MAX; gone++) {
                r = keep_next(store_state(ag->store), &prefix, NULL, &key, &value);
                if (r <= 0 || key.n != 1 + 8 + DIGEST_BYTES || get_be64(key.p + 1) >= before)
                        break;
                k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
                r = keep_del(ag->store, &k);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : gone;
}

static bool expired(struct arena *a, struct bytes wire, struct wall_time now)
{
        const struct claim *c;

        return envelope_parse(a, wire, &c) == ACCEPTED && c->intent->expires_at && c->intent->expires_at <= now.ms;
}

static int tidy_drafts(struct agent *ag, struct arena *a, struct wall_time now)
{
        struct agent_key prefix = agent_key(AGENT_DRAFT), from = prefix, k;
        struct bytes key, value;
        int gone = 0, r;

        while (gone < TIDY_MAX && (r = keep_next(store_state(ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
                if (!expired(a, value, now))
                        continue;
                log_event(LOG_NOTICE, "draft.expired", log_hex("digest", bytes_of(k.b + 1, k.n - 1)));
                r = keep_del(ag->store, &k);
                if (r < 0)
                        return r;
                gone++;
        }
        return gone;
}

int tidy_run(struct agent *ag, struct arena *a, struct wall_time now)
{
        uint64_t keep = (uint64_t)config_int(ag->config, S_KEEP_DEAD);
        int dead = tidy_dead(ag, now.ms > keep ? now.ms - keep : 0), drafts = dead < 0 ? dead : tidy_drafts(ag, a, now);

        return drafts < 0 ? drafts : dead + drafts;
}

int tidy_count(struct state s, enum agent_table table, uint64_t *ret)
{
        struct agent_key prefix = agent_key(table), from = prefix;
        struct bytes key, value;
        int r;

        *ret = 0;
        while ((r = keep_next(s, &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                ++*ret;
        }
        return r;
}
