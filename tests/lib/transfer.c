/* transfer: see transfer.h. */
#include "tests/lib/transfer.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/view.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"

/* ---- two agents over one city ---- */

static void be(struct agent *ag, const struct party *p, uint8_t vault_byte)
{
        uint8_t key[32] = { vault_byte }, seal[32] = { vault_byte, 7 };

        ag->self.agent = p->id;
        snprintf(ag->self.domain, sizeof(ag->self.domain), "%s", CITY_DOMAIN);
        snprintf(ag->self.department, sizeof(ag->self.department), "%s", p->department);
        ag->self.credential = p->credential;
        ag->self.keys.sign = secret_copy(bytes_of(p->sign_secret, 64));
        ag->self.keys.seal = secret_copy(bytes_of(seal, 32));
        crypto_scalarmult_base(ag->self.seal_key, seal);
        assert_int_equal(vault_new(key, &ag->vault), 0);
}

static void be_not(struct agent *ag)
{
        config_free(ag->config);
        metrics_free(ag->metrics);
        secret_free(ag->self.keys.sign);
        secret_free(ag->self.keys.seal);
        vault_close(ag->vault);
        store_close(ag->store);
}

/* The consumer's replica: here simply all rows of the city, and a head of this moment. */
void transfer_replicate(struct transfer *t, uint64_t head_at)
{
        struct state from = map_state_ops(t->m->c->state);
        struct bytes none = { 0 }, at = none, key, value;
        Shuyi__Agent__ReplicaRow row = SHUYI__AGENT__REPLICA_ROW__INIT;
        uint8_t chain[DIGEST_BYTES] = { 1 };
        struct agent_key k;

        assert_int_equal(store_begin(t->consumer.store), 0);
        assert_int_equal(store_group_begin(t->consumer.store), 0);
        while (from.ops->next(from.ctx, none, at, &key, &value) > 0) {
                assert_true(store_put(t->consumer.store, STORE_STATE, key, value) >= 0);
                k = keep_after(key);
                at = agent_key_get(&k);
        }
        row.trust_seq = 1;
        row.head_at = head_at;
        row.chain = keep_binary(bytes_of(chain, sizeof(chain)));
        assert_true(replica_put(t->consumer.store, t->arena, &row) >= 0);
        assert_int_equal(store_group_commit(t->consumer.store), 0);
}

static void make_file(const char *dir, const char *name)
{
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
}

/* Settings as their table has them, and counters that nobody reads. */
static void configure(struct agent *ag, const char *dir)
{
        static const char text[] = "state_dir: state\nkeys_file: keys\nwelcome_file: welcome\n";
        struct config *c = NULL;
        char path[300];

        make_file(dir, "keys");
        make_file(dir, "welcome");
        snprintf(path, sizeof(path), "%s/agent.yaml", dir);
        assert_int_equal(config_parse(text, strlen(text), path, settings_keys, S_COUNT, &c, NULL), 0);
        ag->config = c;
        ag->metrics = metrics_new(agent_metric_rows, M_COUNT);
        ag->block = metrics_block_new(ag->metrics);
}

static void publish_seal_key(struct transfer *t)
{
        Shuyi__V1__SealKeyBody body = SHUYI__V1__SEAL_KEY_BODY__INIT;

        body.seal_key = keep_binary(bytes_of(t->consumer.self.seal_key, 32));
        body.not_after = t->m->c->now.ms + 30 * DAY_MS;
        city_must(t->m->c, &(struct city_act){ .kind = KIND_SEAL_KEY, .body = &body.base, .by = { { t->m->health_agent, ROLE_AGENT } } });
}

struct transfer *transfer_new(void)
{
        struct transfer *t = calloc(1, sizeof(*t));
        struct store_options o = { .map_bytes = 64 << 20, .allow_volatile = true };
        struct city_result got;

        temp_dir_make(t->dir);
        o.dir = t->dir;
        t->arena = arena_new(64 << 20);
        t->m = market_new();
        be(&t->provider, t->m->civil_agent, 1);
        be(&t->consumer, t->m->health_agent, 2);
        configure(&t->consumer, t->dir);
        assert_int_equal(store_open(&o, &t->consumer.store), 0);
        publish_seal_key(t);
        t->resource = market_publish(t->m, market_open_entry(t->m));
        got = market_get(t->m, market_ask(t->m, t->resource));
        assert_refusal(got.code, ACCEPTED);
        t->grant = got.digest;
        assert_refusal(market_subscribe(t->m, &t->grant).code, ACCEPTED);
        t->stream = market_stream_of(t->m, &t->grant).id;
        t->provider_credential = t->m->civil_agent->credential;
        shuyi__agent__view_row__init(&t->view);
        shuyi__agent__cursor_row__init(&t->cursor);
        return t;
}

void transfer_free(struct transfer *t)
{
        store_abort(t->consumer.store);
        be_not(&t->provider);
        be_not(&t->consumer);
        market_free(t->m);
        arena_free(t->arena);
        temp_dir_remove(t->dir);
        free(t);
}

void transfer_freep(struct transfer **t)
{
        transfer_free(*t);
}

/* ---- links ---- */

static struct chain chain_of(struct transfer *t)
{
        struct rows rows = { map_state_ops(t->m->c->state), t->arena, 0 };
        Shuyi__V1__GrantRow *g = market_grant(t->m, &t->grant);

        t->view.view = g->view;
        t->view.resource = g->resource;
        t->view.version = g->version;
        t->view.n_items = g->n_items;
        t->view.items = g->items;
        return (struct chain){ .ag = &t->provider, .arena = t->arena, .now = t->m->c->now, .stream = t->stream, .view = &t->view,
                               .entry = rows_version(&rows, t->resource, 1)->entry, .credential = &t->provider_credential };
}

/* What the center would hand to the consumer. */
Shuyi__Agent__PendingRow transfer_link(struct transfer *t, const Shuyi__Agent__SealedRow *sent)
{
        Shuyi__Agent__PendingRow link = SHUYI__AGENT__PENDING_ROW__INIT;

        link.envelope = sent->envelope;
        link.stream_seq = sent->stream_seq;
        link.accepted_at = t->m->c->now.ms;
        return link;
}

Shuyi__Agent__PendingRow transfer_epoch_link(struct transfer *t, const Shuyi__Agent__SealedRow *sent)
{
        Shuyi__Agent__PendingRow link = transfer_link(t, sent);
        const struct claim *c;
        const Shuyi__V1__ViewEpochBody *body;

        assert_refusal(envelope_parse(t->arena, keep_bytes(sent->envelope), &c), ACCEPTED);
        body = (const Shuyi__V1__ViewEpochBody *)c->open_body;
        assert_int_equal(body->n_rows, 1);
        link.envelope = keep_binary(envelope_strip(t->arena, keep_bytes(sent->envelope)));
        link.row = keep_binary(message_pack(t->arena, &body->rows[0]->base));
        link.row_count = 1;
        return link;
}

Shuyi__Agent__SealedRow transfer_send_epoch(struct transfer *t)
{
        struct chain c = chain_of(t);
        struct view_member m = { .grant = t->grant, .row = market_grant(t->m, &t->grant) };
        struct view_group g = { &m, 1 };
        Shuyi__Agent__SealedRow sent;
        struct city_result r;

        memcpy(m.seal_key, t->consumer.self.seal_key, 32);
        assert_int_equal(chain_epoch(&c, &g, &sent), 0);
        r = city_put(t->m->c, keep_bytes(sent.envelope), t->m->civil_agent);
        if (r.code != ACCEPTED)
                fail_msg("%s %s", refusal_text(r.code)->code, r.detail);
        return sent;
}

struct bytes transfer_record(struct transfer *t, const uint32_t *items, size_t n, const char *name)
{
        Shuyi__V1__Record r = SHUYI__V1__RECORD__INIT;
        Shuyi__V1__Value *v[4];

        for (size_t i = 0; i < n; i++) {
                v[i] = ARENA_NEW(t->arena, Shuyi__V1__Value);
                shuyi__v1__value__init(v[i]);
                v[i]->item = items[i];
                v[i]->text = (char *)(items[i] == 1 ? "442000" : items[i] == 2 ? name : "44");
        }
        r.op = OP_UPSERT;
        r.key = (char *)"442000";
        r.changed_at = t->m->c->now.ms;
        r.taken_at = t->m->c->now.ms;
        r.values = v;
        r.n_values = n;
        return message_pack(t->arena, &r.base);
}

Shuyi__Agent__SealedRow transfer_send_update(struct transfer *t, struct bytes record)
{
        struct chain c = chain_of(t);
        Shuyi__Agent__SealedRow sent;
        struct city_result r;

        assert_int_equal(chain_update(&c, &record, 1, t->m->c->now.ms, &sent), 0);
        r = city_put(t->m->c, keep_bytes(sent.envelope), t->m->civil_agent);
        if (r.code != ACCEPTED)
                fail_msg("%s %s", refusal_text(r.code)->code, r.detail);
        return sent;
}
