/* record: leaves and roots over records, and whether values fit their items.
 *
 * A check answers a code and never a value: codes stand in logs and refusals, values only under seals. */
#include "common/record.h"

#include "common/base64.h"
#include "common/digest.h"
#include "common/idcode.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/words.h"

#define DIGITS_MAX 38                           /* of a number whose item gives no length */
#define KEY_MAX_BYTES 1024
#define KEY_SEPARATOR 0x1f                      /* between the parts of a record key */
#define SALT_BYTES 16

/* ---- proofs ---- */

struct digest record_leaf(const uint8_t seed[32], uint32_t index, struct bytes record)
{
        struct digest salt;
        uint8_t at[4];

        put_be32(at, index);
        salt = DIGEST_OF(CTX_RECORD_SALT, bytes_of(seed, 32), bytes_of(at, sizeof(at)));
        return DIGEST_OF(CTX_RECORD_LEAF, bytes_of(salt.b, SALT_BYTES), record);
}

struct digest record_root(const uint8_t seed[32], const ProtobufCBinaryData *records, size_t n, struct digest *leaves)
{
        for (size_t i = 0; i < n; i++)
                leaves[i] = record_leaf(seed, (uint32_t)i, bytes_of(records[i].data, records[i].len));
        return merkle_records_root(leaves, n);
}

struct digest row_leaf(struct bytes row)
{
        return DIGEST_OF(CTX_ROW_LEAF, row);
}

/* ---- values, one function a type ---- */

static size_t digits(const char *s)
{
        return strspn(s, "0123456789");
}

static const char *check_text(const Shuyi__V1__Item *item, const char *s)
{
        size_t n = 0;

        for (const char *p = s; *p; p++) {
                if (*p == KEY_SEPARATOR)
                        return "charset";
                n += ((uint8_t)*p & 0xc0) != 0x80;              /* characters, not bytes */
        }
        return item->length > 0 && n > item->length ? "length" : NULL;
}

/* -12.50: no plus, no leading zeros, no minus zero, a digit on both sides of the point. */
static const char *check_decimal(const Shuyi__V1__Item *item, const char *s)
{
        const char *whole = s + (*s == '-'), *p = whole, *fraction = "";
        size_t whole_n = digits(p), fraction_n = 0, most = item->length ? item->length : DIGITS_MAX;

        if (whole_n == 0 || (whole_n > 1 && *p == '0'))
                return "type";
        p += whole_n;
        if (*p == '.') {
                fraction = p + 1;
                fraction_n = digits(fraction);
                p = fraction + fraction_n;
                if (fraction_n == 0)
                        return "type";
        }
        if (*p)
                return "type";
        if (*s == '-' && strspn(whole, "0.") == strlen(whole))
                return "type";
        if (*whole == '0')
                whole_n = 0;                                    /* 0.5 has no digit before the point that counts */
        if (item->length > 0 && fraction_n > item->scale)
                return "scale";
        return whole_n + (item->length ? item->scale : fraction_n) > most ? "length" : NULL;
}

static const char *check_integer(const Shuyi__V1__Item *item, const char *s)
{
        static const char most[] = "9223372036854775807", least[] = "9223372036854775808";
        const char *p = s + (*s == '-');
        size_t n = digits(p);

        if (n == 0 || p[n] || (*p == '0' && (n > 1 || p != s)))
                return "type";
        if (n > 19 || (n == 19 && strcmp(p, p == s ? most : least) > 0))
                return "length";
        return NULL;
}

/* A binary floating number as text: -1.5, 2e10, 6.02E+23. */
static const char *check_float(const Shuyi__V1__Item *item, const char *s)
{
        const char *p = s + (*s == '-');
        size_t n = digits(p);

        if (n == 0 || n > 40 || (n > 1 && *p == '0'))
                return "type";
        p += n;
        if (*p == '.') {
                n = digits(++p);
                if (n == 0 || n > 40)
                        return "type";
                p += n;
        }
        if (*p == 'e' || *p == 'E') {
                p++;
                p += *p == '+' || *p == '-';
                n = digits(p);
                if (n == 0 || n > 3)
                        return "type";
                p += n;
        }
        return *p ? "type" : NULL;
}

static const char *check_date(const Shuyi__V1__Item *item, const char *s)
{
        day_number d;

        return times_parse_date(s, &d) ? NULL : "type";
}

/* HH:MM as two-digit numbers within their bounds; false otherwise. */
static bool hours_minutes(const char *s)
{
        if (digits(s) != 2 || s[2] != ':' || digits(s + 3) != 2)
                return false;
        return (s[0] - '0') * 10 + s[1] - '0' < 24 && s[3] < '6';
}

/* Z, +08:00 or -05:30, and nothing behind it. */
static bool check_zone(const char *s)
{
        if (strcmp(s, "Z") == 0)
                return true;
        return (*s == '+' || *s == '-') && strlen(s) == 6 && hours_minutes(s + 1);
}

/* "2026-02-12T10:00:00.5+08:00", or "2026-02-12 10:00:00" of Shanghai. */
static const char *check_time(const Shuyi__V1__Item *item, const char *s)
{
        char date[11];
        day_number d;

        if (strlen(s) < 19)
                return "type";
        memcpy(date, s, 10);
        date[10] = 0;
        if (!times_parse_date(date, &d) || (s[10] != 'T' && s[10] != ' ') || !hours_minutes(s + 11))
                return "type";
        if (s[16] != ':' || digits(s + 17) != 2 || s[17] > '5')
                return "type";
        if (s[10] == ' ')
                return s[19] ? "type" : NULL;
        s += 19;
        if (*s == '.') {
                size_t n = digits(s + 1);

                if (n == 0 || n > 9)
                        return "type";
                s += 1 + n;
        }
        return check_zone(s) ? NULL : "type";
}

static const char *check_bool(const Shuyi__V1__Item *item, const char *s)
{
        return strcmp(s, "true") == 0 || strcmp(s, "false") == 0 ? NULL : "type";
}

/* Standard base64 with padding; the item's length counts the bytes that it stands for. */
static const char *check_base64(const Shuyi__V1__Item *item, const char *s)
{
        size_t n = strlen(s), bytes = n / 4 * 3, got;
        uint8_t block[48];

        if (n % 4 != 0)
                return "type";
        for (size_t at = 0; at < n; at += 64) {
                size_t m = n - at < 64 ? n - at : 64;

                if (!base64_decode(bytes_of(s + at, m), block, sizeof(block), &got))
                        return "type";
                if (got != m / 4 * 3 && at + m != n)
                        return "type";                          /* padding before the end */
                bytes -= m / 4 * 3 - got;
        }
        return item->length > 0 && bytes > item->length ? "length" : NULL;
}

static const struct { char type; bool may_be_empty; const char *(*check)(const Shuyi__V1__Item *item, const char *text); } types[] = {
        { 'C', true, check_text },
        { 'M', true, check_text },
        { 'N', false, check_decimal },
        { 'Y', false, check_decimal },
        { 'I', false, check_integer },
        { 'B', false, check_float },
        { 'F', false, check_float },
        { 'D', false, check_date },
        { 'T', false, check_time },
        { 'L', false, check_bool },
        { 'G', true, check_base64 },
};

static const char *check_identifier(const Shuyi__V1__Item *item, const char *s, int32_t today)
{
        const char *wrong = NULL;

        if (item->identifier_kind == IDENT_RESIDENT_ID)
                wrong = idcode_check_resident(bytes_str(s), today);
        else if (item->identifier_kind == IDENT_USCC)
                wrong = idcode_check_uscc(bytes_str(s));
        if (wrong && strcmp(wrong, "org_checksum") == 0)
                return NULL;                                    /* a warning: reported elsewhere, not refused */
        return wrong;
}

const char *value_check(const Shuyi__V1__Item *item, const Shuyi__V1__Value *v, int32_t today)
{
        if (v->null) {
                if (v->text[0])
                        return "type";
                return item->nullable ? NULL : "null";
        }
        for (size_t i = 0; i < ELEMENTS(types); i++) {
                const char *wrong;

                if (item->data_type != (uint32_t)types[i].type)
                        continue;
                if (v->text[0] == 0 && !types[i].may_be_empty)
                        return "type";
                wrong = types[i].check(item, v->text);
                return wrong ? wrong : check_identifier(item, v->text, today);
        }
        return "type";
}

/* ---- records ---- */

static const Shuyi__V1__Item *find_item(const Shuyi__V1__Entry *entry, uint32_t no)
{
        for (size_t i = 0; i < entry->n_items; i++)
                if (entry->items[i]->item_no == no)
                        return entry->items[i];
        return NULL;
}

static const Shuyi__V1__Value *find_value(const Shuyi__V1__Record *r, uint32_t no)
{
        for (size_t i = 0; i < r->n_values; i++)
                if (r->values[i]->item == no)
                        return r->values[i];
        return NULL;
}

static bool granted(uint32_t no, const uint32_t *items, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (items[i] == no)
                        return true;
        return false;
}

static const char *check_values(const Shuyi__V1__Entry *entry, const uint32_t *items, size_t n, const Shuyi__V1__Record *r, int32_t today, uint32_t *ret_item)
{
        uint32_t last = 0;

        for (size_t i = 0; i < r->n_values; i++) {
                const Shuyi__V1__Value *v = r->values[i];
                const Shuyi__V1__Item *item = find_item(entry, v->item);
                const char *wrong;

                *ret_item = v->item;
                if (v->item <= last)
                        return "order";
                last = v->item;
                if (!item || !granted(v->item, items, n))
                        return "items";
                wrong = value_check(item, v, today);
                if (wrong)
                        return wrong;
        }
        return NULL;
}

/* An upsert is the whole record as the items show it: what may not be null may not be absent. */
static const char *check_complete(const Shuyi__V1__Entry *entry, const uint32_t *items, size_t n, const Shuyi__V1__Record *r, uint32_t *ret_item)
{
        for (size_t i = 0; i < entry->n_items; i++) {
                const Shuyi__V1__Item *item = entry->items[i];

                *ret_item = item->item_no;
                if (!item->nullable && granted(item->item_no, items, n) && !find_value(r, item->item_no))
                        return "null";
        }
        return NULL;
}

/* The next part of a record key; NULL past the last. */
static const char *next_part(const char *p, size_t *ret_n)
{
        *ret_n = strcspn(p, "\x1f");
        return p[*ret_n] ? p + *ret_n + 1 : NULL;
}

/* Has the key one part for each key item, and is each the value of that item where the record shows it? */
static const char *check_key(const Shuyi__V1__Entry *entry, const Shuyi__V1__Record *r, uint32_t *ret_item)
{
        const char *p = r->key;

        for (size_t i = 0; i < entry->n_items; i++) {
                const Shuyi__V1__Item *item = entry->items[i];
                const Shuyi__V1__Value *v;
                const char *next;
                size_t n;

                if (!item->key)
                        continue;
                *ret_item = item->item_no;
                if (!p)
                        return "key";
                next = next_part(p, &n);
                v = find_value(r, item->item_no);
                if (n == 0 || (v && (v->null || strlen(v->text) != n || memcmp(v->text, p, n) != 0)))
                        return "key";
                p = next;
        }
        *ret_item = 0;
        return p == r->key || !p ? NULL : "key";                /* no key items: any text is a key */
}

const char *record_check(const Shuyi__V1__Entry *entry, const uint32_t *items, size_t n, const Shuyi__V1__Record *r, int32_t today, uint32_t *ret_item)
{
        const char *wrong;

        *ret_item = 0;
        if (!word_known(LIST_record_op, r->op))
                return "op";
        if (r->key[0] == 0 || strlen(r->key) > KEY_MAX_BYTES)
                return "key";
        if (r->changed_at == 0)
                return "changed_at";
        if (r->op == OP_DELETE && r->n_values > 0)
                return "values";
        wrong = check_values(entry, items, n, r, today, ret_item);
        if (!wrong && r->op == OP_UPSERT)
                wrong = check_complete(entry, items, n, r, ret_item);
        if (!wrong)
                wrong = check_key(entry, r, ret_item);
        return wrong;
}

void record_project(Shuyi__V1__Record *r, const uint32_t *items, size_t n)
{
        size_t kept = 0;

        for (size_t i = 0; i < r->n_values; i++)
                if (granted(r->values[i]->item, items, n))
                        r->values[kept++] = r->values[i];
        r->n_values = kept;
}
