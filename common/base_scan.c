/* base_scan: the rows of a BASE, chunk by chunk: each checked, digested, and put into a store where there is one. */
#include "common/base_internal.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* 1 and a chunk of *ret_n bytes at s->p; 0 at the end; -EBADMSG. */
static int next_chunk(struct base_scan *s, size_t *ret_n)
{
        uint8_t head[CHUNK_OVERHEAD], check[CHECK_BYTES];
        size_t n;

        if (fread(head, 1, sizeof(head), s->f) != sizeof(head))
                return ferror(s->f) ? -EIO : -EBADMSG;
        n = get_be32(head);
        if (n > CHUNK_MAX)
                return -EBADMSG;
        if (n > s->room) {
                uint8_t *p = realloc(s->p, n);

                if (!p)
                        return -ENOMEM;
                s->p = p;
                s->room = n;
        }
        if (n > 0 && fread(s->p, 1, n, s->f) != n)
                return ferror(s->f) ? -EIO : -EBADMSG;
        base_chunk_check(s->p, n, s->chunk++, check);
        if (memcmp(check, head + 4, CHECK_BYTES) != 0)
                return -EBADMSG;
        crypto_generichash_update(&s->content, head, sizeof(head));
        crypto_generichash_update(&s->content, s->p, n);
        *ret_n = n;
        return n > 0;
}

static int hold_meta(struct base_scan *s, struct bytes value)
{
        uint8_t *p = malloc(value.n + 1);

        if (!p || s->meta.p) {
                free(p);
                return p ? -EBADMSG : -ENOMEM;
        }
        memcpy(p, value.p, value.n);
        s->meta = bytes_of(p, value.n);
        return 0;
}

static int keep_row(struct base_scan *s, enum section section, struct bytes key, struct bytes value)
{
        int r;

        if (section == SECTION_STATE && bytes_equal(key, bytes_of(&base_meta_key, 1)))
                return hold_meta(s, value);
        r = store_append(s->store, base_databases[section], key, value);
        if (r < 0 || ++s->pending < ROWS_A_COMMIT)
                return r == -EEXIST ? -EBADMSG : r;
        s->pending = 0;
        r = store_commit(s->store);
        return r < 0 ? r : store_begin(s->store);
}

static int take_row(struct base_scan *s, enum section section, struct bytes key, struct bytes value)
{
        if (section < SECTION_STATE || section >= SECTION_END || section < s->section)
                return -EBADMSG;
        s->section = section;
        if (section == SECTION_STATE) {
                s->state = fold_row_digest(&s->state, key, value);
                s->rows++;
        } else if (section == SECTION_OUTCOMES) {
                s->outcomes++;
        } else {
                s->found++;
        }
        return s->store ? keep_row(s, section, key, value) : 0;
}

static int take_chunk(struct base_scan *s, const uint8_t *p, size_t n)
{
        int r = 0;

        while (r == 0 && n > 0) {
                size_t key_n, value_n;

                if (n < ROW_OVERHEAD)
                        return -EBADMSG;
                key_n = get_be16(p + 1);
                value_n = get_be32(p + 3);
                if (key_n == 0 || key_n > n - ROW_OVERHEAD || value_n > n - ROW_OVERHEAD - key_n)
                        return -EBADMSG;
                r = take_row(s, p[0], bytes_of(p + ROW_OVERHEAD, key_n), bytes_of(p + ROW_OVERHEAD + key_n, value_n));
                p += ROW_OVERHEAD + key_n + value_n;
                n -= ROW_OVERHEAD + key_n + value_n;
        }
        return r;
}

int base_scan_rows(struct base_scan *s, const _Atomic bool *stop, struct digest *ret_content)
{
        size_t n;
        int r;

        crypto_generichash_init(&s->content, NULL, 0, DIGEST_BYTES);
        while ((r = next_chunk(s, &n)) > 0) {
                r = stop && atomic_load(stop) ? -ECANCELED : take_chunk(s, s->p, n);
                if (r < 0)
                        return r;
        }
        if (r == 0 && fgetc(s->f) != EOF)
                return -EBADMSG;
        crypto_generichash_final(&s->content, ret_content->b, DIGEST_BYTES);
        return r;
}

bool base_same_counts(const struct base_scan *s, const struct base_header *h)
{
        return s->rows == h->b.rows && s->outcomes == h->b.outcomes && s->found == h->b.found;
}
