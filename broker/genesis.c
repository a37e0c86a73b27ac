/* genesis: see the header. */
#include "broker/genesis.h"
#include "broker/recover.h"
#include "broker/system.h"
#include "common/artifact.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the group ---- */

struct founding { struct broker *broker; struct fold fold; struct segment_batch *batch; struct arena *arena; struct wall_time now; uint64_t first_seq; };

static int add(struct founding *f, const struct claim *claim)
{
        struct entry entry = { .accepted_at = f->now, .claim = claim };
        struct outcome outcome;
        struct digest leaf;
        int r = fold_step(&f->fold, &entry, f->arena, &outcome, &leaf);

        if (r < 0) {
                fprintf(stderr, "genesis: entry %llu, %s: fault %d\n", (unsigned long long)f->fold.seq + 1, claim->kind->name, r);
                return r;
        }
        if (outcome.code != ACCEPTED) {
                fprintf(stderr, "genesis: entry %llu, %s: %s %s\n", (unsigned long long)entry.seq, claim->kind->name, refusal_text(outcome.code)->code, outcome.detail);
                return -EINVAL;
        }
        struct segment_entry e = { .epoch = entry.epoch, .seq = entry.seq, .accepted_at = entry.accepted_at, .envelope = claim->wire };
        return segment_batch_add_entry(f->batch, &e);
}

static int add_file(struct founding *f, const Shuyi__V1__GenesisFile *file)
{
        int r = 0;

        for (size_t i = 0; i < file->n_envelopes && r == 0; i++) {
                struct bytes wire = bytes_of(file->envelopes[i].data, file->envelopes[i].len);
                const struct claim *claim;
                struct keydir *d;
                enum refusal code;

                r = statekeys_build(store_state(f->broker->store), &d);
                if (r < 0)
                        return r;
                code = statekeys_verify(f->arena, wire, d, i == 0, &claim);
                keydir_unref(d);
                if (code != ACCEPTED) {
                        fprintf(stderr, "genesis: envelope %zu: %s\n", i + 1, refusal_text(code)->code);
                        return -EINVAL;
                }
                r = add(f, claim);
        }
        return r;
}

static int add_own(struct founding *f)
{
        struct system_signer signer = { f->broker->domain, f->broker->credential, secret_peek(f->broker->keys.sign) };
        Shuyi__V1__EngineBody engine = SHUYI__V1__ENGINE_BODY__INIT;
        Shuyi__V1__TrustHeadBody head = SHUYI__V1__TRUST_HEAD_BODY__INIT;
        const struct claim *claim;
        int r;

        engine.rules_version = RULES_VERSION;
        claim = system_make(&signer, f->arena, KIND_ENGINE, &engine.base, f->now);
        r = claim ? add(f, claim) : -ENOMEM;
        if (r == 0)
                r = exchange_trust_head_body(store_state(f->broker->store), f->arena, &head);
        if (r < 0)
                return r;
        claim = system_make(&signer, f->arena, KIND_TRUST_HEAD, &head.base, f->now);
        return claim ? add(f, claim) : -ENOMEM;
}

static int make_durable(struct founding *f)
{
        struct checkpoint c = { f->broker->origin, f->fold.frontier.size, merkle_root(&f->fold.frontier) };
        const char *note = checkpoint_sign(f->arena, &c, secret_peek(f->broker->log_keys.sign), f->broker->log_keys.sign_key);
        int r = note ? segment_batch_add_head(f->batch, f->fold.epoch, f->fold.seq, bytes_str(note)) : -ENOMEM;

        if (r == 0)
                r = segment_plan(f->broker->segments, f->batch);
        for (uint64_t seq = 1; seq <= f->fold.seq && r == 0; seq++)
                r = store_index_append(f->broker->store, seq, segment_batch_place(f->batch, (unsigned)(seq - 1)));
        if (r == 0)
                r = store_group_commit(f->broker->store);
        if (r == 0)
                r = fold_save(&f->fold);
        if (r == 0)
                r = fold_mark_clean(&f->fold);
        if (r == 0)
                r = segment_write(f->broker->segments, f->batch);
        if (r == 0)
                r = segment_sync(f->broker->segments);
        return r == 0 ? store_commit(f->broker->store) : r;
}

/* An earlier run may have come as far as the log's first group, and not to the state's: its log stands. */
static int open_empty(struct founding *f)
{
        struct segment_space space;
        int r = segment_space(f->broker->segments, &space);

        if (r == 0)
                r = space.files > 0 ? -EEXIST : fold_open_new(&f->fold, f->broker->store, f->broker->domain);
        if (r == -EEXIST)
                fprintf(stderr, "genesis: the store holds a log already\n");
        return r;
}

static int found(struct founding *f, const Shuyi__V1__GenesisFile *file)
{
        int r = open_empty(f);

        if (r == 0)
                r = store_group_begin(f->broker->store);
        if (r == 0)
                r = add_file(f, file);
        if (r == 0)
                r = recover_identity(f->broker, store_state(f->broker->store), f->arena);
        if (r == 0)
                r = add_own(f);
        return r == 0 ? make_durable(f) : r;
}

int genesis_run(struct broker *b, const char *path)
{
        struct founding f = { .broker = b, .now = times_wall() };
        const Shuyi__V1__GenesisFile *file;
        const char *wrong;
        struct bytes text;
        int r;

        f.arena = arena_new(64u << 20);
        f.batch = segment_batch_new(GROUP_BYTES_MAX);
        r = f.arena && f.batch ? recover_read_file(f.arena, path, ARTIFACT_MAX_BYTES, &text) : -ENOMEM;
        if (r < 0) {
                fprintf(stderr, "genesis: %s: %s\n", path, strerror(-r));
        } else if ((wrong = artifact_read(f.arena, ARTIFACT_GENESIS, text, &file))) {
                fprintf(stderr, "genesis: %s: %s\n", path, wrong);
                r = -EINVAL;
        } else {
                r = found(&f, file);
        }
        if (r < 0)
                store_abort(b->store);
        else
                printf("genesis: %llu entries\n", (unsigned long long)f.fold.seq);
        fold_close(&f.fold);
        segment_batch_free(f.batch);
        arena_free(f.arena);
        return r;
}
