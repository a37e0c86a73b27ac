/* keydir: growing arrays while it is built, then open-addressed tables over them that never change.
 *
 * Keys of the tables are digests and public keys: who chooses them cannot choose their bits freely enough to matter, but
 * a registered department could grind keys into one bucket, so the hash is seeded by the directory's own
 * random number: siphash (crypto_shorthash).  Two mistakes are kept apart by their tables: a root key is found under ROOT only. */
#include "common/keydir.h"

#include "common/macro.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

struct key {
        struct digest id;
        uint32_t suite;
        uint8_t key[32];
        char department[19];
};

/* Slots hold index + 1; 0 is free.  At most half full, so a search ends. */
struct table { uint32_t *slots; size_t mask; };

struct keydir {
        atomic_uint references;
        uint8_t seed[crypto_shorthash_KEYBYTES];
        struct key *credentials, *roots;
        struct keydir_link *links;
        size_t credentials_n, roots_n, links_n;
        struct table by_id, by_link_key, by_link;
};

struct keydir_builder {
        struct keydir *d;
        size_t credentials_room, roots_room, links_room;
};

static void keydir_free(struct keydir *d)
{
        if (!d)
                return;
        free(d->credentials);
        free(d->roots);
        free(d->links);
        free(d->by_id.slots);
        free(d->by_link_key.slots);
        free(d->by_link.slots);
        free(d);
}

/* ---- building ---- */

struct keydir_builder *keydir_builder_new(void)
{
        struct keydir_builder *b = calloc(1, sizeof(*b));

        if (!b)
                return NULL;
        b->d = calloc(1, sizeof(*b->d));
        if (!b->d) {
                free(b);
                return NULL;
        }
        atomic_init(&b->d->references, 1);
        randombytes_buf(b->d->seed, sizeof(b->d->seed));
        return b;
}

void keydir_builder_free(struct keydir_builder *b)
{
        if (!b)
                return;
        keydir_free(b->d);
        free(b);
}

/* Room for one more of `size` bytes at *array; NULL if there is none. */
static void *grow(void *array, size_t n, size_t *room, size_t size)
{
        size_t more = *room ? *room * 2 : 64;
        void *p;

        if (n < *room)
                return array;
        if (n >= UINT32_MAX / 4)
                return NULL;
        p = reallocarray(array, more, size);
        if (p)
                *room = more;
        return p;
}

static int add_key(struct key **array, size_t *n, size_t *room, const struct digest *id, uint32_t suite, const uint8_t key[32], const char *department)
{
        struct key *p = grow(*array, *n, room, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *array = p;
        p += (*n)++;
        *p = (struct key){ .id = *id, .suite = suite };
        memcpy(p->key, key, 32);
        strncpy(p->department, department, sizeof(p->department) - 1);
        return 0;
}

int keydir_add_credential(struct keydir_builder *b, const struct digest *id, uint32_t suite, const uint8_t sign_key[32], const char *department)
{
        return add_key(&b->d->credentials, &b->d->credentials_n, &b->credentials_room, id, suite, sign_key, department);
}

int keydir_add_root(struct keydir_builder *b, const struct digest *id, uint32_t suite, const uint8_t key[32])
{
        return add_key(&b->d->roots, &b->d->roots_n, &b->roots_room, id, suite, key, "");
}

int keydir_add_link(struct keydir_builder *b, const struct keydir_link *link)
{
        struct keydir_link *p = grow(b->d->links, b->d->links_n, &b->links_room, sizeof(*p));

        if (!p)
                return -ENOMEM;
        b->d->links = p;
        p[b->d->links_n++] = *link;
        return 0;
}

/* ---- tables ---- */

static size_t hash(const struct keydir *d, const void *key, size_t n)
{
        uint8_t h[crypto_shorthash_BYTES];
        uint64_t v;

        crypto_shorthash(h, key, n, d->seed);
        memcpy(&v, h, sizeof(v));
        return (size_t)v;
}

static bool table_init(struct table *t, size_t n)
{
        size_t slots = 16;

        while (slots < 2 * n)
                slots *= 2;
        t->slots = calloc(slots, sizeof(*t->slots));
        t->mask = slots - 1;
        return t->slots != NULL;
}

static void table_add(struct table *t, size_t h, size_t index)
{
        while (t->slots[h & t->mask])
                h++;
        t->slots[h & t->mask] = (uint32_t)index + 1;
}

/* The next candidate for hash *h, and moves on; NULL index is 0. */
static uint32_t table_next(const struct table *t, size_t *h)
{
        return t->slots[(*h)++ & t->mask];
}

struct keydir *keydir_build(struct keydir_builder *b)
{
        struct keydir *d = TAKE(b->d);

        keydir_builder_free(b);
        if (!table_init(&d->by_id, d->credentials_n) || !table_init(&d->by_link_key, d->links_n) || !table_init(&d->by_link, d->links_n)) {
                keydir_free(d);
                return NULL;
        }
        for (size_t i = 0; i < d->credentials_n; i++)
                table_add(&d->by_id, hash(d, d->credentials[i].id.b, DIGEST_BYTES), i);
        for (size_t i = 0; i < d->links_n; i++) {
                table_add(&d->by_link_key, hash(d, d->links[i].link_key, 32), i);
                table_add(&d->by_link, hash(d, &d->links[i].link, sizeof(uint32_t)), i);
        }
        return d;
}

struct keydir *keydir_ref(struct keydir *d)
{
        atomic_fetch_add_explicit(&d->references, 1, memory_order_relaxed);
        return d;
}

void keydir_unref(struct keydir *d)
{
        if (d && atomic_fetch_sub_explicit(&d->references, 1, memory_order_acq_rel) == 1)
                keydir_free(d);
}

/* ---- finding ---- */

static const struct key *find_credential(const struct keydir *d, const struct digest *id)
{
        size_t h = hash(d, id->b, DIGEST_BYTES);

        for (uint32_t i; (i = table_next(&d->by_id, &h)) != 0;)
                if (memcmp(d->credentials[i - 1].id.b, id->b, DIGEST_BYTES) == 0)
                        return &d->credentials[i - 1];
        return NULL;
}

static const struct key *find_root(const struct keydir *d, const struct digest *id)
{
        for (size_t i = 0; i < d->roots_n; i++)
                if (memcmp(d->roots[i].id.b, id->b, DIGEST_BYTES) == 0)
                        return &d->roots[i];
        return NULL;
}

static int find_key(void *ctx, const struct digest *id, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        const struct keydir *d = ctx;
        const struct key *k = capacity == ROLE_ROOT ? find_root(d, id) : find_credential(d, id);

        if (!k)
                return 0;
        memcpy(ret_key, k->key, 32);
        *ret_suite = k->suite;
        return 1;
}

struct key_source keydir_keys(const struct keydir *d)
{
        return (struct key_source){ find_key, (void *)(uintptr_t)d };
}

const struct keydir_link *keydir_find_link(const struct keydir *d, const uint8_t link_key[32])
{
        size_t h = hash(d, link_key, 32);

        for (uint32_t i; (i = table_next(&d->by_link_key, &h)) != 0;)
                if (memcmp(d->links[i - 1].link_key, link_key, 32) == 0)
                        return &d->links[i - 1];
        return NULL;
}

const struct keydir_link *keydir_link_at(const struct keydir *d, uint32_t link)
{
        size_t h = hash(d, &link, sizeof(link));

        for (uint32_t i; (i = table_next(&d->by_link, &h)) != 0;)
                if (d->links[i - 1].link == link)
                        return &d->links[i - 1];
        return NULL;
}

const char *keydir_department(const struct keydir *d, const struct digest *credential)
{
        const struct key *k = find_credential(d, credential);

        return k ? k->department : NULL;
}

/* ---- the slot ---- */

/* The mutex spans "read the pointer, take a reference", which no single atomic can; it is held for a few instructions
 * and is a leaf: nothing else is locked under it. */
struct keydir_slot {
        pthread_mutex_t lock;
        struct keydir *current;
};

struct keydir_slot *keydir_slot_new(void)
{
        struct keydir_slot *s = calloc(1, sizeof(*s));

        if (s && pthread_mutex_init(&s->lock, NULL) != 0) {
                free(s);
                return NULL;
        }
        return s;
}

void keydir_slot_free(struct keydir_slot *s)
{
        if (!s)
                return;
        keydir_unref(s->current);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

void keydir_slot_set(struct keydir_slot *s, struct keydir *d)
{
        struct keydir *old;

        pthread_mutex_lock(&s->lock);
        old = s->current;
        s->current = d;
        pthread_mutex_unlock(&s->lock);
        keydir_unref(old);
}

struct keydir *keydir_slot_get(struct keydir_slot *s)
{
        struct keydir *d;

        pthread_mutex_lock(&s->lock);
        d = s->current ? keydir_ref(s->current) : NULL;
        pthread_mutex_unlock(&s->lock);
        return d;
}
