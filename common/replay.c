/* replay: see the header. */
#include "common/replay.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define GROUPS_A_COMMIT 4096
#define HEADS_A_STEP 64                         /* of them one is verified where not each is, and the store's group ends */
#define NOTE_MAX 8192

__attribute__((format(printf, 3, 4)))
static int bad(struct replay *r, uint64_t seq, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(r->reason, sizeof(r->reason), format, ap);
        va_end(ap);
        r->bad_seq = seq;
        return -EBADMSG;
}

/* ---- an entry ---- */

static int check_signatures(struct replay *r, const struct segment_entry *e, struct arena *a, const struct claim **ret)
{
        static _Thread_local struct keydir *directory;          /* of the state so far; rebuilt when it moved */
        enum refusal code;
        int f = 0;

        if (r->entries == 0 || r->fold->directory_moved || !directory) {
                keydir_unref(TAKE(directory));
                f = statekeys_build(store_state(r->fold->store), &directory);
                r->fold->directory_moved = false;
        }
        if (f < 0)
                return f;
        code = statekeys_verify(a, e->envelope, directory, r->fold->seq == 0, ret);
        if (code != ACCEPTED)
                return bad(r, e->seq, "the envelope does not verify: %s", refusal_text(code)->code);
        r->signed_n += (*ret)->signers_n;
        return 0;
}

static int compare(struct replay *r, uint64_t seq, const struct outcome *o, const struct digest *leaf)
{
        struct fold_outcome recorded;
        int f = r->against ? fold_outcome_read(r->against, seq, &recorded) : 0;

        if (f <= 0)
                return f;
        r->compared++;
        if (recorded.code != o->code)
                return bad(r, seq, "outcome differs: recorded %s, now %s", refusal_text(recorded.code)->code, refusal_text(o->code)->code);
        if (!digest_equal(&recorded.effects, &o->effects_digest))
                return bad(r, seq, "effects digest differs from the recorded one");
        return digest_equal(&recorded.leaf, leaf) ? 0 : bad(r, seq, "leaf differs from the recorded one");
}

static int take_entry(struct replay *r, const struct segment_record *record, struct arena *a)
{
        const struct claim *claim;
        struct segment_entry e;
        struct outcome outcome;
        struct digest leaf;
        int f = 0;

        if (!segment_record_entry(record->type, record->payload, &e))
                return bad(r, record->seq, "the record is too short");
        if (e.gone)
                return bad(r, record->seq, "it was purged by entry %llu: a replay begins at a BASE behind it", (unsigned long long)e.purged_by);
        if (r->signatures)
                f = check_signatures(r, &e, a, &claim);
        else if (envelope_read_kept(a, e.envelope, NULL, &claim) != ACCEPTED)
                f = bad(r, e.seq, "the envelope is not of the exact form");
        if (f == 0 && claim->body.n != claim->body_bytes && !e.purged_by && !r->bare)
                f = bad(r, e.seq, "its body is missing, and no PURGE took it");
        if (f < 0)
                return f;
        struct entry entry = { .accepted_at = e.accepted_at, .link = e.link, .lane = e.lane, .outbox_epoch = e.outbox_epoch,
                               .outbox_seq = e.outbox_seq, .claim = claim };
        f = fold_step(r->fold, &entry, a, &outcome, &leaf);
        if (f == -EBADMSG)
                return bad(r, e.seq, "%s contradicts the state", claim->kind->name);
        if (f < 0)
                return f;
        if (r->fold->seq != e.seq || entry.epoch != e.epoch)
                return bad(r, e.seq, "refused data or a number out of order: %s", refusal_text(outcome.code)->code);
        if (e.judged && (e.code != outcome.code || !digest_equal(&e.effects, &outcome.effects_digest)))
                return bad(r, e.seq, "outcome differs from what is kept beside it");
        r->entries++;
        r->bytes += e.envelope.n;
        r->bare_n += e.purged_by > 0;
        if (r->index)
                f = store_index_append(r->fold->store, e.seq, record->place);
        return f < 0 ? f : compare(r, e.seq, &outcome, &leaf);
}

/* ---- a HEAD ---- */

/* The head whose signature has not been looked at; the last one always is. */
struct pending { char note[NOTE_MAX + 1]; uint64_t seq; };

static int verify_pending(struct replay *r, struct pending *p, struct arena *a)
{
        struct checkpoint c;
        const char *wrong;
        uint8_t key[32];

        if (p->seq == 0)
                return 0;
        if (!r->log_key && !statekeys_log(store_state(r->fold->store), a, r->origin, key))
                return bad(r, p->seq, "the anchor in force has no key for %s", r->origin);
        wrong = checkpoint_verify(a, p->note, r->origin, r->log_key ? r->log_key : key, &c);
        if (wrong)
                return bad(r, p->seq, "the head does not verify: %s", wrong);
        p->seq = 0;
        return 0;
}

/* The tree that it names is compared each time; its signature each time only where signatures are asked for, since a head that
 * names the right tree says nothing wrong. */
static int take_head(struct replay *r, const struct segment_record *record, struct pending *p, struct arena *a)
{
        struct digest root = merkle_root(&r->fold->frontier);
        struct checkpoint c;
        const char *wrong;

        if (record->payload.n > NOTE_MAX)
                return bad(r, record->seq, "the head does not verify: too long");
        memcpy(p->note, record->payload.p, record->payload.n);
        p->note[record->payload.n] = 0;
        p->seq = record->seq;
        wrong = checkpoint_peek(a, p->note, &c);
        if (wrong)
                return bad(r, record->seq, "the head does not verify: %s", wrong);
        if (c.size != r->fold->seq || !digest_equal(&c.root, &root))
                return bad(r, record->seq, "the head signs another tree than the entries give");
        r->heads++;
        return r->signatures || r->heads % HEADS_A_STEP == 0 ? verify_pending(r, p, a) : 0;
}

/* ---- the walk ---- */

static int open_cursor(struct replay *r, struct segment_cursor **ret)
{
        struct segment_place place = { 0 };
        int f = 0;

        if (r->index && r->fold->seq > 0)
                f = store_index_find(r->fold->store, r->fold->seq, &place);
        if (f < 0)
                return f;
        return f > 0 ? segment_cursor_open(r->segments, place, r->fold->epoch, r->fold->seq, ret)
                     : segment_cursor_open_near(r->segments, r->fold->seq + 1, ret);
}

static int end_group(struct replay *r)
{
        int f;

        if (r->heads % HEADS_A_STEP != 0)
                return 0;
        f = store_group_commit(r->fold->store);
        if (f == 0 && r->heads % GROUPS_A_COMMIT == 0 && r->heads > 0) {
                f = fold_save(r->fold);
                if (f == 0)
                        f = store_commit(r->fold->store);
                if (f == 0)
                        f = store_begin(r->fold->store);
        }
        return f == 0 ? store_group_begin_reserved(r->fold->store) : f;
}

static int walk(struct replay *r, struct segment_cursor *c, struct pending *p, struct arena *a)
{
        uint64_t from = r->fold->seq;
        struct segment_record record;
        int f;

        while ((f = segment_cursor_next(c, &record)) > 0) {
                if (record.seq <= from)
                        continue;
                arena_reset(a);
                if (record.type != SEGMENT_HEAD) {
                        f = take_entry(r, &record, a);
                } else {
                        f = take_head(r, &record, p, a);
                        if (f == 0)
                                f = end_group(r);
                }
                if (f < 0)
                        return f;
        }
        if (f == -EBADMSG && !r->reason[0])
                return bad(r, r->fold->seq + 1, "the record after it is damaged");
        return f == 0 ? verify_pending(r, p, a) : f;
}

int replay_run(struct replay *r)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(32u << 20);
        struct pending pending = { .seq = 0 };
        struct segment_cursor *c = NULL;
        int f = a ? 0 : -ENOMEM;

        if (f == 0 && !store_is_open(r->fold->store))
                f = store_begin(r->fold->store);
        if (f == 0)
                f = open_cursor(r, &c);
        if (f == 0)
                f = store_group_begin_reserved(r->fold->store);
        if (f == 0)
                f = walk(r, c, &pending, a);
        segment_cursor_close(c);
        if (f < 0)
                store_group_abort(r->fold->store);
        else
                f = store_group_commit(r->fold->store);
        return f;
}
