/* catalog_rules: the validation rules of a catalog entry (REGULATIONS 4.5). */
#include "common/exchange/catalog_rules.h"

#include "common/exchange/scope.h"
#include "common/idcode.h"
#include "common/macro.h"
#include "common/words.h"

#include <stdio.h>

struct check {
        const Shuyi__V1__Entry *entry;
        const struct policy *policy;
        const struct catalog_lookup *lookup;
        char *where;                            /* the finding's text: fields, item numbers */
        size_t room;
};

static void name_field(struct check *c, const char *field)
{
        size_t used = strlen(c->where);

        if (used + strlen(field) + 2 <= c->room)
                snprintf(c->where + used, c->room - used, "%s%s", used ? " " : "", field);
}

static void need(struct check *c, bool present, const char *field)
{
        if (!present)
                name_field(c, field);
}

static bool failed(const struct check *c)
{
        return c->where[0] != 0;
}

static size_t characters(const char *text)
{
        size_t n = 0;

        for (; *text; text++)
                n += ((uint8_t)*text & 0xc0) != 0x80;
        return n;
}

static bool filled(const char *text, size_t max_characters)
{
        size_t n = characters(text);

        return n > 0 && n <= max_characters;
}

/* ---- small questions ---- */

const Shuyi__V1__Item *entry_find_item(const Shuyi__V1__Entry *entry, uint32_t item_no)
{
        for (size_t i = 0; i < entry->n_items; i++)
                if (entry->items[i]->item_no == item_no)
                        return entry->items[i];
        return NULL;
}

enum share_type entry_item_type(const Shuyi__V1__Entry *entry, const Shuyi__V1__Item *item)
{
        return (enum share_type)(item->item_share_type ? item->item_share_type : entry->share_type);
}

struct digest entry_secrecy_digest(struct arena *a, const Shuyi__V1__Entry *entry)
{
        struct bytes packed = entry->secrecy_review ? message_pack(a, &entry->secrecy_review->base) : (struct bytes){ 0 };

        return packed.p ? DIGEST_OF(CTX_SECRECY, packed) : (struct digest){ { 0 } };
}

bool basis_accepted(Shuyi__V1__Basis *const *basis, size_t n, const struct policy *policy, enum policy_key levels)
{
        for (size_t i = 0; i < n; i++) {
                const char *word = word_name(LIST_basis_level, basis[i]->level);

                /* No profile may accept a department's own rule: it is not a word of these sets. */
                if (word && basis[i]->level != BASIS_INTERNAL_RULE && basis[i]->title[0] && policy_has(policy, levels, word))
                        return true;
        }
        return false;
}

static bool class_part_fits(struct bytes code)
{
        if (code.n < 6 || code.n > 18 || code.p[0] < '1' || code.p[0] > '3')
                return false;
        for (size_t i = 0; i < code.n; i++)
                if (code.p[i] < '0' || code.p[i] > '9')
                        return false;
        return true;
}

static bool name_en_fits(const char *name)
{
        size_t n = strlen(name);

        if (n == 0 || n > 64 || !((name[0] >= 'A' && name[0] <= 'Z') || (name[0] >= 'a' && name[0] <= 'z')))
                return false;
        for (size_t i = 0; i < n; i++) {
                char b = name[i];

                if (!((b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '_'))
                        return false;
        }
        return true;
}

/* Is the matter found under this row another one than the entry's own? */
static bool held_by_another(const struct check *c, enum table table, const struct bytes *parts, size_t n)
{
        struct digest matter;

        return c->lookup->rows && rows_get_digest(c->lookup->rows, table, parts, n, &matter) &&
               !bytes_equal(bytes_digest(&matter), c->lookup->matter);
}

/* ---- C-001 ---- */

static void check_item_fields(struct check *c, const Shuyi__V1__Item *item)
{
        bool sized = item->data_type == 'C' || item->data_type == 'N' || item->data_type == 'Y';
        char field[32];

        if (item->item_no && strlen(item->semantic_code) <= ENTRY_SEMANTIC_BYTES && filled(item->name_cn, ENTRY_NAME_CHARS) && name_en_fits(item->name_en) && item->data_type < 128 &&
            item->data_type && strchr("CNYDTLMGBIF", (int)item->data_type) && (!sized || item->length) && item->scale <= item->length &&
            word_known(LIST_sensitivity, item->sensitivity) && word_known(LIST_source_role, item->source_role) &&
            (!item->item_share_type || word_known(LIST_share_type, item->item_share_type)) &&
            (!item->identifier_kind || word_known(LIST_identifier_kind, item->identifier_kind)))
                return;
        snprintf(field, sizeof(field), "items[%u]", item->item_no);
        name_field(c, field);
}

static bool sample_fits(const Shuyi__V1__Entry *e)
{
        if (e->n_sample < 1 || e->n_sample > 20)
                return false;
        for (size_t i = 0; i < e->n_sample; i++)
                if (e->n_items ? e->sample[i]->n_values != e->n_items : e->sample[i]->n_values > ENTRY_ITEMS_MAX)
                        return false;
        return true;
}

static bool contact_fits(const struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;
        const Shuyi__V1__PersonRow *person;

        if (e->contact.len != ID_BYTES)
                return false;
        if (!c->lookup->rows)
                return true;
        person = rows_person(c->lookup->rows, e->provider_code, bytes_of_field(e->contact));
        return person && person->state != STAFF_REVOKED;
}

static bool provider_name_fits(const struct check *c)
{
        const Shuyi__V1__DepartmentRow *d;

        if (!c->entry->provider_name[0])
                return false;
        d = c->lookup->rows ? rows_department(c->lookup->rows, c->entry->provider_code) : NULL;
        return !d || strcmp(d->department->name, c->entry->provider_name) == 0;
}

static bool name_free(const struct check *c)
{
        struct digest name = digest_plain(bytes_str(c->entry->resource_name));
        const struct bytes parts[] = { bytes_str(c->entry->provider_code), bytes_digest(&name) };

        return !held_by_another(c, TABLE_NAME, parts, 2);
}

static bool uses_fit(const Shuyi__V1__Entry *e)
{
        for (size_t i = 0; i < e->n_use_classes; i++)
                if (!word_known(LIST_use_class, e->use_classes[i]))
                        return false;
        return e->n_use_classes > 0 && e->n_use_classes <= ENTRY_LIST_MAX;
}

static bool structured(const Shuyi__V1__Entry *e)
{
        return e->format_category == FORMAT_SPREADSHEET || e->format_category == FORMAT_DATABASE || e->format_category == FORMAT_SERVICE;
}

static bool check_c001(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        need(c, e->resource_code[0], "resource_code");
        need(c, filled(e->resource_name, ENTRY_NAME_CHARS) && name_free(c), "resource_name");
        need(c, e->class_level >= 1 && e->class_level <= 3, "class_level");
        need(c, e->class_path[0], "class_path");
        need(c, e->provider_code[0], "provider_code");
        need(c, provider_name_fits(c), "provider_name");
        need(c, e->office[0], "office");
        need(c, contact_fits(c), "contact");
        need(c, filled(e->abstract, ENTRY_ABSTRACT_CHARS), "abstract");
        need(c, word_known(LIST_data_form, e->form), "form");
        need(c, word_known(LIST_format_category, e->format_category), "format_category");
        need(c, e->format_detail[0], "format_detail");
        need(c, word_known(LIST_share_type, e->share_type), "share_type");
        need(c, e->share_type != SHARE_CONDITIONAL || e->share_scope[0], "share_scope");
        need(c, e->share_type != SHARE_WITHHELD || e->withheld_reason[0], "withheld_reason");
        need(c, uses_fit(e), "use_classes");
        need(c, e->n_share_basis <= ENTRY_LIST_MAX, "share_basis");
        need(c, e->n_share_methods <= ENTRY_LIST_MAX, "share_methods");
        need(c, sample_fits(e), "sample");
        need(c, word_known(LIST_open_type, e->open_type), "open_type");
        need(c, word_known(LIST_update_cycle, e->update_cycle), "update_cycle");
        need(c, word_known(LIST_acquisition, e->acquisition), "acquisition");
        need(c, e->acquisition != ACQUIRE_BY_LAW || e->collect_basis[0], "collect_basis");
        need(c, e->grade >= 1 && e->grade <= 4, "grade");
        need(c, e->class_level != 1 || word_known(LIST_base_db, e->base_db), "base_db");
        need(c, e->n_items <= ENTRY_ITEMS_MAX, "items");
        for (size_t i = 0; i < e->n_items && i < ENTRY_ITEMS_MAX; i++)
                check_item_fields(c, e->items[i]);
        return failed(c);
}

/* ---- C-002 .. C-005 ---- */

static bool check_c002(struct check *c)
{
        const char *code = c->entry->resource_code, *slash = strchr(code, '/');
        struct bytes class = slash ? bytes_of(code, (size_t)(slash - code)) : bytes_str(code);
        const struct bytes whole = bytes_str(code);
        struct digest matter;

        if (!code[0])
                return false;           /* C-001 */
        if (!class_part_fits(class) || (uint32_t)(code[0] - '0') != c->entry->class_level)
                return true;
        /* A whole code is the center's to give: it must be this very matter's. */
        return slash && !(c->lookup->rows && rows_get_digest(c->lookup->rows, TABLE_RESOURCE, &whole, 1, &matter) &&
                          bytes_equal(bytes_digest(&matter), c->lookup->matter));
}

static bool check_c003(struct check *c)
{
        const char *code = c->entry->provider_code, *wrong = idcode_check_uscc(bytes_str(code));

        if (!code[0])
                return false;           /* C-001 */
        return (wrong && strcmp(wrong, "org_checksum") != 0) ||
               (c->lookup->department[0] && strcmp(c->lookup->department, code) != 0);
}

static bool check_c004(struct check *c)
{
        return (structured(c->entry) || c->entry->form == FORM_STRUCTURED) && c->entry->n_items == 0;
}

static bool check_c005(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;
        size_t n = e->n_items < ENTRY_ITEMS_MAX ? e->n_items : ENTRY_ITEMS_MAX;

        for (size_t i = 0; i < n; i++)
                for (size_t k = i + 1; k < n; k++)
                        if (e->items[i]->item_no == e->items[k]->item_no || strcmp(e->items[i]->name_en, e->items[k]->name_en) == 0)
                                return true;
        return false;
}

/* ---- share type and basis: C-006 .. C-010 ---- */

static bool any_item_of(const Shuyi__V1__Entry *e, enum share_type type)
{
        for (size_t i = 0; i < e->n_items; i++)
                if (entry_item_type(e, e->items[i]) == type)
                        return true;
        return false;
}

static bool check_c006(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        if (e->share_type != SHARE_CONDITIONAL && !any_item_of(e, SHARE_CONDITIONAL))
                return false;
        need(c, e->share_condition[0], "share_condition");
        need(c, !policy_is(c->policy, POLICY_conditional_basis_required, "YES") ||
                basis_accepted(e->share_basis, e->n_share_basis, c->policy, POLICY_conditional_basis_levels), "share_basis");
        return failed(c);
}

static bool check_c007(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        return (e->share_type == SHARE_WITHHELD || any_item_of(e, SHARE_WITHHELD)) &&
               !basis_accepted(e->share_basis, e->n_share_basis, c->policy, POLICY_withheld_basis_levels);
}

static bool check_c008(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;
        const char *db = word_name(LIST_base_db, e->base_db);
        bool whole = policy_is(c->policy, POLICY_base_rule, "ENTRY");

        if (!db || !policy_has(c->policy, POLICY_base_dbs, db) || (!whole && !policy_is(c->policy, POLICY_base_rule, "BASIC_ITEMS")))
                return false;
        if (whole && e->share_type != SHARE_UNCONDITIONAL)
                return true;
        for (size_t i = 0; i < e->n_items; i++)
                if ((whole || e->items[i]->basic_item) && entry_item_type(e, e->items[i]) != SHARE_UNCONDITIONAL)
                        return true;
        return false;
}

static bool check_c009(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        return e->share_type == SHARE_UNCONDITIONAL && !any_item_of(e, SHARE_CONDITIONAL) && !any_item_of(e, SHARE_WITHHELD) &&
               (e->share_condition[0] || e->share_scope[0]);
}

static bool check_c010(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        for (size_t i = 0; i < e->n_share_basis; i++)
                if (e->share_basis[i]->level != BASIS_INTERNAL_RULE)
                        return false;
        return e->n_share_basis > 0;
}

/* ---- C-011, C-012, C-015, C-018, C-021, C-024 ---- */

static bool check_c011(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        return e->update_cycle != CYCLE_REALTIME && policy_is(c->policy, POLICY_realtime_required, "YES") &&
               !(e->realtime_exempt && e->realtime_exempt->reason[0] && e->realtime_exempt->basis[0]);
}

static bool check_c012(struct check *c)
{
        const Shuyi__V1__SecrecyReview *review = c->entry->secrecy_review;
        const char *changed = c->entry->items_changed_on;
        day_number reviewed, last_change;

        if (!policy_has(c->policy, POLICY_catalog_pre_assessment, "SECRECY_REVIEW"))
                return false;
        if (!review || review->conclusion != 1 || review->reviewer.len != ID_BYTES || review->approver.len != ID_BYTES)
                return true;
        if (!times_parse_date(review->date, &reviewed) || reviewed > c->lookup->today)
                return true;
        return changed[0] && (!times_parse_date(changed, &last_change) || reviewed < last_change);
}

static bool check_c015(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        for (size_t i = 0; i < e->n_items; i++) {
                const struct bytes code = bytes_str(e->items[i]->semantic_code);

                if (e->items[i]->source_role == SOURCE_AUTHORITATIVE && code.n && held_by_another(c, TABLE_DATUM, &code, 1))
                        name_field(c, e->items[i]->semantic_code);
        }
        return failed(c);
}

static bool check_c018(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        for (size_t i = 0; i < e->n_share_methods; i++)
                if (!word_known(LIST_share_method, e->share_methods[i]) && !e->off_platform_reason[0])
                        return true;
        return e->n_share_methods == 0 && e->share_type != SHARE_WITHHELD;
}

static bool check_c021(struct check *c)
{
        const Shuyi__V1__Entry *e = c->entry;

        return e->abstract[0] && (strcmp(e->abstract, e->resource_name) == 0 || characters(e->abstract) < 10);
}

/* Of C-024 only the scope: predicates and filters are not taken yet (catalog_not_yet). */
static bool check_c024(struct check *c)
{
        const char *why = NULL;

        if (!c->entry->share_scope[0] || scope_parse(c->lookup->arena, c->entry->share_scope, &why))
                return false;
        name_field(c, why ? why : "share_scope");
        return true;
}

static const struct { enum refusal code; bool warning; bool (*fails)(struct check *c); } rules[] = {
        { C_001, false, check_c001 },
        { C_002, false, check_c002 },
        { C_003, false, check_c003 },
        { C_004, false, check_c004 },
        { C_005, false, check_c005 },
        { C_006, false, check_c006 },
        { C_007, false, check_c007 },
        { C_008, false, check_c008 },
        { C_009, false, check_c009 },
        { C_010, false, check_c010 },
        { C_011, false, check_c011 },
        { C_012, false, check_c012 },
        { C_015, false, check_c015 },
        { C_018, false, check_c018 },
        { C_021, true, check_c021 },
        { C_024, false, check_c024 },
};

void catalog_check(const Shuyi__V1__Entry *entry, const struct policy *policy, const struct catalog_lookup *lookup, struct catalog_results *ret)
{
        memset(ret, 0, sizeof(*ret));
        for (size_t i = 0; i < ELEMENTS(rules); i++) {
                struct catalog_finding *f = &ret->rows[ret->n];
                struct check c = { entry, policy, lookup, f->where, sizeof(f->where) };

                f->where[0] = 0;
                if (!rules[i].fails(&c))
                        continue;
                f->code = rules[i].code;
                f->warning = rules[i].warning;
                ret->n++;
                ret->errors += !f->warning;
                ret->warnings += f->warning;
                if (!f->warning && ret->first == ACCEPTED)
                        ret->first = f->code;
        }
}

const char *catalog_not_yet(const Shuyi__V1__Entry *e)
{
        if (e->class_level == 2 || e->n_theme_tags || e->lead_dept[0])
                return "theme_tags";
        if (e->open_type == OPEN_UNCONDITIONAL || e->open_type == OPEN_ON_APPLICATION || e->open_condition[0])
                return "open_type";
        if (e->n_related_codes)
                return "related_codes";
        if (e->row_filter[0])
                return "row_filter";
        if (strstr(e->share_condition, "consumer."))
                return "share_condition";
        if (e->contains_personal || e->contains_trade_secret)
                return "sensitivity";
        for (size_t i = 0; i < e->n_items; i++) {
                if (e->items[i]->mask_rule[0])
                        return "mask_rule";
                if (e->items[i]->sensitivity > SENS_INTERNAL)
                        return "sensitivity";
                if (e->items[i]->item_open)
                        return "item_open";
        }
        return NULL;
}

void catalog_format(const struct catalog_results *r, bool warnings_only, char ret[CATALOG_CODES_TEXT])
{
        size_t used = 0;

        ret[0] = 0;
        for (unsigned i = 0; i < r->n; i++) {
                const struct catalog_finding *f = &r->rows[i];
                const char *code = refusal_text(f->code)->code;
                bool fits = used + strlen(code) + strlen(f->where) + 4 <= CATALOG_CODES_TEXT;

                if (warnings_only && !f->warning)
                        continue;
                if (f->where[0] && fits)
                        used += (size_t)snprintf(ret + used, CATALOG_CODES_TEXT - used, "%s%s(%s)", used ? "," : "", code, f->where);
                else if (used + strlen(code) + 2 <= CATALOG_CODES_TEXT)
                        used += (size_t)snprintf(ret + used, CATALOG_CODES_TEXT - used, "%s%s", used ? "," : "", code);
        }
}
