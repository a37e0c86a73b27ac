/* message_json: two walks over a descriptor, one out of the generated struct and one into it.
 *
 * Messages do not hold themselves, so the walks end by themselves; memory is the arena's and its cap. */
#include "common/message_json.h"
#include "common/kind.h"
#include "common/macro.h"
#include "common/refusal.h"
#include "common/words.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Word lists that are no `enum word_list`: they follow those in number. */
enum { LIST_kinds = LIST_COUNT, LIST_refusals, LIST_letters, LIST_grades, LIST_classes, LIST_conclusions, LIST_NO };

static const struct { const char *message, *field; unsigned list; } fields[] = {
        { "AcquisitionRow", "channel", LIST_channel }, { "AcquisitionRow", "method", LIST_share_method },
        { "AcquisitionRow", "medium", LIST_medium }, { "AcquisitionRow", "nack", LIST_refusals },
        { "ActRow", "kind", LIST_kinds }, { "ActRow", "code", LIST_refusals }, { "ActRow", "capacities", LIST_role },
        { "AuditQuery", "outcome", LIST_audit_outcome }, { "AuditQuery", "code", LIST_refusals },
        { "AudienceRow", "channel", LIST_channel }, { "AudienceRow", "method", LIST_share_method },
        { "Basis", "level", LIST_basis_level }, { "Busy", "reason", LIST_busy }, { "Bye", "code", LIST_refusals },
        { "ClockRow", "clock", LIST_clock },
        { "CredentialRow", "status", LIST_trust_status }, { "CredentialRow", "revoke_reason", LIST_revoke_reason },
        { "Department", "dept_class", LIST_dept_class }, { "Department", "applies", LIST_applies },
        { "DueRow", "clock", LIST_clock },
        { "Entry", "class_level", LIST_classes }, { "Entry", "form", LIST_data_form },
        { "Entry", "format_category", LIST_format_category }, { "Entry", "share_type", LIST_share_type },
        { "Entry", "share_methods", LIST_share_method }, { "Entry", "use_classes", LIST_use_class },
        { "Entry", "open_type", LIST_open_type }, { "Entry", "update_cycle", LIST_update_cycle },
        { "Entry", "acquisition", LIST_acquisition }, { "Entry", "grade", LIST_grades }, { "Entry", "base_db", LIST_base_db },
        { "EntryRow", "code", LIST_refusals }, { "FactRow", "clock", LIST_clock }, { "FeedRow", "notice", LIST_notice },
        { "FilingRow", "state", LIST_staff_state }, { "FreezeBody", "reason", LIST_act_reason },
        { "GrantRow", "state", LIST_grant_state }, { "GrantRow", "channel", LIST_channel }, { "GrantRow", "method", LIST_share_method },
        { "Intent", "kind", LIST_kinds }, { "Intent", "channel", LIST_channel }, { "Intent", "method", LIST_share_method },
        { "Intent", "medium", LIST_medium }, { "Intent", "use_class", LIST_use_class },
        { "Item", "data_type", LIST_letters }, { "Item", "identifier_kind", LIST_identifier_kind },
        { "Item", "item_share_type", LIST_share_type }, { "Item", "sensitivity", LIST_sensitivity }, { "Item", "source_role", LIST_source_role },
        { "ItemReason", "reason", LIST_refuse_reason }, { "KeyRequest", "subject_kind", LIST_subject_kind },
        { "MatterRow", "state", LIST_cat_state }, { "MayIssue", "kinds", LIST_subject_kind }, { "MayIssue", "roles", LIST_role },
        { "Nack", "code", LIST_refusals }, { "OutageBody", "what", LIST_outage }, { "Page", "code", LIST_refusals },
        { "Parcel", "type", LIST_parcel }, { "Parcel", "notice", LIST_notice }, { "Parcel", "code", LIST_refusals },
        { "PersonRow", "state", LIST_staff_state }, { "PurgeBody", "what", LIST_purge }, { "Read", "what", LIST_read }, { "ReasonBody", "reason", LIST_act_reason },
        { "ReceiptRow", "code", LIST_refusals }, { "Record", "op", LIST_record_op }, { "RefusedItem", "reason", LIST_refuse_reason },
        { "RefusedRow", "code", LIST_refusals }, { "ReplyBody", "reason", LIST_refuse_reason },
        { "RequestRow", "state", LIST_req_state }, { "RequestRow", "use_class", LIST_use_class },
        { "RequestRow", "method", LIST_share_method }, { "RequestRow", "reason", LIST_refuse_reason },
        { "RevokeBody", "reason", LIST_revoke_reason }, { "SecrecyReview", "conclusion", LIST_conclusions },
        { "Signature", "capacity", LIST_role }, { "Staff", "roles", LIST_role },
        { "Subject", "kind", LIST_subject_kind }, { "Subject", "roles", LIST_role }, { "SubscriptionRow", "state", LIST_sub_state },
        { "TrustMapRow", "status", LIST_trust_status }, { "TrustRecord", "kind", LIST_trust_kind }, { "TrustRecord", "status", LIST_trust_status },
};

static unsigned find_list(const ProtobufCMessageDescriptor *d, const char *field)
{
        for (unsigned i = 0; i < ELEMENTS(fields); i++)
                if (strcmp(fields[i].message, d->short_name) == 0 && strcmp(fields[i].field, field) == 0)
                        return fields[i].list;
        return LIST_NO;
}

/* Words of the small lists, by number from 1; letters are numbered by their ASCII code (REGULATIONS 4.4). */
static const char *const grades[] = { "L1", "L2", "L3", "L4" };
static const char *const classes[] = { "BASE", "THEME", "DEPARTMENT" };
static const char *const conclusions[] = { "NOT_SECRET" };
static const char *const letters[] = { "C", "N", "Y", "D", "T", "L", "M", "G", "B", "I", "F" };

static const char *word_at(const char *const *words, size_t n, uint32_t number)
{
        return number >= 1 && number <= n ? words[number - 1] : NULL;
}

static const char *letter_of(uint32_t number)
{
        for (unsigned i = 0; i < ELEMENTS(letters); i++)
                if ((uint32_t)letters[i][0] == number)
                        return letters[i];
        return NULL;
}

static const char *list_word(unsigned list, uint32_t number)
{
        const struct kind *kind;

        switch (list) {
        case LIST_kinds: return (kind = kind_find(number)) ? kind->name : NULL;
        case LIST_refusals: return refusal_known(number) ? refusal_text(number)->code : NULL;
        case LIST_letters: return letter_of(number);
        case LIST_grades: return word_at(grades, ELEMENTS(grades), number);
        case LIST_classes: return word_at(classes, ELEMENTS(classes), number);
        case LIST_conclusions: return word_at(conclusions, ELEMENTS(conclusions), number);
        case LIST_NO: return NULL;
        default: return word_name(list, number);
        }
}

/* Every number of every list is small: trying them all is simple, and JSON is for people. */
static bool list_find(unsigned list, const char *word, uint32_t *ret)
{
        for (uint32_t number = 0; number < 512; number++) {
                const char *name = list_word(list, number);

                if (name && strcmp(name, word) == 0) {
                        *ret = number;
                        return true;
                }
        }
        return false;
}

static const char *list_all(unsigned list)
{
        switch (list) {
        case LIST_kinds: return "the kinds of PROTOCOL.md";
        case LIST_refusals: return "the codes of PROTOCOL.md";
        case LIST_letters: return "C, N, Y, D, T, L, M, G, B, I, F";
        case LIST_grades: return "L1, L2, L3, L4";
        case LIST_classes: return "BASE, THEME, DEPARTMENT";
        case LIST_conclusions: return "NOT_SECRET";
        default: return word_all(list);
        }
}

const char *message_json_word(const ProtobufCMessageDescriptor *d, const char *field, uint32_t number)
{
        return list_word(find_list(d, field), number);
}

static size_t size_of(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_UINT32: return sizeof(uint32_t);
        case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_UINT64: return sizeof(uint64_t);
        case PROTOBUF_C_TYPE_STRING: return sizeof(char *);
        case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
        case PROTOBUF_C_TYPE_MESSAGE: return sizeof(ProtobufCMessage *);
        default: assert(false); return 0;
        }
}

static json_t *print_u64(uint64_t v)
{
        char text[24];

        if (v <= INT64_MAX)
                return json_integer((json_int_t)v);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
        return json_string(text);
}

static json_t *print_bytes(const ProtobufCBinaryData *b)
{
        char *text = malloc(2 * b->len + 1);
        json_t *json;

        if (!text)
                return NULL;
        hex_format(bytes_of(b->data, b->len), text);
        json = json_string(text);
        free(text);
        return json;
}

static json_t *print_value(const ProtobufCFieldDescriptor *f, unsigned list, const void *at)
{
        const char *word;

        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32:
                word = list_word(list, *(const uint32_t *)at);
                return word ? json_string(word) : json_integer(*(const uint32_t *)at);
        case PROTOBUF_C_TYPE_UINT64: return print_u64(*(const uint64_t *)at);
        case PROTOBUF_C_TYPE_BOOL: return json_boolean(*(const protobuf_c_boolean *)at);
        case PROTOBUF_C_TYPE_STRING: return json_string(*(char *const *)at ? *(char *const *)at : "");
        case PROTOBUF_C_TYPE_BYTES: return print_bytes(at);
        case PROTOBUF_C_TYPE_MESSAGE: return message_json_print(*(ProtobufCMessage *const *)at);
        default: return NULL;
        }
}

static bool is_absent(const ProtobufCFieldDescriptor *f, const void *at)
{
        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32: return *(const uint32_t *)at == 0;
        case PROTOBUF_C_TYPE_UINT64: return *(const uint64_t *)at == 0;
        case PROTOBUF_C_TYPE_BOOL: return !*(const protobuf_c_boolean *)at;
        case PROTOBUF_C_TYPE_STRING: return !*(char *const *)at || !**(char *const *)at;
        case PROTOBUF_C_TYPE_BYTES: return ((const ProtobufCBinaryData *)at)->len == 0;
        default: return !*(ProtobufCMessage *const *)at;
        }
}

static json_t *print_repeated(const ProtobufCFieldDescriptor *f, unsigned list, const uint8_t *values, size_t n)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < n; i++)
                if (json_array_append_new(array, print_value(f, list, values + i * size_of(f->type))) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

/* One member of the object; false if it could not be made. */
static bool print_field(json_t *object, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        const uint8_t *base = (const uint8_t *)m, *at = base + f->offset;
        unsigned list = find_list(m->descriptor, f->name);
        size_t n;

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                n = *(const size_t *)(base + f->quantifier_offset);
                return n == 0 || json_object_set_new(object, f->name, print_repeated(f, list, *(uint8_t *const *)at, n)) == 0;
        }
        return is_absent(f, at) || json_object_set_new(object, f->name, print_value(f, list, at)) == 0;
}

json_t *message_json_print(const ProtobufCMessage *m)
{
        json_t *object = json_object();

        for (unsigned i = 0; object && i < m->descriptor->n_fields; i++)
                if (!print_field(object, m, &m->descriptor->fields[i])) {
                        json_decref(object);
                        return NULL;
                }
        return object;
}

/* Where the walk stands: told back from the root when something is wrong. */
struct place { const struct place *above; const char *name; size_t index; bool indexed; };
struct walk { struct arena *a; char *error; };

static size_t put_place(const struct place *p, char *ret, size_t n)
{
        size_t at;
        int w;

        if (!p)
                return 0;
        at = put_place(p->above, ret, n);
        if (p->indexed)
                w = snprintf(ret + at, n - at, "[%zu]", p->index);
        else
                w = snprintf(ret + at, n - at, "%s%s", at ? "." : "", p->name);
        return w > 0 && (size_t)w < n - at ? at + (size_t)w : at;
}

static bool wrong(const struct walk *w, const struct place *p, const char *what, const char *detail)
{
        size_t at = put_place(p, w->error, MESSAGE_JSON_ERROR_BYTES);

        snprintf(w->error + at, MESSAGE_JSON_ERROR_BYTES - at, "%s%s%s", at ? ": " : "", what, detail);
        return false;
}

/* Of a key that is not ours at most 40 bytes are told, cut between characters. */
static bool wrong_key(const struct walk *w, const struct place *p, const char *key, const char *message)
{
        size_t n = strnlen(key, 41);
        char text[128];

        if (n > 40)
                for (n = 40; n > 0 && ((uint8_t)key[n] & 0xc0) == 0x80;)
                        n--;
        snprintf(text, sizeof(text), "%.*s\" in %s", (int)n, key, message);
        return wrong(w, p, "no member \"", text);
}

static bool parse_u32(const struct walk *w, const struct place *p, unsigned list, const json_t *json, uint32_t *ret)
{
        json_int_t v;

        if (list != LIST_NO) {
                if (json_is_string(json) && list_find(list, json_string_value(json), ret))
                        return true;
                return wrong(w, p, "must be one of ", list_all(list));
        }
        v = json_integer_value(json);
        if (!json_is_integer(json) || v < 0 || v > UINT32_MAX)
                return wrong(w, p, "must be a whole number from 0 to 4294967295", "");
        *ret = (uint32_t)v;
        return true;
}

/* Decimal text stands only for what an integer of JSON cannot hold. */
static bool parse_large(const char *text, uint64_t *ret)
{
        uint64_t v = 0;

        if (strlen(text) < 19 || strlen(text) > 20)
                return false;
        for (; *text; text++) {
                uint64_t digit = (uint64_t)*text - '0';

                if (*text < '0' || *text > '9' || v > (UINT64_MAX - digit) / 10)
                        return false;
                v = v * 10 + digit;
        }
        *ret = v;
        return v > INT64_MAX;
}

static bool parse_u64(const struct walk *w, const struct place *p, const json_t *json, uint64_t *ret)
{
        if (json_is_string(json) && parse_large(json_string_value(json), ret))
                return true;
        if (!json_is_integer(json) || json_integer_value(json) < 0)
                return wrong(w, p, "must be a whole number, 0 or greater", "");
        *ret = (uint64_t)json_integer_value(json);
        return true;
}

static bool parse_text(const struct walk *w, const struct place *p, const json_t *json, char **ret)
{
        const char *text = json_string_value(json);

        if (!text || strlen(text) != json_string_length(json))
                return wrong(w, p, "must be a text without NUL", "");
        if (!(*ret = arena_strdup(w->a, text)))
                return wrong(w, p, "too large", "");
        return true;
}

static bool parse_bytes(const struct walk *w, const struct place *p, const json_t *json, ProtobufCBinaryData *ret)
{
        const char *text = json_string_value(json);
        size_t n = text ? strlen(text) / 2 : 0;
        uint8_t *data;

        if (!text)
                return wrong(w, p, "must be bytes in hexadecimal", "");
        if (!(data = arena_alloc(w->a, n)))
                return wrong(w, p, "too large", "");
        if (!hex_parse(text, data, n))
                return wrong(w, p, "must be bytes in hexadecimal", "");
        *ret = (ProtobufCBinaryData){ n, data };
        return true;
}

static ProtobufCMessage *parse_message(const struct walk *w, const struct place *p, const ProtobufCMessageDescriptor *d, const json_t *json);

static bool parse_value(const struct walk *w, const struct place *p, const ProtobufCFieldDescriptor *f, unsigned list, const json_t *json, void *ret)
{
        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32: return parse_u32(w, p, list, json, ret);
        case PROTOBUF_C_TYPE_UINT64: return parse_u64(w, p, json, ret);
        case PROTOBUF_C_TYPE_STRING: return parse_text(w, p, json, ret);
        case PROTOBUF_C_TYPE_BYTES: return parse_bytes(w, p, json, ret);
        case PROTOBUF_C_TYPE_MESSAGE: return (*(ProtobufCMessage **)ret = parse_message(w, p, f->descriptor, json));
        case PROTOBUF_C_TYPE_BOOL:
                if (!json_is_boolean(json))
                        return wrong(w, p, "must be true or false", "");
                *(protobuf_c_boolean *)ret = json_is_true(json);
                return true;
        default: return wrong(w, p, "has a type that JSON does not carry", "");
        }
}

static bool parse_repeated(const struct walk *w, const struct place *p, const ProtobufCFieldDescriptor *f, unsigned list, const json_t *json, uint8_t *message)
{
        size_t n = json_array_size(json);
        uint8_t *values;

        if (!json_is_array(json))
                return wrong(w, p, "must be an array", "");
        if (!(values = arena_array(w->a, size_of(f->type), n)))
                return wrong(w, p, "too large", "");
        for (size_t i = 0; i < n; i++) {
                struct place here = { p, NULL, i, true };

                if (!parse_value(w, &here, f, list, json_array_get(json, i), values + i * size_of(f->type)))
                        return false;
        }
        *(size_t *)(message + f->quantifier_offset) = n;
        *(void **)(message + f->offset) = values;
        return true;
}

static bool parse_member(const struct walk *w, const struct place *p, const char *key, const json_t *json, ProtobufCMessage *m)
{
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, key);
        uint8_t *base = (uint8_t *)m;
        struct place here = { p, key, 0, false };
        unsigned list;

        if (!f)
                return wrong_key(w, p, key, m->descriptor->short_name);
        list = find_list(m->descriptor, f->name);
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
                return parse_repeated(w, &here, f, list, json, base);
        return parse_value(w, &here, f, list, json, base + f->offset);
}

static ProtobufCMessage *parse_message(const struct walk *w, const struct place *p, const ProtobufCMessageDescriptor *d, const json_t *json)
{
        ProtobufCMessage *m;
        const char *key;
        json_t *value;

        if (!json_is_object(json)) {
                wrong(w, p, "must be an object", "");
                return NULL;
        }
        if (!(m = arena_zalloc(w->a, d->sizeof_message))) {
                wrong(w, p, "too large", "");
                return NULL;
        }
        protobuf_c_message_init(d, m);
        json_object_foreach((json_t *)json, key, value)
                if (!parse_member(w, p, key, value, m))
                        return NULL;
        return m;
}

void *message_json_parse(struct arena *a, const ProtobufCMessageDescriptor *d, const json_t *json, char *ret_error)
{
        char unread[MESSAGE_JSON_ERROR_BYTES];
        struct walk w = { a, ret_error ? ret_error : unread };

        return parse_message(&w, NULL, d, json);
}
