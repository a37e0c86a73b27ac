/* intent: one row a field. */
#include "common/intent.h"

#include "common/credential.h"
#include "common/envelope.h"
#include "common/macro.h"

#define ITEMS_MAX 1024
#define TEXT_MAX_BYTES 512
#define RESOURCE_MAX_BYTES 32

/* Byte strings: this long, or empty. */
static const struct { const char *name; size_t offset, n; } runs[] = {
#define RUN(field, n) { #field, offsetof(Shuyi__V1__Intent, field), n }
        RUN(view, DIGEST_BYTES),
        RUN(filter_digest, DIGEST_BYTES),
        RUN(secrecy_review, DIGEST_BYTES),
        RUN(request, DIGEST_BYTES),
        RUN(grant, DIGEST_BYTES),
        RUN(records_root, DIGEST_BYTES),
        RUN(key_id, DIGEST_BYTES),
        RUN(stream, DIGEST_BYTES),
        RUN(prev_digest, DIGEST_BYTES),
        RUN(in_reply_to, DIGEST_BYTES),
        RUN(agent, ID_BYTES),
        RUN(object, DIGEST_BYTES),
#undef RUN
};

/* Texts: at most this many bytes; `check` where the text is not empty. */
static const struct { const char *name; size_t offset, most; bool (*check)(const char *text); } texts[] = {
#define TEXT(field, most, check) { #field, offsetof(Shuyi__V1__Intent, field), most, check }
        TEXT(from, 18, department_check),
        TEXT(to, 18, department_check),
        TEXT(resource, RESOURCE_MAX_BYTES, NULL),
        TEXT(purpose, TEXT_MAX_BYTES, NULL),
        TEXT(incident, TEXT_MAX_BYTES, NULL),
        TEXT(via_dept, 18, department_check),
        TEXT(on_behalf_of, 18, department_check),
#undef TEXT
};

/* Word numbers: of this list, or 0. */
static const struct { const char *name; size_t offset; enum word_list list; } words[] = {
#define WORD(field, list) { #field, offsetof(Shuyi__V1__Intent, field), list }
        WORD(channel, LIST_channel),
        WORD(method, LIST_share_method),
        WORD(medium, LIST_medium),
        WORD(use_class, LIST_use_class),
#undef WORD
};

static const void *at(const Shuyi__V1__Intent *i, size_t offset)
{
        return (const char *)i + offset;
}

static const char *check_runs(const Shuyi__V1__Intent *i)
{
        for (size_t k = 0; k < ELEMENTS(runs); k++) {
                const ProtobufCBinaryData *b = at(i, runs[k].offset);

                if (b->len != 0 && b->len != runs[k].n)
                        return runs[k].name;
        }
        return NULL;
}

static const char *check_texts(const Shuyi__V1__Intent *i)
{
        for (size_t k = 0; k < ELEMENTS(texts); k++) {
                const char *t = *(char *const *)at(i, texts[k].offset);

                if (t[0] == 0)
                        continue;
                if (strlen(t) > texts[k].most || (texts[k].check && !texts[k].check(t)))
                        return texts[k].name;
        }
        return NULL;
}

static const char *check_words(const Shuyi__V1__Intent *i)
{
        for (size_t k = 0; k < ELEMENTS(words); k++) {
                uint32_t v = *(const uint32_t *)at(i, words[k].offset);

                if (v != 0 && !word_known(words[k].list, v))
                        return words[k].name;
        }
        return NULL;
}

static const char *check_id(const Shuyi__V1__Intent *i)
{
        struct id id;

        if (!bytes_copy_exact(bytes_of(i->id.data, i->id.len), id.b, ID_BYTES) || !uuid7_check(&id))
                return "id";
        if (i->created_at == 0 || uuid7_time(&id) != i->created_at)
                return "created_at";
        if (i->expires_at != 0 && i->expires_at <= i->created_at)
                return "expires_at";
        return NULL;
}

static const char *check_items(const Shuyi__V1__Intent *i)
{
        if (i->n_items > ITEMS_MAX)
                return "items";
        for (size_t k = 0; k < i->n_items; k++)
                if (i->items[k] == 0 || (k > 0 && i->items[k] <= i->items[k - 1]))
                        return "items";
        return NULL;
}

const char *intent_check_form(const Shuyi__V1__Intent *i)
{
        const char *wrong;

        if (i->suite != SUITE_1)
                return "suite";
        if (!kind_find(i->kind))
                return "kind";
        if (!domain_check(i->domain))
                return "domain";
        if (i->emergency > 1)
                return "emergency";
        if (i->seen && (i->seen->root.len != DIGEST_BYTES || i->seen->epoch == 0))
                return "seen";
        wrong = check_id(i);
        if (!wrong)
                wrong = check_items(i);
        if (!wrong)
                wrong = check_runs(i);
        if (!wrong)
                wrong = check_texts(i);
        return wrong ? wrong : check_words(i);
}
