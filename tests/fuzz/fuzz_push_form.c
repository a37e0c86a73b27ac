/* push_form: what it accepts jansson accepts, and reads the same; and what jansson makes of a body, written plainly, it accepts. */
#include "agent/push_json.h"
#include "tests/fuzz/fuzz.h"

static void same_input(const struct view_input *x, const struct view_input *y)
{
        REQUIRE(x->op == y->op && x->changed_at == y->changed_at && x->n == y->n);
        for (size_t i = 0; i < x->n; i++) {
                REQUIRE(strcmp(x->names[i], y->names[i]) == 0);
                REQUIRE(!x->values[i] == !y->values[i]);
                REQUIRE(!x->values[i] || strcmp(x->values[i], y->values[i]) == 0);
        }
}

static void same_list(const struct push_list *x, const struct push_list *y)
{
        REQUIRE(x->n == y->n);
        for (size_t i = 0; i < x->n; i++) {
                REQUIRE(!x->records[i].why && !y->records[i].why);
                same_input(&x->records[i].in, &y->records[i].in);
        }
}

static bool all_good(const struct push_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                if (list->records[i].why || list->records[i].in.n > 64)
                        return false;
        return true;
}

/* In both of jansson's ways to write it: as UTF-8, and with escapes. */
static void check_written(struct arena *a, const json_t *body, const struct push_list *tree)
{
        static const size_t flags[] = { JSON_COMPACT, JSON_INDENT(1) | JSON_ENSURE_ASCII | JSON_ESCAPE_SLASH };

        for (size_t i = 0; i < 2; i++) {
                char *text = json_dumps(body, flags[i]);
                struct push_list list;

                REQUIRE(text && push_form(a, bytes_of(text, strlen(text)), &list));
                same_list(&list, tree);
                free(text);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct arena *a = fuzz_arena(64 << 20);
        json_t *body = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES, NULL);
        struct push_list list, tree;
        bool taken = push_form(a, bytes_of(data, n), &list);

        REQUIRE(!taken || body);
        if (body && push_json(a, body, &tree)) {
                if (taken)
                        same_list(&list, &tree);
                if (all_good(&tree))
                        check_written(a, body, &tree);
        } else {
                REQUIRE(!taken);
        }
        json_decref(body);
        arena_free(a);
        return 0;
}
