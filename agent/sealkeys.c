/* sealkeys: see sealkeys.h. */
#include "agent/sealkeys.h"

#include <errno.h>
#include <sodium.h>

#include "agent/acts.h"
#include "agent/replica.h"
#include "common/log.h"

static struct agent_key seal_key(struct bytes public_key)
{
        return agent_key_bytes(agent_key(AGENT_SEAL_KEY), public_key);
}

bool sealkeys_secret(struct agent *ag, struct state s, struct arena *a, struct bytes public_key, uint8_t ret[32])
{
        Shuyi__Agent__SealKeyRow *row;
        struct agent_key k = seal_key(public_key);
        struct bytes secret;

        if (public_key.n != 32)
                return false;
        if (memcmp(public_key.p, ag->self.seal_key, 32) == 0) {
                memcpy(ret, secret_peek(ag->self.keys.seal), 32);
                return true;
        }
        if (keep_get(s, a, &k, &shuyi__agent__seal_key_row__descriptor, &row) <= 0)
                return false;
        if (!vault_unseal(ag->vault, a, public_key, keep_bytes(row->secret), &secret) || secret.n != 32)
                return false;
        memcpy(ret, secret.p, 32);
        sodium_memzero((uint8_t *)secret.p, secret.n);
        return true;
}

/* Is one of ours on its way or published, with time enough left? */
static int enough(struct agent *ag, struct arena *a, struct wall_time now, bool *ret)
{
        struct agent_key prefix = agent_key(AGENT_SEAL_KEY), from = prefix;
        Shuyi__Agent__SealKeyRow *row;
        struct bytes key, value;
        int r;

        *ret = false;
        while ((r = keep_next(store_state(ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__seal_key_row__descriptor, &row);
                if (r < 0)
                        return r;
                if (row->not_after > now.ms + SEALKEYS_RENEW_MS)
                        *ret = true;
        }
        return r;
}

/* The key file's own pair is published first; every later one is new. */
static int make(struct agent *ag, struct arena *a, bool first, Shuyi__Agent__SealKeyRow *row)
{
        uint8_t *public_key = arena_alloc(a, 32), secret[32];
        struct bytes sealed;

        if (!public_key)
                return -ENOMEM;
        if (first)
                memcpy(secret, secret_peek(ag->self.keys.seal), 32);
        else
                randombytes_buf(secret, 32);
        crypto_scalarmult_base(public_key, secret);
        sealed = vault_seal_in(ag->vault, a, bytes_of(public_key, 32), bytes_of(secret, 32));
        sodium_memzero(secret, sizeof(secret));
        row->public_key = keep_binary(bytes_of(public_key, 32));
        row->secret = keep_binary(sealed);
        return sealed.p ? 0 : -ENOMEM;
}

static int publish(struct agent *ag, struct arena *a, struct wall_time now)
{
        Shuyi__Agent__SealKeyRow row = SHUYI__AGENT__SEAL_KEY_ROW__INIT;
        Shuyi__V1__SealKeyBody body = SHUYI__V1__SEAL_KEY_BODY__INIT;
        Shuyi__V1__Intent in = SHUYI__V1__INTENT__INIT;
        struct agent_key prefix = agent_key(AGENT_SEAL_KEY), k;
        struct bytes key, value;
        struct digest digest;
        int r = keep_next(store_state(ag->store), &prefix, NULL, &key, &value);

        if (r >= 0)
                r = make(ag, a, r == 0, &row);
        if (r < 0)
                return r;
        row.not_after = now.ms + SEALKEYS_LIFE_MS;
        body.seal_key = row.public_key;
        body.not_after = row.not_after;
        in.kind = KIND_SEAL_KEY;
        r = acts_make(ag, a, &in, &body.base, now, true, &digest);
        if (r < 0)
                return r;
        row.digest = keep_binary(bytes_digest(&digest));
        k = seal_key(keep_bytes(row.public_key));
        log_event(LOG_NOTICE, "seal_key.published", log_hex("seal_key", keep_bytes(row.public_key)), log_u64("not_after", row.not_after));
        return keep_put(ag->store, a, &k, &row.base);
}

/* Only once the center knows us: before that the act would be refused for good. */
int sealkeys_run(struct agent *ag, struct arena *a, struct wall_time now)
{
        struct rows rows = { store_state(ag->store), a, 0 };
        bool is_enough = false;
        int r;

        if (!rows_agent(&rows, bytes_id(&ag->self.agent)))
                return rows.fault;
        r = enough(ag, a, now, &is_enough);
        return r < 0 || is_enough ? r : publish(ag, a, now);
}
