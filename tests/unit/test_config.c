/* config: every error is found, named by its key and by line and column; values, defaults, lists, reload. */
#include "common/config.h"
#include "common/macro.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define TEST_CONFIG(X) \
        X(C_DOMAIN, "domain", CONFIG_STRING, "", 6, 6, NULL, CONFIG_REQUIRED, "The jurisdiction's division code.") \
        X(C_NAME, "name", CONFIG_STRING, "", 0, 20, "数驿", CONFIG_RELOAD, "A name for people.") \
        X(C_LISTEN, "link.listen", CONFIG_ENDPOINT, "", 0, 0, "tcp://0.0.0.0:7711", 0, "Where agents connect.") \
        X(C_CREDIT, "link.credit", CONFIG_BYTES, "", 64 << 10, 2 << 20, "1MiB", CONFIG_RELOAD, "Bytes in flight.") \
        X(C_PEERS, "link.peers", CONFIG_INT, "agents", 1, 4096, "64", CONFIG_RELOAD, "Agents at once.") \
        X(C_WAIT, "link.wait", CONFIG_DURATION, "", 100, 86400000, "30s", CONFIG_RELOAD, "How long to wait.") \
        X(C_DEMO, "demo", CONFIG_BOOL, "", 0, 0, "false", 0, "One root key is enough.") \
        X(C_STORE, "store", CONFIG_PATH, "", 0, 0, "data", 0, "Where the log lies.") \
        X(C_ANCHOR, "anchor", CONFIG_FILE, "", 0, 0, NULL, 0, "The anchor.") \
        X(C_KEY, "key", CONFIG_SECRET, "", 0, 0, NULL, 0, "The broker's key.") \
        X(C_HOSTS, "hosts", CONFIG_LIST, "", 1, 3, NULL, 0, "Names it answers to.") \
        X(C_SOURCE_DSN, "sources[].dsn", CONFIG_STRING, "", 1, 100, NULL, CONFIG_REQUIRED | CONFIG_HIDDEN, "The database.") \
        X(C_SOURCE_POLL, "sources[].poll", CONFIG_DURATION, "", 0, 0, "1s", 0, "How often to look.")
enum { TEST_CONFIG(CONFIG_ENUMERATOR) C_COUNT };
static const struct config_key keys[] = { TEST_CONFIG(CONFIG_KEY) };

static char dir[256];

static int make_dir(void **state)
{
        temp_dir_make(dir);
        return 0;
}

static int remove_dir(void **state)
{
        temp_dir_remove(dir);
        return 0;
}

static int parse(const char *text, struct config **ret, struct config_errors **errors)
{
        char path[300];

        snprintf(path, sizeof(path), "%s/a.yaml", dir);
        return config_parse(text, strlen(text), path, keys, C_COUNT, ret, errors);
}

static struct config *parse_good(const char *text)
{
        struct config_errors *errors = NULL;
        struct config *c = NULL;

        if (parse(text, &c, &errors) < 0) {
                config_errors_print(errors, "test", stderr);
                fail();
        }
        assert_int_equal(config_errors_count(errors), 0);
        config_errors_free(errors);
        return c;
}

static void write_file(const char *name, mode_t mode)
{
        char path[300];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "w");
        assert_non_null(f);
        fputs("x", f);
        fclose(f);
        assert_int_equal(chmod(path, mode), 0);
}

static void test_values_and_defaults(void **state)
{
        struct config *c = parse_good("domain: 442000\nlink:\n  credit: 64KiB\n  wait: 2min\ndemo: true\nhosts: [a, b]\n");
        char path[300];

        assert_string_equal(config_string(c, C_DOMAIN), "442000");
        assert_string_equal(config_string(c, C_NAME), "数驿");
        assert_string_equal(config_string(c, C_LISTEN), "tcp://0.0.0.0:7711");
        assert_int_equal(config_int(c, C_CREDIT), 65536);
        assert_int_equal(config_int(c, C_PEERS), 64);
        assert_int_equal(config_int(c, C_WAIT), 120000);
        assert_true(config_bool(c, C_DEMO));
        assert_true(config_is_set(c, C_DEMO));
        assert_false(config_is_set(c, C_PEERS));
        assert_string_equal(config_string(c, C_ANCHOR), "");
        assert_int_equal(config_list_count(c, C_HOSTS), 2);
        assert_string_equal(config_list_at(c, C_HOSTS, 1), "b");
        assert_int_equal(config_count(c, C_SOURCE_DSN), 0);
        snprintf(path, sizeof(path), "%s/data", dir);
        assert_string_equal(config_string(c, C_STORE), path);   /* beside the file, not the working directory */
        config_free(c);
}

static void test_a_list_of_mappings_has_values_for_each(void **state)
{
        struct config *c = parse_good("domain: 442000\nsources:\n- dsn: one\n- dsn: two\n  poll: 5s\n");

        assert_int_equal(config_count(c, C_SOURCE_POLL), 2);
        assert_string_equal(config_string_at(c, C_SOURCE_DSN, 0), "one");
        assert_string_equal(config_string_at(c, C_SOURCE_DSN, 1), "two");
        assert_int_equal(config_int_at(c, C_SOURCE_POLL, 0), 1000);
        assert_int_equal(config_int_at(c, C_SOURCE_POLL, 1), 5000);
        assert_false(config_is_set_at(c, C_SOURCE_POLL, 0));
        config_free(c);
}

struct error_case { const char *name, *yaml; unsigned line, column; const char *path, *text; };

static const struct error_case error_cases[] = {
        { "a key that is missing", "demo: true\n", 0, 0, "domain", "is missing" },
        { "an empty file", "", 0, 0, "domain", "is missing" },
        { "an unknown key", "domain: 442000\nlisten: x\n", 2, 1, "listen", "unknown key" },
        { "an unknown key in a section", "domain: 442000\nlink:\n  lisen: x\n", 3, 3, "link.lisen", "unknown key" },
        { "a key that stands twice", "domain: 442000\ndemo: true\ndemo: false\n", 3, 1, "demo", "stands here twice" },
        { "a key twice in a section", "domain: 442000\nlink: {peers: 1, peers: 2}\n", 2, 18, "link.peers", "stands here twice" },
        { "text for a number", "domain: 442000\nlink: {peers: many}\n", 2, 15, "link.peers", "must be a number in decimal digits" },
        { "a number with a tail", "domain: 442000\nlink: {peers: 12abc}\n", 2, 15, "link.peers", "must be a number in decimal digits" },
        { "an octal number", "domain: 442000\nlink: {peers: 010}\n", 2, 15, "link.peers", "must be a number in decimal digits" },
        { "a hexadecimal number", "domain: 442000\nlink: {peers: 0x10}\n", 2, 15, "link.peers", "must be a number in decimal digits" },
        { "a quoted number", "domain: 442000\nlink: {peers: \"12\"}\n", 2, 15, "link.peers", "must be a number in decimal digits" },
        { "a number beyond 64 bits", "domain: 442000\nlink: {peers: 99999999999999999999}\n", 2, 15, "link.peers", "must be a number in decimal digits" },
        { "a number too small", "domain: 442000\nlink: {peers: 0}\n", 2, 15, "link.peers", "must be between 1 and 4096" },
        { "a number too large", "domain: 442000\nlink: {peers: 4097}\n", 2, 15, "link.peers", "must be between 1 and 4096" },
        { "a size of decimal units", "domain: 442000\nlink: {credit: 1MB}\n", 2, 16, "link.credit", "must be a size such as 512, 64KiB or 1MiB" },
        { "a size out of range", "domain: 442000\nlink: {credit: 1GiB}\n", 2, 16, "link.credit", "must be between 64KiB and 2MiB" },
        { "a size that overflows", "domain: 442000\nlink: {credit: 99999999TiB}\n", 2, 16, "link.credit", "must be a size such as 512, 64KiB or 1MiB" },
        { "a duration without unit", "domain: 442000\nlink: {wait: 30}\n", 2, 14, "link.wait", "must be a duration such as 250ms, 5s, 10min, 2h or 30d" },
        { "a duration too short", "domain: 442000\nlink: {wait: 99ms}\n", 2, 14, "link.wait", "must be between 100ms and 1d" },
        { "yes is not true", "domain: 442000\ndemo: yes\n", 2, 7, "demo", "must be true or false" },
        { "no value", "domain: 442000\nname:\n", 2, 6, "name", "has no value" },
        { "text too short", "domain: 4420\n", 1, 9, "domain", "must have 6 bytes" },
        { "a list for a text", "domain: [442000]\n", 1, 9, "domain", "must be a text" },
        { "a text for a list", "domain: 442000\nhosts: a\n", 2, 8, "hosts", "must be a list" },
        { "a list too long", "domain: 442000\nhosts: [a, b, c, d]\n", 2, 8, "hosts", "must have 1 to 3 members" },
        { "a list in a list", "domain: 442000\nhosts: [a, [b]]\n", 2, 12, "hosts", "members must be text" },
        { "a text for a section", "domain: 442000\nlink: x\n", 2, 7, "link", "must be a mapping of keys" },
        { "a port too large", "domain: 442000\nlink: {listen: 'tcp://h:65536'}\n", 2, 16, "link.listen", "must be tcp://host:port, unix:/path or ipc:///path" },
        { "another scheme", "domain: 442000\nlink: {listen: 'udp://h:1'}\n", 2, 16, "link.listen", "must be tcp://host:port, unix:/path or ipc:///path" },
        { "a relative socket", "domain: 442000\nlink: {listen: 'unix:a'}\n", 2, 16, "link.listen", "must be tcp://host:port, unix:/path or ipc:///path" },
        { "a control character", "domain: 442000\nname: \"a\\nb\"\n", 2, 7, "name", "must be one line of text" },
        { "a NUL", "domain: 442000\nname: \"a\\0b\"\n", 2, 7, "name", "has no value" },
        { "a file that is not there", "domain: 442000\nanchor: none\n", 2, 9, "anchor", "cannot be read: No such file or directory" },
        { "a directory for a file", "domain: 442000\nanchor: /tmp\n", 2, 9, "anchor", "must be a regular file" },
        { "a mapping for a list of mappings", "domain: 442000\nsources: {dsn: a}\n", 2, 10, "sources", "must be a list of mappings" },
        { "a text in a list of mappings", "domain: 442000\nsources: [a]\n", 2, 11, "sources", "members must be mappings" },
        { "a member's missing key", "domain: 442000\nsources:\n- dsn: a\n- poll: 1s\n", 4, 3, "sources[1].dsn", "is missing" },
        { "a member's unknown key", "domain: 442000\nsources:\n- {dsn: a, tabel: b}\n", 3, 12, "sources[0].tabel", "unknown key" },
        { "a second document", "domain: 442000\n---\ndomain: 442000\n", 2, 1, "", "a second document" },
        { "a tab", "domain: 442000\nlink:\n\tpeers: 1\n", 3, 1, "", "found character that cannot start any token" },
        { "no mapping at all", "- a\n", 1, 1, "", "the file must be a mapping of keys" },
        { "a key that is a list", "domain: 442000\n? [a]\n: b\n", 2, 3, "", "keys must be text" },
        { "a merge key", "domain: 442000\nlink: {<<: {peers: 1}}\n", 2, 8, "link.<<", "unknown key" },
        { "an alias to its own section", "domain: 442000\nlink: &a\n  peers: 1\n  link: *a\n", 4, 3, "link.link", "unknown key" },
};

static void test_each_error_is_named_with_line_and_column(void **state)
{
        for (unsigned i = 0; i < ELEMENTS(error_cases); i++) {
                const struct error_case *t = &error_cases[i];
                struct config_errors *errors = NULL;
                struct config *c = NULL;
                int r = parse(t->yaml, &c, &errors);
                const struct config_error *e = config_errors_count(errors) > 0 ? config_errors_at(errors, 0) : NULL;

                if (r != -EINVAL || c || !e || e->line != t->line || e->column != t->column ||
                    strcmp(e->path, t->path) != 0 || strcmp(e->text, t->text) != 0)
                        fail_msg("%s: %d, %u:%u %s: %s", t->name, r, e ? e->line : 0, e ? e->column : 0, e ? e->path : "", e ? e->text : "no error");
                config_errors_free(errors);
        }
}

static void test_all_errors_are_listed_in_the_order_of_the_file(void **state)
{
        static const char text[] = "link:\n  peers: 0\n  credit: x\ndomian: 442000\n";
        struct config_errors *errors = NULL;
        struct config *c = NULL;
        char *printed = NULL;
        size_t n;
        FILE *f = open_memstream(&printed, &n);

        assert_int_equal(parse(text, &c, &errors), -EINVAL);
        config_errors_print(errors, "a.yaml", f);
        fclose(f);
        assert_string_equal(printed, "a.yaml:2:10: link.peers: must be between 1 and 4096\n"
                            "a.yaml:3:11: link.credit: must be a size such as 512, 64KiB or 1MiB\n"
                            "a.yaml:4:1: domian: unknown key\n"
                            "a.yaml: domain: is missing\n");
        free(printed);
        config_errors_free(errors);
}

static void test_a_secret_that_others_may_read_is_refused(void **state)
{
        static const struct { mode_t mode; bool good; } cases[] = { { 0600, true }, { 0400, true }, { 0640, false }, { 0604, false }, { 0620, false } };
        struct config_errors *errors = NULL;
        struct config *c = NULL;

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                int r;

                write_file("broker.key", 0600);
                write_file("broker.key", cases[i].mode);
                r = parse("domain: 442000\nkey: broker.key\n", &c, &errors);
                assert_int_equal(r, cases[i].good ? 0 : -EINVAL);
                if (!cases[i].good)
                        assert_non_null(strstr(config_errors_at(errors, 0)->text, "holds a secret and others may read or write it"));
                config_errors_free(errors);
                config_free(TAKE(c));
        }
}

static void test_a_file_that_is_not_there_is_its_own_fault(void **state)
{
        struct config_errors *errors = NULL;
        struct config *c = NULL;
        char path[300];

        snprintf(path, sizeof(path), "%s/none.yaml", dir);
        assert_int_equal(config_load(path, keys, C_COUNT, &c, &errors), -ENOENT);
        assert_int_equal(config_errors_count(errors), 1);
        config_errors_free(errors);
        assert_int_equal(config_load(path, keys, C_COUNT, &c, NULL), -ENOENT);
        assert_null(c);
}

static void test_a_reload_may_change_what_its_row_allows(void **state)
{
        static const struct { const char *name, *text; int key; } cases[] = {
                { "the same", "domain: 442000\nlink: {peers: 5}\nsources: [{dsn: a}]\nhosts: [a]\n", -1 },
                { "a key that may change", "domain: 442000\nlink: {peers: 6}\nsources: [{dsn: a}]\nhosts: [a]\n", -1 },
                { "a key that may not", "domain: 440000\nlink: {peers: 5}\nsources: [{dsn: a}]\nhosts: [a]\n", C_DOMAIN },
                { "a default written out", "domain: 442000\ndemo: false\nsources: [{dsn: a}]\nhosts: [a]\n", -1 },
                { "one member more", "domain: 442000\nsources: [{dsn: a}, {dsn: b}]\nhosts: [a]\n", C_SOURCE_DSN },
                { "a member changed", "domain: 442000\nsources: [{dsn: b}]\nhosts: [a]\n", C_SOURCE_DSN },
                { "another list", "domain: 442000\nsources: [{dsn: a}]\nhosts: [b]\n", C_HOSTS },
        };
        struct config *old = parse_good(cases[0].text);

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct config *new = parse_good(cases[i].text);

                if (config_first_fixed_change(old, new) != cases[i].key)
                        fail_msg("%s", cases[i].name);
                config_free(new);
        }
        config_free(old);
}

static void test_what_is_printed_names_where_it_comes_from(void **state)
{
        struct config *c = parse_good("domain: 442000\nlink: {peers: 5}\nsources: [{dsn: 'PWD=secret'}]\nhosts: [a, b]\n");
        char *printed = NULL;
        size_t n;
        FILE *f = open_memstream(&printed, &n);

        config_print(c, f);
        fclose(f);
        assert_non_null(strstr(printed, "domain: 442000  # line 1\n"));
        assert_non_null(strstr(printed, "link.peers: 5  # line 2\nlink.wait: 30s  # default\n"));
        assert_non_null(strstr(printed, "hosts: a, b  # line 4\nsources[0].dsn: (set)  # line 3\nsources[0].poll: 1s  # default\n"));
        assert_non_null(strstr(printed, "anchor:  # not set\n"));
        assert_null(strstr(printed, "secret\n"));
        assert_null(strstr(printed, "PWD"));
        free(printed);
        config_free(c);
}

static void test_the_manual_is_the_table(void **state)
{
        char *printed = NULL;
        size_t n;
        FILE *f = open_memstream(&printed, &n);

        config_print_manual(keys, C_COUNT, f);
        fclose(f);
        assert_non_null(strstr(printed, "*domain*\n\ttext, 6 bytes; required. The jurisdiction's division code.\n"));
        assert_non_null(strstr(printed, "*link.credit*\n\tsize, 64KiB to 2MiB; default 1MiB; SIGHUP. Bytes in flight.\n"));
        assert_non_null(strstr(printed, "*link.peers*\n\tnumber of agents, 1 to 4096; default 64; SIGHUP. Agents at once.\n"));
        free(printed);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
        const struct CMUnitTest tests[] = {
                IN_DIR(test_values_and_defaults),
                IN_DIR(test_a_list_of_mappings_has_values_for_each),
                IN_DIR(test_each_error_is_named_with_line_and_column),
                IN_DIR(test_all_errors_are_listed_in_the_order_of_the_file),
                IN_DIR(test_a_secret_that_others_may_read_is_refused),
                IN_DIR(test_a_file_that_is_not_there_is_its_own_fault),
                IN_DIR(test_a_reload_may_change_what_its_row_allows),
                IN_DIR(test_what_is_printed_names_where_it_comes_from),
                IN_DIR(test_the_manual_is_the_table),
        };

        return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
