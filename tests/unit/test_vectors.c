/* vectors: every example of proto/vectors/ comes out again, and PROTOCOL.md names every context, kind, frame and magic. */
#include "common/artifact.h"
#include "common/digest.h"
#include "common/frame.h"
#include "common/kind.h"
#include "common/macro.h"
#include "proto/bundle.pb-c.h"
#include "proto/envelope.pb-c.h"
#include "proto/identity.pb-c.h"
#include "proto/request.pb-c.h"
#include "proto/stream.pb-c.h"
#include "tests/vectors/vectors.h"
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *const files[] = { "form", "envelope", "identity", "seal", "records", "log", "trust", "files", "frames" };

static char *source(const char *path)
{
        static char at[1024];
        const char *root = getenv("SOURCE_ROOT");

        snprintf(at, sizeof(at), "%s/%s", root ? root : ".", path);
        return at;
}

static json_t *load(const char *name)
{
        char path[64];
        json_error_t error;
        json_t *cases;

        snprintf(path, sizeof(path), "proto/vectors/%s.json", name);
        cases = json_load_file(source(path), JSON_REJECT_DUPLICATES, &error);
        if (!cases)
                fail_msg("%s: line %d: %s", path, error.line, error.text);
        return cases;
}

static void check(const char *name, size_t at, const json_t *c)
{
        const json_t *want = json_object_get(c, "out");
        json_t *got = vectors_run(json_string_value(json_object_get(c, "op")), json_object_get(c, "in"));

        if (!got || !json_is_object(want) || json_object_size(want) == 0 || !json_equal(got, want))
                fail_msg("%s.json, case %zu (%s: %s)", name, at, json_string_value(json_object_get(c, "op")), json_string_value(json_object_get(c, "name")));
        json_decref(got);
}

static void test_every_example_comes_out_again(void **state)
{
        for (unsigned f = 0; f < ELEMENTS(files); f++) {
                json_t *cases = load(files[f]), *c;
                size_t at;

                assert_true(json_array_size(cases) >= 5);
                json_array_foreach(cases, at, c)
                        check(files[f], at, c);
                json_decref(cases);
        }
}

static void test_every_operation_has_an_example(void **state)
{
        bool seen[64] = { false };
        const char *op;

        for (unsigned f = 0; f < ELEMENTS(files); f++) {
                json_t *cases = load(files[f]), *c;
                size_t at;

                json_array_foreach(cases, at, c)
                        for (unsigned i = 0; (op = vectors_op(i)); i++)
                                seen[i] = seen[i] || strcmp(op, json_string_value(json_object_get(c, "op"))) == 0;
                json_decref(cases);
        }
        for (unsigned i = 0; (op = vectors_op(i)); i++)
                if (!seen[i])
                        fail_msg("%s", op);
}

/* A changed input must not give the same output: else an example would show nothing. */
static void test_a_changed_input_changes_the_output(void **state)
{
        json_t *cases = load("records"), *c = json_array_get(cases, 0), *in = json_deep_copy(json_object_get(c, "in")), *got;

        json_object_set_new(in, "index", json_integer(77));
        got = vectors_run("record_leaf", in);
        assert_non_null(got);
        assert_false(json_equal(got, json_object_get(c, "out")));
        json_object_set_new(in, "seed", json_string("00"));
        assert_null(vectors_run("record_leaf", in));
        json_decref(got);
        json_decref(in);
        json_decref(cases);
}

/* ---- the page ---- */

static char *page(void)
{
        static char text[256 * 1024];
        FILE *f = fopen(source("proto/PROTOCOL.md"), "r");

        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = 0;
        fclose(f);
        return text;
}

static void shows(const char *text, const char *row)
{
        if (!strstr(text, row))
                fail_msg("PROTOCOL.md lacks: %s", row);
}

static void test_the_page_names_every_context_kind_frame_and_magic(void **state)
{
        const char *text = page();
        const struct frame_row *frame;
        const struct kind *kind;
        char row[128];

        for (unsigned i = 0; i < DIGEST_CONTEXT_COUNT; i++) {
                snprintf(row, sizeof(row), "| `%s` |", digest_context_text(i));
                shows(text, row);
        }
        for (unsigned i = 0; (kind = kind_at(i)); i++) {
                static const char *const classes[] = { "control", "data", "system", "read" };

                snprintf(row, sizeof(row), "| %u | %s | %s | ", kind->number, kind->name, classes[kind->class]);
                shows(text, row);
        }
        for (unsigned i = 0; (frame = frame_at(i)); i++) {
                snprintf(row, sizeof(row), "| %d | %s | ", frame->type, frame->name);
                shows(text, row);
        }
        for (unsigned i = 0; i < ARTIFACT_COUNT; i++) {
                snprintf(row, sizeof(row), "| `%s` |", artifact_magic(i));
                shows(text, row);
        }
}

/* "- **Seen**: 1 epoch u64, 2 size u64, 3 root bytes": the message's line, and on it each field by number and name. */
static void shows_message(const char *text, const ProtobufCMessageDescriptor *d)
{
        char row[128], line[4096];
        const char *at;

        snprintf(row, sizeof(row), "- **%s**: ", d->short_name);
        shows(text, row);
        at = strstr(text, row) + strlen(row);
        snprintf(line, sizeof(line), " %.*s", (int)strcspn(at, "\n"), at);
        for (unsigned i = 0; i < d->n_fields; i++) {
                snprintf(row, sizeof(row), " %u %s ", d->fields[i].id, d->fields[i].name);
                if (!strstr(line, row))
                        fail_msg("PROTOCOL.md, section 15, %s lacks:%s", d->short_name, row);
                if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
                        shows_message(text, d->fields[i].descriptor);
        }
}

static void test_the_page_names_every_field_of_what_travels(void **state)
{
        static const ProtobufCMessageDescriptor *const inside[] = {     /* kept as bytes in others, or under a seal */
                &shuyi__v1__envelope__descriptor, &shuyi__v1__header__descriptor, &shuyi__v1__intent__descriptor,
                &shuyi__v1__anchor__descriptor, &shuyi__v1__credential__descriptor, &shuyi__v1__key_request__descriptor,
                &shuyi__v1__genesis_file__descriptor, &shuyi__v1__join_file__descriptor, &shuyi__v1__welcome_file__descriptor,
                &shuyi__v1__audience_row__descriptor, &shuyi__v1__view_key__descriptor, &shuyi__v1__update_content__descriptor,
                &shuyi__v1__record__descriptor, &shuyi__v1__request_details__descriptor, &shuyi__v1__remarks__descriptor,
                &shuyi__v1__receipt__descriptor, &shuyi__v1__bundle__descriptor, &shuyi__v1__lookup_query__descriptor,
                &shuyi__v1__lookup_row__descriptor, &shuyi__v1__evidence_query__descriptor, &shuyi__v1__evidence_row__descriptor,
        };
        const char *text = strstr(page(), "\n## 15.");
        const struct frame_row *frame;
        const struct kind *kind;

        assert_non_null(text);
        for (unsigned i = 0; i < ELEMENTS(inside); i++)
                shows_message(text, inside[i]);
        for (unsigned i = 0; (frame = frame_at(i)); i++)
                shows_message(text, frame->message);
        for (unsigned i = 0; (kind = kind_at(i)); i++)
                if (kind->body)
                        shows_message(text, kind->body);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_example_comes_out_again),
                cmocka_unit_test(test_every_operation_has_an_example),
                cmocka_unit_test(test_a_changed_input_changes_the_output),
                cmocka_unit_test(test_the_page_names_every_context_kind_frame_and_magic),
                cmocka_unit_test(test_the_page_names_every_field_of_what_travels),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
