/* policy: reading a profile strictly, line by line beside the table of keys.
 *
 * Keys come in the order of the table, so line and row advance together and a missing, repeated or unknown
 * key shows at once.  What was read stays as text in one block; numbers are worked out once.  Pure. */
#include "common/policy.h"
#include "common/digest.h"
#include "common/macro.h"
#include "common/times.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ERROR_BYTES 200
#define TEXT_MAX_BYTES (64 * 1024)

enum type { ENUM, BOOL, WD, INT, SET, TEXT, DATE, YEAR_DAY };

struct key { const char *name; enum type type; uint32_t low, high; bool none; const char *allowed, *use; };

#define KEY_ROW(key, type, low, high, none, allowed, use) { #key, type, low, high, none, allowed, use },
static const struct key keys[] = { POLICY_KEYS(KEY_ROW) };

struct policy {
        const char *text[POLICY_KEY_COUNT], *citation[POLICY_KEY_COUNT];        /* into `block` */
        uint32_t number[POLICY_KEY_COUNT];
        struct bytes canonical;                 /* allocated */
        struct digest digest;
        char block[];                           /* the file, cut up with NULs */
};

/* 11: what must hold between keys: `a` is `a_word` exactly if `b` is `b_word`. */
static const struct { enum policy_key a; const char *a_word; enum policy_key b; const char *b_word; } pairs[] = {
        { POLICY_refuse_basis_levels, "none", POLICY_refuse_basis, "NO" },
        { POLICY_conditional_basis_levels, "none", POLICY_conditional_basis_required, "NO" },
        { POLICY_uncond_reply_wd, "none", POLICY_uncond_mode, "DIRECT" },
        { POLICY_authority_provide_wd, "none", POLICY_silence, "REPORT" },
        { POLICY_reply_ext_approver, "none", POLICY_reply_ext_wd, "0" },
        { POLICY_correction_ext_approver, "none", POLICY_correction_ext_wd, "0" },
        { POLICY_fix_wd, "none", POLICY_fix_within_check, "YES" },
        { POLICY_open_reply_wd, "none", POLICY_open_application, "NO" },
};

/* Takes the next word off a list joined by comma and space; false when it is used up. */
static bool take_word(const char **list, struct bytes *ret)
{
        size_t n = strcspn(*list, ",");

        if (**list == '\0')
                return false;
        *ret = bytes_of(*list, n);
        *list += n;
        if ((*list)[0] == ',' && (*list)[1] == ' ')
                *list += 2;
        return true;
}

static bool list_holds(const char *list, struct bytes word)
{
        struct bytes w;

        while (take_word(&list, &w) && w.n > 0)
                if (bytes_equal(w, word))
                        return true;
        return false;
}

/* One or more words of `allowed`, in its order, each once, joined by ", " and nothing else. */
static bool set_check(const char *value, const char *allowed)
{
        struct bytes word, next;

        do {
                size_t n = strcspn(value, ",");

                word = bytes_of(value, n);
                do {
                        if (!take_word(&allowed, &next))
                                return false;
                } while (!bytes_equal(word, next));
                value += n;
                if (*value == '\0')
                        return true;
        } while (*value++ == ',' && *value++ == ' ');
        return false;
}

static bool number_check(const char *value, uint32_t low, uint32_t high, uint32_t *ret)
{
        uint64_t v = 0;
        size_t n = strlen(value);

        if (n == 0 || n > 9 || (value[0] == '0' && n > 1))
                return false;
        for (; *value; value++) {
                if (*value < '0' || *value > '9')
                        return false;
                v = v * 10 + (uint64_t)(*value - '0');
        }
        *ret = (uint32_t)v;
        return v >= low && v <= high;
}

static bool text_check(const char *value, const struct key *key)
{
        size_t n = strlen(value), characters = 0;

        if (n == 0 || value[0] == ' ' || value[n - 1] == ' ')
                return false;
        for (const char *c = value; *c; c++) {
                if (*key->allowed && !strchr(key->allowed, *c))
                        return false;
                characters += (*c & 0xc0) != 0x80;
        }
        return characters >= key->low && characters <= key->high;
}

/* A day of every year: a common year decides. */
static bool year_day_check(const char *value, uint32_t *ret)
{
        char date[] = "2001-MM-DD";
        int year, month, day;
        day_number d;

        if (strlen(value) != 5)
                return false;
        memcpy(date + 5, value, 5);
        if (!times_parse_date(date, &d))
                return false;
        times_date_from_day(d, &year, &month, &day);
        *ret = (uint32_t)(month * 100 + day);
        return true;
}

static bool date_check(const char *value, uint32_t *ret)
{
        day_number d;

        if (!times_parse_date(value, &d) || d < 0)
                return false;
        *ret = (uint32_t)d;
        return true;
}

static bool value_check(const struct key *key, const char *value, uint32_t *ret_number)
{
        if (key->none && strcmp(value, "none") == 0) {
                *ret_number = POLICY_NONE;
                return true;
        }
        switch (key->type) {
        case ENUM:
        case BOOL: return list_holds(key->allowed, bytes_str(value));
        case WD:
        case INT: return number_check(value, key->low, key->high, ret_number);
        case SET: return set_check(value, key->allowed);
        case TEXT: return text_check(value, key);
        case DATE: return date_check(value, ret_number);
        case YEAR_DAY: return year_day_check(value, ret_number);
        }
        return false;
}

/* "must be 0..60 or none", for the error. */
static void describe(const struct key *key, char ret[ERROR_BYTES])
{
        const char *none = key->none ? ", or none" : "";

        switch (key->type) {
        case ENUM:
        case BOOL: snprintf(ret, ERROR_BYTES, "must be one of %s", key->allowed); break;
        case WD:
        case INT: snprintf(ret, ERROR_BYTES, "must be %u..%u%s", key->low, key->high, none); break;
        case SET: snprintf(ret, ERROR_BYTES, "must be some of %s in this order%s", key->allowed, none); break;
        case TEXT: snprintf(ret, ERROR_BYTES, "must be %u to %u characters%s%s", key->low, key->high, *key->allowed ? " of " : "", key->allowed); break;
        case DATE: snprintf(ret, ERROR_BYTES, "must be a date YYYY-MM-DD%s", none); break;
        case YEAR_DAY: snprintf(ret, ERROR_BYTES, "must be a day of every year MM-DD%s", none); break;
        }
}

static bool fail(char *ret_error, unsigned line, const char *key, const char *wrong)
{
        snprintf(ret_error, ERROR_BYTES, "line %u: %s%s%.160s", line, key, *key ? ": " : "", wrong);
        return false;
}

static unsigned find_key(const char *name)
{
        unsigned i;

        for (i = 0; i < POLICY_KEY_COUNT; i++)
                if (strcmp(keys[i].name, name) == 0)
                        break;
        return i;
}

/* The key on this line is not the one whose turn it is: which kind of mistake is it? */
static bool fail_key(char *ret_error, unsigned line, const char *name, unsigned turn)
{
        unsigned is = find_key(name);

        if (is == POLICY_KEY_COUNT)
                return fail(ret_error, line, "", "no such key");
        if (is < turn)
                return fail(ret_error, line, keys[is].name, "repeated, or not in the order of the table");
        return fail(ret_error, line, keys[turn].name, "missing, or not in the order of the table");
}

/* Cuts "  # comment" off the value; the comment goes to *ret_citation. */
static bool cut_comment(char *value, const char **ret_citation)
{
        char *hash = strchr(value, '#');

        *ret_citation = "";
        if (!hash)
                return true;
        if (hash - value < 2 || hash[-1] != ' ' || hash[-2] != ' ' || hash[1] != ' ' || hash[2] == '\0')
                return false;
        hash[-2] = '\0';
        *ret_citation = hash + 2;
        return true;
}

static bool parse_line(struct policy *p, char *text, unsigned line, unsigned *turn, char *ret_error)
{
        char *equals = strstr(text, " = "), allowed[ERROR_BYTES];
        const struct key *key = &keys[*turn];

        if (*text == '\0' || *text == '#')
                return true;
        if (!equals)
                return fail(ret_error, line, "", "must be empty, a # comment, or key = value");
        *equals = '\0';
        if (*turn == POLICY_KEY_COUNT || strcmp(text, key->name) != 0)
                return fail_key(ret_error, line, text, *turn);
        p->text[*turn] = equals + strlen(" = ");
        if (!cut_comment(equals + strlen(" = "), &p->citation[*turn]))
                return fail(ret_error, line, key->name, "a comment begins with two spaces, # and a space");
        if (!value_check(key, p->text[*turn], &p->number[*turn])) {
                describe(key, allowed);
                return fail(ret_error, line, key->name, allowed);
        }
        (*turn)++;
        return true;
}

static bool has_controls(struct bytes text)
{
        for (size_t i = 0; i < text.n; i++)
                if ((text.p[i] < ' ' && text.p[i] != '\n') || text.p[i] == 0x7f ||
                    (text.p[i] == 0xc2 && i + 1 < text.n && text.p[i + 1] < 0xa0))     /* U+0080 to U+009F */
                        return true;
        return false;
}

static bool parse_lines(struct policy *p, char *ret_error)
{
        unsigned line = 1, turn = 0;

        for (char *text = p->block, *lf; *text; text = lf + 1, line++) {
                if (!(lf = strchr(text, '\n')))
                        return fail(ret_error, line, "", "the last line does not end");
                *lf = '\0';
                if (!parse_line(p, text, line, &turn, ret_error))
                        return false;
        }
        return turn == POLICY_KEY_COUNT ? true : fail(ret_error, line, keys[turn].name, "missing");
}

static bool check_pairs(const struct policy *p, char *ret_error)
{
        for (unsigned i = 0; i < ELEMENTS(pairs); i++)
                if ((strcmp(p->text[pairs[i].a], pairs[i].a_word) == 0) != (strcmp(p->text[pairs[i].b], pairs[i].b_word) == 0)) {
                        snprintf(ret_error, ERROR_BYTES, "%s: must be %s exactly if %s = %s", keys[pairs[i].a].name,
                                 pairs[i].a_word, keys[pairs[i].b].name, pairs[i].b_word);
                        return false;
                }
        if (p->number[POLICY_verify_subject_day_max] > p->number[POLICY_verify_subject_life_max]) {
                snprintf(ret_error, ERROR_BYTES, "verify_subject_day_max: must not be above verify_subject_life_max");
                return false;
        }
        return true;
}

/* `key = value` LF of every key in order; its digest is the profile's name in records. */
static bool make_canonical(struct policy *p)
{
        size_t n = 0;
        char *to;

        for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
                n += strlen(keys[i].name) + strlen(" = ") + strlen(p->text[i]) + strlen("\n");
        if (!(to = malloc(n + 1)))
                return false;
        p->canonical = bytes_of(to, n);
        for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
                to += sprintf(to, "%s = %s\n", keys[i].name, p->text[i]);
        p->digest = DIGEST_OF(CTX_POLICY, p->canonical);
        return true;
}

static void policy_freep(struct policy **p)
{
        policy_free(*p);
}

struct policy *policy_parse(struct bytes text, const char *name, char *ret_error)
{
        _cleanup_(policy_freep) struct policy *p = NULL;
        char unread[ERROR_BYTES];

        if (!ret_error)
                ret_error = unread;
        if (text.n > TEXT_MAX_BYTES || !utf8_check(text) || has_controls(text)) {
                snprintf(ret_error, ERROR_BYTES, "must be at most 64 KiB of UTF-8 with LF and no other controls");
                return NULL;
        }
        if (!(p = calloc(1, sizeof(*p) + text.n + 1))) {
                snprintf(ret_error, ERROR_BYTES, "out of memory");
                return NULL;
        }
        if (text.n)
                memcpy(p->block, text.p, text.n);
        if (!parse_lines(p, ret_error) || !check_pairs(p, ret_error))
                return NULL;
        if (name && strcmp(p->text[POLICY_profile], name) != 0) {
                snprintf(ret_error, ERROR_BYTES, "profile: must equal the name of the file");
                return NULL;
        }
        if (!make_canonical(p)) {
                snprintf(ret_error, ERROR_BYTES, "out of memory");
                return NULL;
        }
        return TAKE(p);
}

void policy_free(struct policy *p)
{
        if (!p)
                return;
        free((void *)p->canonical.p);
        free(p);
}

struct bytes policy_canonical(const struct policy *p)
{
        return p->canonical;
}

struct digest policy_digest(const struct policy *p)
{
        return p->digest;
}

uint32_t policy_number(const struct policy *p, enum policy_key k)
{
        assert(keys[k].type == WD || keys[k].type == INT || keys[k].type == DATE || keys[k].type == YEAR_DAY);
        return p->number[k];
}

bool policy_is(const struct policy *p, enum policy_key k, const char *word)
{
        assert(keys[k].type == ENUM || keys[k].type == BOOL);
        assert(list_holds(keys[k].allowed, bytes_str(word)));
        return strcmp(p->text[k], word) == 0;
}

bool policy_has(const struct policy *p, enum policy_key k, const char *word)
{
        assert(keys[k].type == SET);
        return list_holds(p->text[k], bytes_str(word));
}

const char *policy_text(const struct policy *p, enum policy_key k)
{
        assert((unsigned)k < POLICY_KEY_COUNT);
        return p->text[k];
}

const char *policy_key_name(enum policy_key k)
{
        assert((unsigned)k < POLICY_KEY_COUNT);
        return keys[k].name;
}

const char *policy_key_use(enum policy_key k)
{
        assert((unsigned)k < POLICY_KEY_COUNT);
        return keys[k].use;
}

const char *policy_citation(const struct policy *p, enum policy_key k)
{
        assert((unsigned)k < POLICY_KEY_COUNT);
        return p->citation[k];
}
