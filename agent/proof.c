/* proof: see proof.h. */
#include "agent/proof.h"

#include <stdlib.h>

#include "common/digest.h"
#include "common/merkle.h"

static int by_seq(const void *a, const void *b)
{
        const struct proof_leaf *x = a, *y = b;

        return x->seq < y->seq ? -1 : x->seq > y->seq;
}

bool proof_sort(struct proof_leaf *leaves, size_t *n, uint64_t *ret_seq)
{
        size_t kept = 0;
        bool good = true;

        if (*n > 1)
                qsort(leaves, *n, sizeof(*leaves), by_seq);
        for (size_t i = 0; i < *n; i++) {
                if (kept == 0 || leaves[kept - 1].seq != leaves[i].seq) {
                        leaves[kept++] = leaves[i];
                } else if (good && !digest_equal(&leaves[kept - 1].hash, &leaves[i].hash)) {
                        *ret_seq = leaves[i].seq;
                        good = false;
                }
        }
        *n = kept;
        return good;
}

/* How many of the leaves stand side by side from the first on. */
static size_t run_of(const struct proof_leaf *leaves, size_t n, bool singly)
{
        size_t run = 1;

        while (!singly && run < n && leaves[run].seq == leaves[run - 1].seq + 1)
                run++;
        return run;
}

size_t proof_ask(const struct proof_leaf *leaves, size_t n, bool singly, uint64_t seqs[PROOF_ASK_MAX], size_t *ret_seqs)
{
        size_t asked = 0, done = 0;

        while (done < n) {
                size_t run = run_of(leaves + done, n - done, singly), ends = run > 1 ? 2 : 1;

                if (asked + ends > PROOF_ASK_MAX)
                        break;
                seqs[asked] = leaves[done].seq;
                seqs[asked + ends - 1] = leaves[done + run - 1].seq;
                asked += ends;
                done += run;
        }
        *ret_seqs = asked;
        return done;
}

/* ---- checking ---- */

/* For each level a node to the right of what was proved last, itself proved: where the next run may stop climbing. */
struct proved { uint64_t index[MERKLE_DEPTH_MAX]; struct digest node[MERKLE_DEPTH_MAX]; bool is[MERKLE_DEPTH_MAX]; };

struct side { const Shuyi__V1__LeafProof *proof; size_t at; };

/* The next hash of a path; false where there is none or it is no hash. */
static bool take(struct side *s, struct digest *ret)
{
        const ProtobufCBinaryData *d;

        if (s->at >= s->proof->n_path)
                return false;
        d = &s->proof->path[s->at++];
        if (d->len != DIGEST_BYTES)
                return false;
        memcpy(ret->b, d->data, DIGEST_BYTES);
        return true;
}

/* A run of nodes lo..hi on one level of a tree whose last node there is `last`. */
struct level { uint64_t lo, hi, last; struct digest *node; struct side left, right; };

/* One level up.  A node without a neighbour stands for its parent.  *ret_right: the right neighbour, if one was needed. */
static bool climb(struct level *l, bool *ret_has_right, struct digest *ret_right)
{
        bool has_left = l->lo & 1, has_right = !(l->hi & 1) && l->hi < l->last;
        size_t n = (size_t)(l->hi - l->lo + 1), i = 0, out = 0;
        struct digest left;

        if (has_left ? !take(&l->left, &left) : l->lo < l->last && !take(&l->left, &left))
                return false;
        if (has_right ? !take(&l->right, ret_right) : (l->hi & 1) && !take(&l->right, ret_right))
                return false;
        if (has_left)
                l->node[out++] = merkle_node(&left, &l->node[i++]);
        for (; i + 1 < n; i += 2)
                l->node[out++] = merkle_node(&l->node[i], &l->node[i + 1]);
        if (i < n)
                l->node[out] = has_right ? merkle_node(&l->node[i], ret_right) : l->node[i];
        l->lo >>= 1;
        l->hi >>= 1;
        l->last >>= 1;
        *ret_has_right = has_right;
        return true;
}

/* Climbs until the root or a node that is proved already. */
static bool check_run(struct level l, const struct digest *root, struct proved *known)
{
        struct proved came = { 0 };
        unsigned depth = 0;
        bool good;

        for (; l.last > 0; depth++) {
                if (l.lo == l.hi && known->is[depth] && known->index[depth] == l.lo)
                        break;
                came.index[depth] = l.hi + 1;
                if (!climb(&l, &came.is[depth], &came.node[depth]))
                        return false;
        }
        if (l.last > 0)
                good = digest_equal(&l.node[0], &known->node[depth]);
        else
                good = digest_equal(&l.node[0], root) && l.left.at == l.left.proof->n_path && l.right.at == l.right.proof->n_path;
        for (unsigned i = 0; good && i < depth; i++) {
                known->is[i] = came.is[i];
                known->index[i] = came.index[i];
                known->node[i] = came.node[i];
        }
        return good;
}

static bool ends_fit(const struct proof_leaf *leaf, const Shuyi__V1__LeafProof *p)
{
        return p->seq == leaf->seq && bytes_equal(bytes_of(p->leaf_hash.data, p->leaf_hash.len), bytes_digest(&leaf->hash));
}

size_t proof_check(const struct proof_leaf *leaves, size_t n, bool singly, const Shuyi__V1__ProofRow *answer, uint64_t size, const struct digest *root,
                   struct digest *scratch)
{
        struct proved known = { 0 };
        size_t done = 0, at = 0;

        while (done < n) {
                size_t run = run_of(leaves + done, n - done, singly), ends = run > 1 ? 2 : 1;
                struct level l = { .lo = leaves[done].seq - 1, .hi = leaves[done + run - 1].seq - 1, .last = size - 1, .node = scratch };

                if (at + ends > answer->n_proofs || size == 0 || leaves[done].seq == 0 || l.hi > l.last)
                        return done;
                l.left.proof = answer->proofs[at];
                l.right.proof = answer->proofs[at + ends - 1];
                if (!ends_fit(&leaves[done], l.left.proof) || !ends_fit(&leaves[done + run - 1], l.right.proof))
                        return done;
                for (size_t i = 0; i < run; i++)
                        scratch[i] = leaves[done + i].hash;
                if (!check_run(l, root, &known))
                        return done;
                at += ends;
                done += run;
        }
        return done;
}
