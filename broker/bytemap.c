/* bytemap: see the header.  Chains in a table that doubles. */
#include "broker/bytemap.h"
#include <errno.h>
#include <stdlib.h>

struct node { struct node *next; void *value; uint32_t hash; uint32_t n; uint8_t key[]; };
struct bytemap { struct node **buckets; size_t mask, size; };

static uint32_t hash_of(struct bytes b)
{
        uint32_t h = 2166136261u;

        for (size_t i = 0; i < b.n; i++)
                h = (h ^ b.p[i]) * 16777619u;
        return h ^ (h >> 15);
}

struct bytemap *bytemap_new(void)
{
        struct bytemap *m = calloc(1, sizeof(*m));

        if (!m)
                return NULL;
        m->mask = 255;
        m->buckets = calloc(m->mask + 1, sizeof(*m->buckets));
        if (!m->buckets) {
                free(m);
                return NULL;
        }
        return m;
}

void bytemap_free(struct bytemap *m, void (*free_value)(void *))
{
        if (!m)
                return;
        for (size_t i = 0; i <= m->mask; i++)
                for (struct node *n = m->buckets[i], *next; n; n = next) {
                        next = n->next;
                        if (free_value)
                                free_value(n->value);
                        free(n);
                }
        free(m->buckets);
        free(m);
}

static struct node **place_of(const struct bytemap *m, struct bytes key, uint32_t hash)
{
        struct node **at = &m->buckets[hash & m->mask];

        while (*at && !((*at)->hash == hash && bytes_equal(bytes_of((*at)->key, (*at)->n), key)))
                at = &(*at)->next;
        return at;
}

void *bytemap_get(const struct bytemap *m, struct bytes key)
{
        struct node *n = *place_of(m, key, hash_of(key));

        return n ? n->value : NULL;
}

static void grow(struct bytemap *m)
{
        size_t mask = m->mask * 2 + 1;
        struct node **buckets = calloc(mask + 1, sizeof(*buckets));

        if (!buckets)
                return;                 /* longer chains are no fault */
        for (size_t i = 0; i <= m->mask; i++)
                for (struct node *n = m->buckets[i], *next; n; n = next) {
                        next = n->next;
                        n->next = buckets[n->hash & mask];
                        buckets[n->hash & mask] = n;
                }
        free(m->buckets);
        m->buckets = buckets;
        m->mask = mask;
}

int bytemap_put(struct bytemap *m, struct bytes key, void *value)
{
        uint32_t hash = hash_of(key);
        struct node *n = *place_of(m, key, hash);

        if (n) {
                n->value = value;
                return 0;
        }
        n = malloc(sizeof(*n) + key.n);
        if (!n)
                return -ENOMEM;
        if (m->size > m->mask)
                grow(m);
        n->hash = hash;
        n->n = (uint32_t)key.n;
        n->value = value;
        memcpy(n->key, key.p, key.n);
        n->next = m->buckets[hash & m->mask];
        m->buckets[hash & m->mask] = n;
        m->size++;
        return 0;
}

void *bytemap_remove(struct bytemap *m, struct bytes key)
{
        struct node **at = place_of(m, key, hash_of(key)), *n = *at;
        void *value;

        if (!n)
                return NULL;
        *at = n->next;
        value = n->value;
        free(n);
        m->size--;
        return value;
}

size_t bytemap_size(const struct bytemap *m)
{
        return m->size;
}

void bytemap_each(const struct bytemap *m, void (*each)(struct bytes key, void *value, void *arg), void *arg)
{
        for (size_t i = 0; i <= m->mask; i++)
                for (struct node *n = m->buckets[i], *next; n; n = next) {
                        next = n->next;
                        each(bytes_of(n->key, n->n), n->value, arg);
                }
}
