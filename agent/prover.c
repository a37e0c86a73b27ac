/* prover: see prover.h.  What waits, what is asked next, and what becomes of it; the answers are read in prover_answers.c. */
#include "agent/prover.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/alarms.h"
#include "agent/flow.h"
#include "agent/outbox.h"
#include "agent/prover_internal.h"
#include "agent/replica.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/receipt.h"
#include "common/statekeys.h"
#include "proto/audit.pb-c.h"

#define RELEASE_PERMILLE 500                    /* of the store: beyond it what was sent is not held longer */
#define RELEASE_AT_ONCE 1024

static struct agent_key held_key(uint64_t number)
{
        return agent_key_u64(agent_key(AGENT_HELD), number);
}

/* ---- notes ---- */

/* The one in force, once its record is here; never a lower version than the one that was handed over. */
static const Shuyi__V1__Anchor *anchor_now(struct agent *ag, struct arena *a)
{
        const Shuyi__V1__Anchor *replicated = statekeys_anchor(store_state(ag->store), a);

        return replicated && replicated->version > ag->self.anchor->version ? replicated : ag->self.anchor;
}

const char *prover_check_note(struct agent *ag, struct arena *a, const char *note, struct checkpoint *ret)
{
        const Shuyi__V1__Anchor *anchor = anchor_now(ag, a);
        struct checkpoint_quorum seen_by;
        const char *why = checkpoint_verify(a, note, ag->self.origin, ag->self.log_key, ret);

        if (!why)
                why = checkpoint_quorum(note, anchor, &seen_by);
        if (why)
                return why;
        return seen_by.count < anchor->witness_quorum ? "fewer cosignatures than the anchor's quorum" : NULL;
}

/* ---- the row of the verified head ---- */

static int load_head(struct prover *p, struct arena *a)
{
        struct agent_key k = agent_key(AGENT_PROOF);
        Shuyi__Agent__ProofRow *row;
        struct head h = { 0 };
        int r = keep_get(store_state(p->l->ag->store), a, &k, &shuyi__agent__proof_row__descriptor, &row);

        if (r <= 0)
                return r;
        if (!bytes_copy_exact(keep_bytes(row->root), h.root.b, DIGEST_BYTES))
                return -EBADMSG;
        h.epoch = row->epoch;
        h.size = row->size;
        p->heads.verified = h;
        p->verified_at.ms = row->at;
        p->note = strdup(row->note);
        return p->note ? 0 : -ENOMEM;
}

static int put_head(struct agent *ag, struct arena *a, const struct head *h, const char *note, uint64_t at)
{
        Shuyi__Agent__ProofRow row = SHUYI__AGENT__PROOF_ROW__INIT;
        struct agent_key k = agent_key(AGENT_PROOF);

        row.epoch = h->epoch;
        row.size = h->size;
        row.root = keep_binary(bytes_digest(&h->root));
        row.note = (char *)note;
        row.at = at;
        return keep_put(ag->store, a, &k, &row.base);
}

struct verified_item { const struct head *head; const char *note; };

static int run_put_head(struct link *l, struct arena *a, const void *item)
{
        const struct verified_item *i = item;

        return put_head(l->ag, a, i->head, i->note, l->now.ms);
}

void prover_verified(struct prover *p, const struct head *h, const char *note)
{
        struct verified_item item = { h, note };
        char *copy = strdup(note);

        if (!copy || link_item(p->l, run_put_head, &item) < 0) {
                free(copy);
                return;                         /* asked again */
        }
        free(p->note);
        p->note = copy;
        p->verified_at = p->l->now;
        if (p->heads.verified.size != h->size || p->heads.verified.epoch != h->epoch)
                heads_advance(&p->heads, h);
        p->l->ag->seen = p->heads.verified;
        prover_tell(p);
}

/* ---- what is held ---- */

static int load_held(struct prover *p, struct arena *a)
{
        struct agent_key prefix = agent_key(AGENT_HELD), from = prefix;
        Shuyi__Agent__HeldRow *row;
        struct bytes key, value;
        int r;

        p->next_number = 1;
        while ((r = keep_next(store_state(p->l->ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                arena_reset(a);
                r = keep_decode(a, value, &shuyi__agent__held_row__descriptor, &row);
                if (r < 0)
                        return r;
                p->next_number = get_be64(key.p + 1) + 1;
                p->waiting += row->proved ? 0 : row->rows;
        }
        return r;
}

int prover_hold(struct prover *p, struct arena *a, const Shuyi__V1__Receipt *receipt, struct bytes signed_receipt)
{
        Shuyi__Agent__HeldRow row = SHUYI__AGENT__HELD_ROW__INIT;
        struct agent_key k = held_key(p->next_number);
        int r;

        row.first_seq = UINT64_MAX;
        for (size_t i = 0; i < receipt->n_rows; i++) {
                uint64_t seq = receipt->rows[i]->seq;

                if (seq == 0)
                        continue;
                row.rows++;
                row.first_seq = seq < row.first_seq ? seq : row.first_seq;
                row.last_seq = seq > row.last_seq ? seq : row.last_seq;
        }
        if (row.first_seq <= p->heads.verified.size)
                p->collected_at = 0;
        if (receipt->stable_seq > p->stable)
                p->stable = receipt->stable_seq;
        row.receipt = keep_binary(signed_receipt);
        row.at = p->l->now.ms;
        r = keep_put(p->l->ag->store, a, &k, &row.base);
        if (r < 0)
                return r;
        p->next_number++;
        p->waiting += row.rows;
        return 0;
}

const Shuyi__V1__Receipt *prover_receipt_of(struct arena *a, const Shuyi__Agent__HeldRow *row)
{
        const Shuyi__V1__SignedReceipt *s = message_parse(a, &shuyi__v1__signed_receipt__descriptor, keep_bytes(row->receipt));

        return s ? message_parse(a, &shuyi__v1__receipt__descriptor, keep_bytes(s->receipt)) : NULL;
}

/* What was sent under a receipt goes. */
static int drop_sent(struct agent *ag, const Shuyi__Agent__OutboxRow *box, const Shuyi__V1__Receipt *receipt)
{
        int r = 0;

        for (size_t i = 0; i < receipt->n_rows && r >= 0 && receipt->outbox_epoch == box->epoch; i++)
                if (receipt->rows[i]->seq)
                        r = outbox_drop(ag, box, receipt->rows[i]->lane, receipt->rows[i]->outbox_seq);
        return r < 0 ? r : 0;
}

struct drop { struct prover *p; uint64_t from, to; bool proved; };

/* A receipt whose leaves are proved: all of it goes, or once stable_seq has passed it. */
static int drop_one(const struct drop *d, struct arena *a, const Shuyi__Agent__OutboxRow *box, const struct agent_key *k, Shuyi__Agent__HeldRow *row)
{
        struct agent *ag = d->p->l->ag;
        const Shuyi__V1__Receipt *receipt = prover_receipt_of(a, row);
        int r;

        if (!receipt)
                return arena_failed(a) ? -ENOMEM : -EBADMSG;
        if (d->proved && row->last_seq > d->p->stable) {
                if (row->proved)
                        return 0;
                d->p->waiting -= row->rows;
                row->proved = true;
                return keep_put(ag->store, a, k, &row->base);
        }
        r = drop_sent(ag, box, receipt);
        if (r < 0 || !d->proved)
                return r;
        d->p->waiting -= row->proved ? 0 : row->rows;
        return keep_del(ag->store, k);
}

static int run_drop(struct link *l, struct arena *a, const void *item)
{
        const struct drop *d = item;
        struct agent_key prefix = agent_key(AGENT_HELD), from = held_key(d->from), k;
        Shuyi__Agent__OutboxRow *box;
        Shuyi__Agent__HeldRow *row;
        struct bytes key, value;
        int r = outbox_get(store_state(l->ag->store), a, &box);

        while (r >= 0 && (r = keep_next(store_state(l->ag->store), &prefix, &from, &key, &value)) > 0 && get_be64(key.p + 1) <= d->to) {
                from = keep_after(key);
                k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
                r = keep_decode(a, value, &shuyi__agent__held_row__descriptor, &row);
                if (r >= 0)
                        r = drop_one(d, a, box, &k, row);
        }
        return r < 0 ? r : 0;
}

void prover_drop(struct prover *p, uint64_t from, uint64_t to)
{
        struct drop d = { p, from, to, true };
        int r = link_item(p->l, run_drop, &d);

        if (r < 0)
                log_event(LOG_ERR, "prover.drop", log_errno("fault", r));
}

/* Short of room: what was sent goes early; the signed receipt stays. */
static void release(struct prover *p)
{
        struct drop d = { p, p->released + 1, p->released + RELEASE_AT_ONCE, false };
        struct store_room room;

        if (p->waiting == 0 || store_room(p->l->ag->store, &room) < 0 || room.permille <= RELEASE_PERMILLE || d.from >= p->next_number)
                return;
        d.to = d.to < p->next_number ? d.to : p->next_number - 1;
        if (link_item(p->l, run_drop, &d) == 0)
                p->released = d.to;
}

/* ---- collecting leaves ---- */

static int add_leaves(struct prover *p, struct arena *a, const Shuyi__Agent__HeldRow *row)
{
        const Shuyi__V1__Receipt *receipt = prover_receipt_of(a, row);

        if (!receipt)
                return arena_failed(a) ? -ENOMEM : -EBADMSG;
        for (size_t i = 0; i < receipt->n_rows && p->leaves_n < PROVER_LEAVES_MAX; i++) {
                struct proof_leaf *leaf = &p->leaves[p->leaves_n];

                if (receipt->rows[i]->seq == 0 || !bytes_copy_exact(keep_bytes(receipt->rows[i]->leaf_hash), leaf->hash.b, DIGEST_BYTES))
                        continue;
                leaf->seq = receipt->rows[i]->seq;
                p->leaves_n++;
        }
        return 0;
}

/* Receipts from the first on, as far as the verified head goes. */
static int run_collect(struct link *l, struct arena *a, const void *item)
{
        struct prover *p = l->prover;
        struct agent_key prefix = agent_key(AGENT_HELD), from = prefix;
        Shuyi__Agent__HeldRow *row;
        struct bytes key, value;
        int r;

        (void)item;
        while ((r = keep_next(store_state(l->ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__held_row__descriptor, &row);
                if (r < 0)
                        return r;
                if (row->proved && row->last_seq > p->stable)
                        continue;
                if (row->last_seq > p->heads.verified.size || p->leaves_n + row->rows > PROVER_LEAVES_MAX)
                        break;
                p->round_from = p->round_from ? p->round_from : get_be64(key.p + 1);
                p->round_to = get_be64(key.p + 1);
                if (!row->proved)
                        r = add_leaves(p, a, row);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

void prover_end_round(struct prover *p)
{
        free(TAKE(p->leaves));
        free(TAKE(p->scratch));
        p->leaves_n = p->done = 0;
        p->round_from = p->round_to = 0;
        p->singly = false;
}

/* One seq, two receipted leaves: no log can hold that. */
static void tell_double(struct prover *p, uint64_t seq)
{
        prover_tell_receipt(p, ALARM_RECEIPT_WRONG, seq, "two receipts give one seq two leaf hashes");
}

static bool collect(struct prover *p)
{
        uint64_t seq = 0;

        if (p->waiting == 0 || p->heads.verified.size == 0 || p->collected_at == p->heads.verified.size)
                return false;
        p->leaves = calloc(PROVER_LEAVES_MAX, sizeof(*p->leaves));
        p->scratch = calloc(PROVER_LEAVES_MAX, sizeof(*p->scratch));
        if (!p->leaves || !p->scratch || link_item(p->l, run_collect, NULL) < 0 || p->round_to == 0) {
                prover_end_round(p);
                p->collected_at = p->heads.verified.size;
                return false;
        }
        if (!proof_sort(p->leaves, &p->leaves_n, &seq))
                tell_double(p, seq);
        if (p->leaves_n == 0) {                 /* proved before, and stable by now */
                prover_drop(p, p->round_from, p->round_to);
                prover_end_round(p);
                return false;
        }
        return true;
}

/* ---- asking ---- */

static void ask(struct prover *p, enum prover_question what, uint32_t read, const ProtobufCMessage *query)
{
        size_t n = query ? protobuf_c_message_get_packed_size(query) : 0;

        if (n > sizeof(p->key))
                return;
        if (query)
                protobuf_c_message_pack(query, p->key);
        link_read_init(&p->read);
        p->read.what = read;
        p->read.key = bytes_of(p->key, n);
        p->read.answered = prover_answered;
        if (link_ask(p->l, &p->read) < 0)
                return;
        p->asking = what;
        metrics_inc(p->l->ag->block, M_ASKED, 0);
}

static void ask_consistency(struct prover *p, enum prover_question what, uint64_t first, uint64_t second)
{
        Shuyi__V1__ConsistencyQuery q = SHUYI__V1__CONSISTENCY_QUERY__INIT;

        q.first = first;
        q.second = second;
        ask(p, what, READ_CONSISTENCY, &q.base);
}

static void ask_leaves(struct prover *p)
{
        Shuyi__V1__ProofQuery q = SHUYI__V1__PROOF_QUERY__INIT;
        uint64_t seqs[PROOF_ASK_MAX];

        q.size = p->heads.verified.size;
        q.seqs = seqs;
        p->asked_n = proof_ask(p->leaves + p->done, p->leaves_n - p->done, p->singly, seqs, &q.n_seqs);
        ask(p, PROVER_LEAVES, READ_PROOF, &q.base);
}

/* A claim at the very size of the verified head needs no proof. */
static void judge_claim(struct prover *p)
{
        const struct head *claim = &p->heads.claim[p->slot].head;

        if (claim->size == p->heads.verified.size)
                prover_judge_claim(p, p->slot, digest_equal(&claim->root, &p->heads.verified.root), "another root at the size of the verified head");
        else
                ask_consistency(p, PROVER_CLAIM, claim->size, p->heads.verified.size);
}

static bool due(const struct prover *p, struct mono_time at)
{
        return p->l->mono.ns >= at.ns;
}

static void ask_next(struct prover *p)
{
        if (!due(p, p->again_at))
                return;
        if (p->candidate.size)
                ask_consistency(p, PROVER_GO_ON, p->heads.verified.size, p->candidate.size);
        else if (p->leaves_n > p->done)
                ask_leaves(p);
        else if (due(p, p->claim_at) && heads_next(&p->heads, &p->slot))
                judge_claim(p);
        else if (collect(p))
                ask_leaves(p);
        else if (due(p, p->head_at) && (p->waiting || heads_wait(&p->heads))) {
                p->head_at.ns = p->l->mono.ns + PROVER_HEAD_MS * 1000000ull;
                ask(p, PROVER_HEAD, READ_CHECKPOINT, NULL);
        }
}

/* ---- watching the time ---- */

static int run_first(struct link *l, struct arena *a, const void *item)
{
        struct prover *p = l->prover;
        struct agent_key prefix = agent_key(AGENT_HELD), from = prefix;
        Shuyi__Agent__HeldRow *row;
        struct bytes key, value;
        int r;

        (void)item;
        p->oldest = (struct wall_time){ 0 };
        while ((r = keep_next(store_state(l->ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__held_row__descriptor, &row);
                if (r < 0 || row->proved)
                        continue;
                p->oldest.ms = row->at;
                p->oldest_seq = row->first_seq;
                break;
        }
        return r < 0 ? r : alarms_count(store_state(l->ag->store), a, &p->alarms, &p->halted);   /* others raise some, too */
}

void prover_tell(struct prover *p)
{
        struct agent_proof *s = &p->l->status.proof;
        struct metrics *m = p->l->ag->metrics;
        uint64_t now = p->l->now.ms;

        s->head = p->heads.verified;
        s->at = p->verified_at;
        s->waiting = p->waiting;
        s->oldest = p->oldest;
        s->alarms = p->alarms;
        s->halted = p->halted;
        metrics_set(m, M_UNPROVED, 0, p->waiting);
        metrics_set(m, M_UNPROVED_AGE, 0, p->oldest.ms && now > p->oldest.ms ? (now - p->oldest.ms) * 1000000 : 0);
        metrics_set(m, M_VERIFIED_SIZE, 0, p->heads.verified.size);
        metrics_set(m, M_VERIFIED_AGE, 0, p->verified_at.ms && now > p->verified_at.ms ? (now - p->verified_at.ms) * 1000000 : 0);
        metrics_set(m, M_ALARMS, 0, p->alarms);
        metrics_set(m, M_HALTED, 0, p->halted);
}

uint64_t prover_late_ms(const struct prover *p)
{
        return (uint64_t)config_int(p->l->ag->config, S_LATE);
}

/* Did the wall clock step since the last look?  Then ages told by it say nothing for a while. */
static bool clock_stepped(struct prover *p)
{
        struct wall_time was = p->seen_wall;
        uint64_t even = was.ms + (p->l->mono.ns - p->seen_mono.ns) / 1000000, now = p->l->now.ms;

        p->seen_wall = p->l->now;
        p->seen_mono = p->l->mono;
        return was.ms && (now > even ? now - even : even - now) > FLOW_AHEAD_MS;
}

/* Only time over a standing link counts, and by a clock that runs evenly. */
static void watch_late(struct prover *p)
{
        uint64_t late = prover_late_ms(p), up;
        unsigned slot;

        if (clock_stepped(p))
                p->up_since = p->l->mono;
        up = (p->l->mono.ns - p->up_since.ns) / 1000000;
        if (up < late)
                return;
        if (p->oldest.ms && p->l->now.ms > p->oldest.ms + late && p->told_seq != p->oldest_seq) {
                p->told_seq = p->oldest_seq;
                prover_tell_receipt(p, ALARM_RECEIPT_LATE, p->oldest_seq, p->why ? p->why : "no newer head is published");
        }
        if (heads_late(&p->heads, (struct mono_time){ p->l->mono.ns - late * 1000000 }, &slot))
                prover_tell_more(p, slot);
}

static void watch(struct prover *p)
{
        if (p->watched_at.ns && p->l->mono.ns < p->watched_at.ns + 1000000000ull)
                return;
        p->watched_at = p->l->mono;
        if (link_item(p->l, run_first, NULL) < 0)
                return;
        if (!p->halted && p->up_since.ns)
                watch_late(p);
        release(p);
        prover_tell(p);
}

static void judge_conflict(struct prover *p)
{
        if (!p->conflict.size)
                return;
        prover_tell_other(p, &p->conflict, p->conflict_by_log, p->conflict_evidence, "another root at the size of a head that was verified");
        p->conflict = (struct head){ 0 };
        free((void *)p->conflict_evidence.p);
        p->conflict_evidence = (struct bytes){ 0 };
}

void prover_run(struct prover *p)
{
        if (p->l->session.phase != SESSION_SENDING) {
                p->up_since.ns = 0;
                watch(p);
                return;
        }
        if (!p->up_since.ns)
                p->up_since = p->l->mono;
        judge_conflict(p);
        watch(p);
        if (!p->halted && p->asking == PROVER_NOTHING)
                ask_next(p);
}

/* ---- what others say ---- */

static struct bytes copy_of(struct bytes b)
{
        uint8_t *p = b.n ? malloc(b.n) : NULL;

        if (p)
                memcpy(p, b.p, b.n);
        return bytes_of(p, p ? b.n : 0);
}

/* `evidence` is copied where it is needed. */
static void hear(struct prover *p, const struct head *h, bool by_log, struct bytes evidence)
{
        unsigned slot;

        switch (heads_hear(&p->heads, h, by_log, p->l->mono, &slot)) {
        case HEADS_QUEUED:
                p->evidence[slot] = copy_of(evidence);
                return;
        case HEADS_CONFLICT:
                if (!p->conflict.size) {
                        p->conflict = *h;
                        p->conflict_by_log = by_log;
                        p->conflict_evidence = copy_of(evidence);
                }
                return;
        case HEADS_FULL:
                metrics_inc(p->l->ag->block, M_SEEN_LOST, 0);
                return;
        case HEADS_KNOWN:
        case HEADS_APART:
                return;
        }
}

void prover_heard(struct prover *p, struct arena *a, const Shuyi__V1__Seen *seen, struct bytes envelope)
{
        struct head h = { 0 };

        if (!p || !seen || p->halted || !bytes_copy_exact(keep_bytes(seen->root), h.root.b, DIGEST_BYTES))
                return;
        h.epoch = seen->epoch;
        h.size = seen->size;
        if (h.size == p->heard.size && digest_equal(&h.root, &p->heard.root) && h.epoch == p->heard.epoch)
                return;
        p->heard = h;
        hear(p, &h, false, envelope_strip(a, envelope));
}

void prover_shown(struct prover *p, uint64_t epoch, const struct checkpoint *c, const char *note)
{
        struct head h = { .epoch = epoch, .size = c->size, .root = c->root };

        if (p && !p->halted)
                hear(p, &h, true, bytes_str(note));
}

/* ---- life ---- */

static void forget_claims(struct prover *p)
{
        for (unsigned i = 0; i < HEADS_CLAIMS_MAX; i++)
                free((void *)p->evidence[i].p);
        memset(p->evidence, 0, sizeof(p->evidence));
        memset(&p->heads, 0, sizeof(p->heads));
        free((void *)p->conflict_evidence.p);
        p->conflict_evidence = (struct bytes){ 0 };
        p->conflict = p->candidate = p->heard = (struct head){ 0 };
        free(TAKE(p->candidate_note));
        free(TAKE(p->note));
}

int prover_dismiss(struct prover *p, struct arena *a, uint64_t number)
{
        struct agent_key k = agent_key(AGENT_PROOF);
        bool halted = p->halted;
        int r = alarms_dismiss(p->l->ag, a, number);

        if (r <= 0)
                return r;
        r = alarms_count(store_state(p->l->ag->store), a, &p->alarms, &p->halted);
        if (r == 0 && halted && !p->halted) {
                forget_claims(p);
                prover_end_round(p);
                p->collected_at = 0;
                p->l->ag->seen = (struct head){ 0 };
                r = keep_del(p->l->ag->store, &k);
        }
        p->told_seq = 0;
        prover_tell(p);
        return r < 0 ? r : 1;
}

int prover_new(struct link *l, struct prover **ret)
{
        struct prover *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->l = l;
        arena_reset(l->item);
        r = load_head(p, l->item);
        if (r == 0)
                r = load_held(p, l->item);
        if (r == 0)
                r = alarms_count(store_state(l->ag->store), l->item, &p->alarms, &p->halted);
        if (r < 0) {
                prover_free(p);
                return r;
        }
        l->ag->seen = p->heads.verified;
        *ret = p;
        return 0;
}

void prover_free(struct prover *p)
{
        if (!p)
                return;
        prover_end_round(p);
        forget_claims(p);
        free(p);
}
