/* memo: struct exchange. */
#include "common/exchange/memo.h"

#include "common/credential.h"

#include <errno.h>
#include <stdlib.h>

struct exchange {
        char domain[7];
        struct policy *policy;
        struct calendar *calendar;
        struct digest policy_digest, calendar_digest;
};

struct exchange *exchange_new(const char *domain)
{
        struct exchange *x;

        if (strlen(domain) != 6)
                return NULL;
        x = calloc(1, sizeof(*x));
        if (x)
                memcpy(x->domain, domain, 6);
        return x;
}

void exchange_free(struct exchange *x)
{
        if (!x)
                return;
        policy_free(x->policy);
        calendar_free(x->calendar);
        free(x);
}

void exchange_freep(struct exchange **x)
{
        exchange_free(*x);
}

const char *memo_domain(const struct exchange *x)
{
        return x->domain;
}

/* The document in force, borrowed from the arena. */
static int read_document(struct turn *t, enum table table, const struct digest *digest, struct bytes *ret)
{
        Shuyi__V1__DocumentRow *row = turn_get_row(t, TURN_KEY(t, table, (struct bytes){ 0 }), &shuyi__v1__document_row__descriptor);

        if (!row)
                return t->fault ? t->fault : -EBADMSG;
        if (!bytes_equal(bytes_digest(digest), bytes_of(row->digest.data, row->digest.len)))
                return -EBADMSG;
        *ret = bytes_of(row->bytes_.data, row->bytes_.len);
        return 0;
}

static int fill_policy(struct exchange *x, struct turn *t, const struct digest *digest)
{
        struct bytes text;
        int r;

        if (x->policy && digest_equal(&x->policy_digest, digest))
                return 0;
        r = read_document(t, TABLE_POLICY, digest, &text);
        if (r < 0)
                return r;
        policy_free(x->policy);
        x->policy = policy_parse(text, NULL, NULL);
        x->policy_digest = *digest;
        return x->policy ? 0 : -EBADMSG;
}

static int fill_calendar(struct exchange *x, struct turn *t, const struct digest *digest)
{
        struct bytes text;
        int r;

        if (x->calendar && digest_equal(&x->calendar_digest, digest))
                return 0;
        r = read_document(t, TABLE_CALENDAR, digest, &text);
        if (r < 0)
                return r;
        calendar_free(x->calendar);
        x->calendar = calendar_parse(text, NULL);
        x->calendar_digest = *digest;
        return x->calendar ? 0 : -EBADMSG;
}

static bool named(const ProtobufCBinaryData *digest, struct digest *ret)
{
        return bytes_copy_exact(bytes_of(digest->data, digest->len), ret->b, DIGEST_BYTES);
}

int memo_fill(struct exchange *x, struct turn *t)
{
        struct digest digest;
        int r;

        if (named(&t->meta->policy_digest, &digest)) {
                r = fill_policy(x, t, &digest);
                if (r < 0)
                        return r;
                t->policy = x->policy;
                t->policy_digest = digest;
        }
        if (named(&t->meta->calendar_digest, &digest)) {
                r = fill_calendar(x, t, &digest);
                if (r < 0)
                        return r;
                t->calendar = x->calendar;
        }
        return 0;
}
