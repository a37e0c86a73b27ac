/* reads_proof: the published head, and proofs of inclusion and consistency over the tiles (proto/audit.proto).
 *
 * For every link: a path tells nothing of what it proves.  Where the query leaves the size open, what is sent was checked
 * against the published head first. */
#include "broker/reads.h"
#include "common/macro.h"
#include <errno.h>

#define SEQS_MAX 256

static int refuse(struct reading *r, enum refusal code, const char *detail)
{
        r->page.code = code;
        r->page.detail = (char *)detail;
        return 0;
}

static int not_published(struct reading *r)
{
        return refuse(r, E_NOT_FOUND, "no head is published yet, or its tree is being read: ask again in a second");
}

/* A fault of the tiles' is no fault of the question's. */
static int hand_on(struct reading *r, int fault)
{
        if (fault == -ERANGE)
                return refuse(r, E_BOUND, "the size is above what proofs can be made of yet: the published head's is the largest promised");
        if (fault == -EAGAIN)
                return refuse(r, E_NOT_FOUND, "a tile is damaged and being mended: ask again");
        return fault;
}

/* Read.key as a message of the type; NULL, and refused: it is none. */
static const void *query(struct reading *r, const ProtobufCMessageDescriptor *type)
{
        const Shuyi__V1__Read *read = r->question->read;
        const void *m = message_parse(r->arena, type, bytes_of(read->key.data, read->key.len));

        if (!m)
                refuse(r, E_FORM, "the key is not a query of this kind");
        return m;
}

/* The size that is asked for: 0 is the published head's, which is handed out too.  False, and refused: there is none yet. */
static bool choose_size(struct reading *r, uint64_t *size, struct published_head *ret)
{
        int f;

        *ret = (struct published_head){ 0 };
        if (*size > 0)
                return true;
        f = published_get(r->broker->published, r->arena, ret);
        if (f <= 0 || ret->size > tiles_size(r->broker->tiles)) {       /* or the tiles of a broker that just started are not agreed yet */
                not_published(r);
                return false;
        }
        *size = ret->size;
        return true;
}

static ProtobufCBinaryData *path_data(struct arena *a, const struct digest *path, unsigned n)
{
        ProtobufCBinaryData *data = ARENA_ARRAY(a, ProtobufCBinaryData, n + 1);
        struct bytes copy = arena_copy(a, bytes_of(path, n * sizeof(*path)));

        for (unsigned i = 0; data && copy.p && i < n; i++)
                data[i] = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)copy.p + i * DIGEST_BYTES };
        return copy.p || n == 0 ? data : NULL;
}

/* ---- the published head ---- */

int reads_checkpoint(struct reading *r)
{
        Shuyi__V1__CheckpointRow row = SHUYI__V1__CHECKPOINT_ROW__INIT;
        struct published_head head;
        int f = published_get(r->broker->published, r->arena, &head);

        if (f <= 0)
                return f < 0 ? f : not_published(r);
        row.epoch = head.epoch;
        row.note = (char *)head.note;
        reading_add(r, message_pack(r->arena, &row.base));
        return 0;
}

/* ---- inclusion ---- */

static bool seqs_fit(const Shuyi__V1__ProofQuery *q, uint64_t size)
{
        for (size_t i = 0; i < q->n_seqs; i++)
                if (q->seqs[i] == 0 || q->seqs[i] > size || (i > 0 && q->seqs[i] <= q->seqs[i - 1]))
                        return false;
        return true;
}

static int prove_leaf(struct reading *r, uint64_t seq, uint64_t size, const struct published_head *head, Shuyi__V1__LeafProof *ret)
{
        struct merkle_source s = tiles_source(r->tiles);
        struct digest leaf, path[MERKLE_DEPTH_MAX];
        struct bytes copy;
        unsigned n;
        int f = s.node(s.ctx, 0, seq - 1, &leaf);

        if (f == 0)
                f = merkle_prove_inclusion(&s, seq - 1, size, path, &n);
        if (f < 0)
                return f;
        if (head->note && !merkle_check_inclusion(&leaf, seq - 1, size, path, n, &head->root))
                return -EAGAIN;
        shuyi__v1__leaf_proof__init(ret);
        copy = arena_copy(r->arena, bytes_digest(&leaf));
        ret->seq = seq;
        ret->leaf_hash = (ProtobufCBinaryData){ copy.n, (uint8_t *)copy.p };
        ret->path = path_data(r->arena, path, n);
        ret->n_path = n;
        return copy.p && ret->path ? 0 : -ENOMEM;
}

static int prove_leaves(struct reading *r, const Shuyi__V1__ProofQuery *q, uint64_t size, const struct published_head *head)
{
        Shuyi__V1__ProofRow row = SHUYI__V1__PROOF_ROW__INIT;
        int f = 0;

        row.size = size;
        row.checkpoint = head->note ? (char *)head->note : row.checkpoint;
        row.proofs = ARENA_ARRAY(r->arena, Shuyi__V1__LeafProof *, q->n_seqs);
        for (size_t i = 0; i < q->n_seqs && f == 0; i++) {
                Shuyi__V1__LeafProof *p = row.proofs ? ARENA_NEW(r->arena, Shuyi__V1__LeafProof) : NULL;

                f = p ? prove_leaf(r, q->seqs[i], size, head, p) : -ENOMEM;
                if (f == 0)
                        row.proofs[row.n_proofs++] = p;
        }
        if (f == 0)
                reading_add(r, message_pack(r->arena, &row.base));
        return hand_on(r, f);
}

int reads_proof(struct reading *r)
{
        const Shuyi__V1__ProofQuery *q = query(r, &shuyi__v1__proof_query__descriptor);
        struct published_head head;
        uint64_t size = q ? q->size : 0;

        if (!q)
                return 0;
        if (q->n_seqs == 0 || q->n_seqs > SEQS_MAX)
                return refuse(r, E_FORM, "a query names 1 to 256 entries");
        if (!choose_size(r, &size, &head))
                return 0;
        if (q->seqs[q->n_seqs - 1] > size)
                return refuse(r, E_FORM, arena_printf(r->arena, "the tree has %llu entries as yet: ask again when a larger head is published", (unsigned long long)size));
        if (!seqs_fit(q, size))
                return refuse(r, E_FORM, "entries are named in ascending order, each once, from 1 to the size of the tree");
        return prove_leaves(r, q, size, &head);
}

/* ---- consistency ---- */

static int must_lead(const struct merkle_source *s, const Shuyi__V1__ConsistencyRow *row, const struct published_head *head, const struct digest *path, unsigned n)
{
        struct digest first;
        int f = merkle_source_root(s, row->first, &first);

        return f < 0 ? f : merkle_check_consistency(row->first, row->second, &first, &head->root, path, n) ? 0 : -EAGAIN;
}

int reads_consistency(struct reading *r)
{
        const Shuyi__V1__ConsistencyQuery *q = query(r, &shuyi__v1__consistency_query__descriptor);
        Shuyi__V1__ConsistencyRow row = SHUYI__V1__CONSISTENCY_ROW__INIT;
        struct digest path[MERKLE_PROOF_MAX];
        struct merkle_source s = tiles_source(r->tiles);
        struct published_head head;
        unsigned n;
        int f;

        if (!q)
                return 0;
        row.first = q->first;
        row.second = q->second;
        if (!choose_size(r, &row.second, &head))
                return 0;
        if (row.first == 0 || row.first > row.second)
                return refuse(r, E_FORM, "consistency is proved from a size of 1 or more to one as large or larger");
        f = row.second > tiles_size(r->broker->tiles) ? -ERANGE : merkle_prove_consistency(&s, row.first, row.second, path, &n);
        if (f == 0 && head.note)
                f = must_lead(&s, &row, &head, path, n);
        if (f < 0)
                return hand_on(r, f);
        row.checkpoint = head.note ? (char *)head.note : row.checkpoint;
        row.path = path_data(r->arena, path, n);
        row.n_path = n;
        if (!row.path)
                return -ENOMEM;
        reading_add(r, message_pack(r->arena, &row.base));
        return 0;
}
