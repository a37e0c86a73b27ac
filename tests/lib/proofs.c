/* proofs: see the header. */
#include "tests/lib/proofs.h"
#include "common/merkle.h"
#include "proto/audit.pb-c.h"
#include "tests/lib/unit.h"
#include <stdlib.h>

#define CHUNK 200

struct proofs_head proofs_published(struct stage *s, uint64_t least)
{
        struct live_agent *a = stage_agent(s, s->m->c->authority_agent);
        const Shuyi__V1__CheckpointRow *row;
        const Shuyi__V1__Page *page;
        struct proofs_head p;

        live_wait_metric(&s->live, "shuyi_published_size", (double)least);
        page = live_read(a, READ_CHECKPOINT, (struct bytes){ 0 }, 0, (struct bytes){ 0 });
        assert_refusal(page->code, ACCEPTED);
        assert_int_equal(page->n_rows, 1);
        row = message_parse(s->m->c->arena, &shuyi__v1__checkpoint_row__descriptor, bytes_of(page->rows[0].data, page->rows[0].len));
        assert_non_null(row);
        p.epoch = row->epoch;
        p.note = row->note;
        assert_null(checkpoint_verify(s->m->c->arena, row->note, "shuyi/" CITY_DOMAIN, city_find(s->m->c, "log")->sign_key, &p.head));
        assert_true(p.head.size >= least);
        return p;
}

const Shuyi__V1__Page *proofs_ask(struct live_agent *a, uint64_t size, const uint64_t *seqs, size_t n)
{
        Shuyi__V1__ProofQuery q = SHUYI__V1__PROOF_QUERY__INIT;

        q.size = size;
        q.seqs = (uint64_t *)seqs;
        q.n_seqs = n;
        return live_read(a, READ_PROOF, message_pack(a->arena, &q.base), 0, (struct bytes){ 0 });
}

const Shuyi__V1__Page *proofs_ask_consistency(struct live_agent *a, uint64_t first, uint64_t second)
{
        Shuyi__V1__ConsistencyQuery q = SHUYI__V1__CONSISTENCY_QUERY__INIT;

        q.first = first;
        q.second = second;
        return live_read(a, READ_CONSISTENCY, message_pack(a->arena, &q.base), 0, (struct bytes){ 0 });
}

static unsigned take_path(const ProtobufCBinaryData *path, size_t n, struct digest *ret)
{
        assert_true(n <= MERKLE_PROOF_MAX);
        for (size_t i = 0; i < n; i++)
                assert_true(bytes_copy_exact(bytes_of(path[i].data, path[i].len), ret[i].b, DIGEST_BYTES));
        return (unsigned)n;
}

static void consistency_must_hold(struct live_agent *a, const struct checkpoint *first, const struct checkpoint *second)
{
        const Shuyi__V1__Page *page = proofs_ask_consistency(a, first->size, second->size);
        const Shuyi__V1__ConsistencyRow *row;
        struct digest path[MERKLE_PROOF_MAX];

        assert_refusal(page->code, ACCEPTED);
        row = message_parse(a->arena, &shuyi__v1__consistency_row__descriptor, bytes_of(page->rows[0].data, page->rows[0].len));
        assert_non_null(row);
        assert_true(row->first == first->size && row->second == second->size && !*row->checkpoint);
        assert_true(merkle_check_consistency(first->size, second->size, &first->root, &second->root, path, take_path(row->path, row->n_path, path)));
}

static int by_seq(const void *a, const void *b)
{
        uint64_t x = (*(const struct live_row *const *)a)->seq, y = (*(const struct live_row *const *)b)->seq;

        return x < y ? -1 : x > y;
}

/* Receipts in order of their seqs, each once. */
static size_t sort_receipts(struct stage *s, const struct live_row **ret)
{
        size_t n = 0, kept = 0;

        for (size_t i = 0; i < s->told; i++)
                if (s->rows[i].seq > 0)
                        ret[n++] = &s->rows[i];
        qsort(ret, n, sizeof(*ret), by_seq);
        for (size_t i = 0; i < n; i++)
                if (kept == 0 || ret[kept - 1]->seq != ret[i]->seq)
                        ret[kept++] = ret[i];
        return kept;
}

static void chunk_must_hold(struct stage *s, const struct live_row *const *rows, size_t n, bool by_size, const struct checkpoint *head)
{
        struct live_agent *a = stage_agent(s, s->m->c->authority_agent);
        const Shuyi__V1__ProofRow *row;
        const Shuyi__V1__Page *page;
        struct digest path[MERKLE_PROOF_MAX];
        struct checkpoint sent = *head;
        uint64_t seqs[CHUNK];

        for (size_t i = 0; i < n; i++)
                seqs[i] = rows[i]->seq;
        page = proofs_ask(a, by_size ? head->size : 0, seqs, n);
        assert_refusal(page->code, ACCEPTED);
        assert_int_equal(page->n_rows, 1);
        row = message_parse(a->arena, &shuyi__v1__proof_row__descriptor, bytes_of(page->rows[0].data, page->rows[0].len));
        assert_non_null(row);
        assert_int_equal(row->n_proofs, n);
        if (!by_size)
                assert_null(checkpoint_verify(a->arena, row->checkpoint, "shuyi/" CITY_DOMAIN, city_find(s->m->c, "log")->sign_key, &sent));
        assert_int_equal(row->size, sent.size);
        for (size_t i = 0; i < n; i++) {
                const Shuyi__V1__LeafProof *p = row->proofs[i];

                assert_int_equal(p->seq, seqs[i]);
                assert_true(bytes_equal(bytes_of(p->leaf_hash.data, p->leaf_hash.len), bytes_digest(&rows[i]->leaf)));
                assert_true(merkle_check_inclusion(&rows[i]->leaf, p->seq - 1, sent.size, path, take_path(p->path, p->n_path, path), &sent.root));
        }
}

struct proofs_head proofs_must_hold(struct stage *s, const struct proofs_head *before)
{
        const struct live_row **rows = calloc(s->told + 1, sizeof(*rows));
        size_t n = sort_receipts(s, rows);
        struct proofs_head now = proofs_published(s, n > 0 ? rows[n - 1]->seq : 1);

        assert_true(n > 0);
        for (size_t i = 0; i < n; i += CHUNK)
                for (unsigned by_size = 0; by_size < 2; by_size++)
                        chunk_must_hold(s, rows + i, n - i < CHUNK ? n - i : CHUNK, by_size, &now.head);
        if (before && before->head.size > 0)
                consistency_must_hold(stage_agent(s, s->m->c->authority_agent), &before->head, &now.head);
        free(rows);
        return now;
}
