/* prover_answers: what the center's answers prove, and what is told when they do not.  See prover.h. */
#include <errno.h>
#include <stdlib.h>

#include "agent/outbox.h"
#include "agent/prover_internal.h"
#include "agent/replica.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "proto/audit.pb-c.h"

#define AGAIN_MS 2000
#define CLAIM_AGAIN_MS 10000

static struct mono_time after(const struct prover *p, uint64_t ms)
{
        return (struct mono_time){ p->l->mono.ns + ms * 1000000 };
}

/* ---- telling ---- */

struct telling { struct prover *p; struct alarm alarm; };

static int run_tell(struct link *l, struct arena *a, const void *item)
{
        const struct telling *t = item;
        int r = alarms_raise(l->ag, a, l->now, &t->alarm);

        if (r >= 0)
                r = alarms_count(store_state(l->ag->store), a, &t->p->alarms, &t->p->halted);
        prover_tell(t->p);
        return r;
}

static void raise_alarm(struct prover *p, const struct alarm *alarm)
{
        struct telling t = { p, *alarm };
        int r = link_item(p->l, run_tell, &t);

        if (r < 0)
                log_event(LOG_ERR, "alarm.not_kept", log_str("kind", alarm_name(alarm->kind)), log_u64("about", alarm->about), log_errno("fault", r));
}

static const Shuyi__V1__ReceiptRow *row_of(const Shuyi__V1__Receipt *receipt, uint64_t seq)
{
        for (size_t i = 0; receipt && i < receipt->n_rows; i++)
                if (receipt->rows[i]->seq == seq)
                        return receipt->rows[i];
        return NULL;
}

/* What was sent under that row, if it is still there. */
static struct bytes sent_under(struct link *l, struct arena *a, const Shuyi__V1__Receipt *receipt, const Shuyi__V1__ReceiptRow *row)
{
        struct state state = store_state(l->ag->store);
        Shuyi__Agent__OutboxRow *box;
        Shuyi__Agent__SealedRow *sent;

        if (outbox_get(state, a, &box) < 0 || receipt->outbox_epoch != box->epoch || outbox_find(state, a, row->lane, row->outbox_seq, &sent) <= 0)
                return (struct bytes){ 0 };
        return keep_bytes(sent->envelope);
}

/* The alarm with the first receipt that names its seq, and what was sent: of the two this is the last copy once the round is over. */
static int run_tell_receipt(struct link *l, struct arena *a, const void *item)
{
        struct telling t = *(const struct telling *)item;
        struct agent_key prefix = agent_key(AGENT_HELD), from = prefix;
        Shuyi__Agent__HeldRow *row;
        struct bytes key, value;

        while (keep_next(store_state(l->ag->store), &prefix, &from, &key, &value) > 0) {
                const Shuyi__V1__Receipt *receipt;
                const Shuyi__V1__ReceiptRow *named;

                from = keep_after(key);
                if (keep_decode(a, value, &shuyi__agent__held_row__descriptor, &row) <= 0 || row->first_seq > t.alarm.about || row->last_seq < t.alarm.about)
                        continue;
                receipt = prover_receipt_of(a, row);
                named = row_of(receipt, t.alarm.about);
                if (!named)
                        continue;
                t.alarm.receipt = keep_bytes(row->receipt);
                t.alarm.envelope = sent_under(l, a, receipt, named);
                break;
        }
        return run_tell(l, a, &t);
}

void prover_tell_receipt(struct prover *p, enum alarm_kind kind, uint64_t seq, const char *why)
{
        struct telling t = { p, { .kind = kind, .about = seq, .detail = why, .held_note = p->note } };
        int r = link_item(p->l, run_tell_receipt, &t);

        if (r < 0)
                log_event(LOG_ERR, "alarm.not_kept", log_str("kind", alarm_name(kind)), log_u64("about", seq), log_errno("fault", r));
}

void prover_receipt_wrong(struct prover *p, uint64_t seq, const char *why)
{
        prover_tell_receipt(p, ALARM_RECEIPT_WRONG, seq, why);
}

void prover_told_size(struct prover *p, uint64_t epoch, uint64_t size)
{
        if (size && !p->halted && epoch == p->heads.verified.epoch && size < p->heads.verified.size)
                raise_alarm(p, &(struct alarm){ .kind = ALARM_HEAD_BACK, .about = size, .detail = "the center says that its log is smaller than a head that was verified",
                                                .held_note = p->note });
}

/* Did somebody really sign that he has seen it? */
static bool signed_by_anybody(struct prover *p, struct bytes envelope)
{
        struct agent *ag = p->l->ag;
        _cleanup_(arena_freep) struct arena *a = arena_new(4 << 20);
        struct replica_keys keys = { store_state(ag->store), ag->self.anchor, a };
        struct key_source source = replica_key_source(&keys);
        const struct claim *claim;

        return a && link_begin(p->l) == 0 && envelope_verify_bare(a, envelope, &source, &claim) == ACCEPTED;
}

static void tell_peer(struct prover *p, enum alarm_kind kind, uint64_t size, struct bytes envelope, const char *why)
{
        if (signed_by_anybody(p, envelope)) {
                raise_alarm(p, &(struct alarm){ .kind = kind, .about = size, .detail = why, .held_note = p->note, .envelope = envelope });
                return;
        }
        metrics_inc(p->l->ag->block, M_CENTER_BAD, 0);
        log_event(LOG_ERR, "prover.seen_unsigned", log_u64("size", size));
}

static void tell_log(struct prover *p, enum alarm_kind kind, uint64_t size, struct bytes note, const char *why)
{
        char *text = strndup((const char *)note.p, note.n);

        raise_alarm(p, &(struct alarm){ .kind = kind, .about = size, .detail = why, .held_note = p->note, .came_note = text });
        free(text);
}

void prover_tell_other(struct prover *p, const struct head *h, bool by_log, struct bytes evidence, const char *why)
{
        if (by_log)
                tell_log(p, ALARM_SECOND_HISTORY, h->size, evidence, why);
        else
                tell_peer(p, ALARM_SEEN_OTHER, h->size, evidence, why);
}

/* A head of the log that is not published in time is what publishing lacks, not another history. */
void prover_tell_more(struct prover *p, unsigned slot)
{
        const struct heads_claim *c = &p->heads.claim[slot];

        if (c->by_log)
                tell_log(p, ALARM_HEAD_BAD, c->head.size, p->evidence[slot], "a head of the log is not published");
        else
                tell_peer(p, ALARM_SEEN_MORE, c->head.size, p->evidence[slot], "no head of that size is published");
        prover_settle_claim(p, slot, false);
}

void prover_settle_claim(struct prover *p, unsigned slot, bool good)
{
        heads_settle(&p->heads, slot, good);
        free((void *)p->evidence[slot].p);
        p->evidence[slot] = (struct bytes){ 0 };
}

void prover_judge_claim(struct prover *p, unsigned slot, bool good, const char *why)
{
        const struct heads_claim c = p->heads.claim[slot];

        if (!c.used)
                return;
        if (!good)
                prover_tell_other(p, &c.head, c.by_log, p->evidence[slot], why);
        prover_settle_claim(p, slot, good);
}

/* ---- what does not serve ---- */

/* Tried again; too long, and it is an alarm.  Only time over a standing link counts. */
static bool too_late(const struct prover *p, struct mono_time since)
{
        uint64_t from = since.ns > p->up_since.ns ? since.ns : p->up_since.ns;

        return p->l->mono.ns >= from + prover_late_ms(p) * 1000000;
}

static void not_consistent(struct prover *p, const char *why)
{
        tell_log(p, ALARM_NOT_CONSISTENT, p->candidate.size, bytes_str(p->candidate_note), why);
        p->candidate = (struct head){ 0 };
        free(TAKE(p->candidate_note));
}

static void claim_again(struct prover *p, unsigned slot, const char *why)
{
        const struct heads_claim *c = &p->heads.claim[slot];

        p->claim_at = after(p, CLAIM_AGAIN_MS);
        if (!c->used || !too_late(p, c->since))
                return;
        if (c->by_log)
                tell_log(p, ALARM_NOT_CONSISTENT, c->head.size, p->evidence[slot], why);
        else
                tell_peer(p, ALARM_SEEN_OTHER, c->head.size, p->evidence[slot], why);
        prover_settle_claim(p, slot, false);
}

static void did_not_serve(struct prover *p, enum prover_question q, const char *why)
{
        if (p->why != why)
                log_event(LOG_WARNING, "prover.no_answer", log_u64("question", q), log_str("why", why));
        p->why = why;
        if (q == PROVER_CLAIM)
                claim_again(p, p->slot, why);
        else
                p->again_at = after(p, AGAIN_MS);
        if (q == PROVER_GO_ON && too_late(p, p->candidate_since))
                not_consistent(p, why);
}

/* ---- answers ---- */

static void take_head(struct prover *p, struct arena *a, struct bytes row)
{
        const Shuyi__V1__CheckpointRow *c = message_parse(a, &shuyi__v1__checkpoint_row__descriptor, row);
        struct checkpoint cp;
        const char *why = c ? prover_check_note(p->l->ag, a, c->note, &cp) : "form";
        struct head h = { 0 };

        if (!why && c->epoch == 0)
                why = "epoch";
        if (why) {
                raise_alarm(p, &(struct alarm){ .kind = ALARM_HEAD_BAD, .detail = why, .held_note = p->note, .came_note = c ? c->note : NULL });
                did_not_serve(p, PROVER_HEAD, why);
                return;
        }
        p->why = NULL;
        h = (struct head){ .epoch = c->epoch, .size = cp.size, .root = cp.root };
        switch (heads_compare(&p->heads.verified, &h)) {
        case HEADS_FIRST:
                if (h.size)
                        prover_verified(p, &h, c->note);
                return;
        case HEADS_SAME:
                prover_verified(p, &p->heads.verified, c->note);
                return;
        case HEADS_NEWER:
                p->candidate_note = strdup(c->note);
                p->candidate_since = p->l->mono;
                if (p->candidate_note)
                        p->candidate = h;
                return;
        case HEADS_BACK:
                tell_log(p, ALARM_HEAD_BACK, h.size, bytes_str(c->note), "smaller than a head that was verified");
                return;
        case HEADS_FORK:
                tell_log(p, ALARM_SECOND_HISTORY, h.size, bytes_str(c->note), "one size, two roots");
                return;
        }
}

/* Does the row prove that the head of `first` entries goes on to that of `second`? */
static bool consistent(struct arena *a, struct bytes row, const struct head *first, const struct head *second)
{
        const Shuyi__V1__ConsistencyRow *c = message_parse(a, &shuyi__v1__consistency_row__descriptor, row);
        struct digest path[2 * MERKLE_DEPTH_MAX];

        if (!c || c->first != first->size || c->second != second->size || c->n_path > ELEMENTS(path))
                return false;
        for (size_t i = 0; i < c->n_path; i++)
                if (!bytes_copy_exact(keep_bytes(c->path[i]), path[i].b, DIGEST_BYTES))
                        return false;
        return merkle_check_consistency(first->size, second->size, &first->root, &second->root, path, c->n_path);
}

static void take_going_on(struct prover *p, struct arena *a, struct bytes row)
{
        if (!consistent(a, row, &p->heads.verified, &p->candidate)) {
                not_consistent(p, "the proof does not hold");
                return;
        }
        p->why = NULL;
        prover_verified(p, &p->candidate, p->candidate_note);
        p->candidate = (struct head){ 0 };
        free(TAKE(p->candidate_note));
}

static void take_claim(struct prover *p, struct arena *a, struct bytes row)
{
        const struct heads_claim *c = &p->heads.claim[p->slot];

        if (c->used)
                prover_judge_claim(p, p->slot, consistent(a, row, &c->head, &p->heads.verified), "the center proves no such head");
}

/* A run that is not proved is asked for leaf by leaf, so that the alarm names the one. */
static void take_leaves(struct prover *p, struct arena *a, struct bytes row)
{
        const Shuyi__V1__ProofRow *proof = message_parse(a, &shuyi__v1__proof_row__descriptor, row);
        const struct head *v = &p->heads.verified;
        size_t proved = 0;

        if (proof && proof->size == v->size)
                proved = proof_check(p->leaves + p->done, p->asked_n, p->singly, proof, v->size, &v->root, p->scratch);
        p->done += proved;
        metrics_add(p->l->ag->block, M_PROVED, 0, proved);
        if (proved < p->asked_n && p->singly)
                prover_tell_receipt(p, ALARM_RECEIPT_WRONG, p->leaves[p->done++].seq, "its leaf hash is not proved under the verified head");
        p->singly |= proved < p->asked_n;
        if (p->done < p->leaves_n)
                return;
        p->why = NULL;
        prover_drop(p, p->round_from, p->round_to);
        prover_end_round(p);
        prover_tell(p);
}

void prover_answered(struct link_read *r, const Shuyi__V1__Page *page, int fault)
{
        struct prover *p = (struct prover *)((char *)r - offsetof(struct prover, read));
        enum prover_question q = p->asking;
        struct bytes row;

        p->asking = PROVER_NOTHING;
        if ((!page && fault != -ETIMEDOUT) || link_begin(p->l) < 0)
                return;
        if (!page || page->code != ACCEPTED || page->n_rows != 1) {
                did_not_serve(p, q, !page ? "no answer in time" : page->code ? refusal_text(page->code)->code : "not one row");
                return;
        }
        row = keep_bytes(page->rows[0]);
        if (q == PROVER_HEAD)
                take_head(p, p->l->frames, row);
        else if (q == PROVER_GO_ON && p->candidate.size)
                take_going_on(p, p->l->frames, row);
        else if (q == PROVER_CLAIM)
                take_claim(p, p->l->frames, row);
        else if (q == PROVER_LEAVES && p->leaves)
                take_leaves(p, p->l->frames, row);
}
