/* cli: parses a command line by the tables, prints help from the same tables, runs the command. */
#include "agent/cli/cli.h"
#include "agent/cli/shown.h"
#include "common/macro.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CLI_ARENA_BYTES (64u << 20)
#define CLI_OPTIONS_MAX 32

static const struct cli_option common_options[] = {
        { "json", NULL, "print the result as JSON", false },
        { "agent", "SOCKET", "Unix socket of the department's agent (or $SHUYI_AGENT)", false },
        { "yes", NULL, "sign without asking; what is signed is still shown", false },
        { "help", NULL, "show this", false },
        { NULL, NULL, NULL, false },
};

static const char help_exit[] =
        "Exit codes:\n"
        "  0  done; an act was received by the center\n"
        "  1  a fault here: file, network, memory\n"
        "  2  the command line is wrong\n"
        "  3  refused; the rule is named\n"
        "  4  kept at the agent, not yet received by the center\n"
        "  5  a draft that waits for another signature\n"
        "  6  a check found something\n";

void cli_error(const char *format, ...)
{
        char *text = NULL;
        va_list args;

        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        fputs("shuyi: ", stderr);
        shown_put(n < 0 ? "out of memory" : text, stderr);
        fputc('\n', stderr);
        if (n >= 0)
                free(text);
}

static unsigned options_count(const struct cli_option *options)
{
        unsigned n = 0;

        while (options && options[n].name)
                n++;
        return n;
}

static int option_find(const struct cli_option *options, const char *name, size_t len)
{
        for (unsigned i = 0; options && options[i].name; i++)
                if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
                        return (int)i;
        return -1;
}

const char *cli_option(const struct cli *c, const char *name)
{
        int i = option_find(c->command->options, name, strlen(name));

        assert(i >= 0);
        return c->values[i];
}

bool cli_switch(const struct cli *c, const char *name)
{
        return cli_option(c, name) != NULL;
}

int cli_number(const struct cli *c, const char *name, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *ret)
{
        const char *text = cli_option(c, name);
        char *end;

        if (!text) {
                *ret = fallback;
                return 0;
        }
        errno = 0;
        unsigned long long v = strtoull(text, &end, 10);
        if (errno || end == text || *end || text[0] == '-' || v < min || v > max) {
                cli_error("--%s takes a whole number from %llu to %llu, not '%s'", name, (unsigned long long)min,
                          (unsigned long long)max, text);
                return -1;
        }
        *ret = v;
        return 0;
}

void cli_print(const struct cli *c, json_t *value, void (*text)(const struct cli *c, const json_t *value, FILE *out))
{
        if (c->json) {
                json_dumpf(value, stdout, JSON_COMPACT);
                putchar('\n');
        } else if (!text) {
                char *all = json_dumps(value, JSON_INDENT(2));
                shown_put(all ? all : "", stdout);
                putchar('\n');
                free(all);
        } else {
                text(c, shown_json(value), stdout);
        }
        json_decref(value);
}

static void print_options(const struct cli_option *options, FILE *out)
{
        for (; options && options->name; options++) {
                char left[64];
                snprintf(left, sizeof left, "--%s%s%s", options->name, options->value ? " " : "", options->value ? options->value : "");
                fprintf(out, "  %-28s %s%s\n", left, options->help, options->required ? " (required)" : "");
        }
}

/* "catalog show RESOURCE": noun, verb and operands, each where there is one. */
#define COMMAND_LINE 96
static const char *command_line(const struct cli_command *k, char line[COMMAND_LINE])
{
        snprintf(line, COMMAND_LINE, "%s%s%s%s%s", k->noun, *k->verb ? " " : "", k->verb, *k->operands ? " " : "", k->operands);
        return line;
}

static void print_command(const struct cli_command *k, FILE *out)
{
        char line[COMMAND_LINE];

        fprintf(out, "Usage: shuyi %s [OPTIONS]\n\n%s\n", command_line(k, line), k->help);
        if (k->options && k->options->name) {
                fputs("\nOptions:\n", out);
                print_options(k->options, out);
        }
        fputs("\nEverywhere:\n", out);
        print_options(common_options, out);
        fprintf(out, "\n%s", help_exit);
}

static void print_noun(const struct cli_command *table, FILE *out)
{
        char line[COMMAND_LINE];

        for (const struct cli_command *k = table; k->noun; k++)
                fprintf(out, "  %-44s %s\n", command_line(k, line), k->help);
}

static void print_help(const struct cli_command *const *tables, FILE *out)
{
        fputs("shuyi: share and verify data between government departments, signed, sealed, in one log\n\n"
              "Usage: shuyi NOUN VERB [OPERANDS] [OPTIONS]\n       shuyi NOUN VERB --help\n\n", out);
        for (; *tables; tables++)
                print_noun(*tables, out);
        fputs("\nEverywhere:\n", out);
        print_options(common_options, out);
        fprintf(out, "\n%s", help_exit);
}

/* `shuyi __complete WORDS...`: what may come next, one a line; for the shell's completion. */
static int complete(const struct cli_command *const *tables, int argc, char **argv)
{
        const char *noun = argc > 0 ? argv[0] : "", *verb = argc > 1 ? argv[1] : "";

        for (const struct cli_command *const *t = tables; *t; t++) {
                if (argc <= 1 && strncmp((*t)->noun, noun, strlen(noun)) == 0)
                        puts((*t)->noun);
                for (const struct cli_command *k = *t; argc >= 2 && k->noun; k++) {
                        if (strcmp(k->noun, noun) != 0)
                                continue;
                        if (argc == 2 && strncmp(k->verb, verb, strlen(verb)) == 0)
                                puts(k->verb);
                        for (const struct cli_option *o = k->options; argc > 2 && strcmp(k->verb, verb) == 0 && o && o->name; o++)
                                printf("--%s\n", o->name);
                }
        }
        return CLI_OK;
}

/* The row of a noun and verb, or of the noun alone; *ret_table: where the noun stands, NULL if nowhere. */
static const struct cli_command *command_find(const struct cli_command *const *tables, const char *noun, const char *verb,
                                              const struct cli_command **ret_table)
{
        *ret_table = NULL;
        for (; *tables; tables++)
                for (const struct cli_command *k = *tables; k->noun; k++)
                        if (strcmp(k->noun, noun) == 0) {
                                *ret_table = *tables;
                                if (!*k->verb || (verb && strcmp(k->verb, verb) == 0))
                                        return k;
                        }
        return NULL;
}

/* Where an option's value goes: a common one into the context, another into its slot. */
static int take_option(struct cli *c, const char *word, char **argv, int argc, int *i, bool *ret_help)
{
        const char *eq = strchr(word, '=');
        size_t len = eq ? (size_t)(eq - word) : strlen(word);
        int own = option_find(c->command->options, word, len);
        int common = own < 0 ? option_find(common_options, word, len) : -1;

        if (own < 0 && common < 0) {
                cli_error("'shuyi %s%s%s' has no option --%.*s", c->command->noun, *c->command->verb ? " " : "", c->command->verb, (int)len, word);
                return -1;
        }
        const struct cli_option *o = own >= 0 ? &c->command->options[own] : &common_options[common];
        const char *value = "";
        if (o->value) {
                if (!eq && *i + 1 >= argc) {
                        cli_error("--%s needs %s", o->name, o->value);
                        return -1;
                }
                value = eq ? eq + 1 : argv[++*i];
        } else if (eq) {
                cli_error("--%s takes no value", o->name);
                return -1;
        }
        if (own >= 0) {
                if (c->values[own]) {
                        cli_error("--%s is given twice", o->name);
                        return -1;
                }
                c->values[own] = value;
        } else {
                switch (common) {
                case 0: c->json = true; break;
                case 1: c->socket = value; break;
                case 2: c->yes = true; break;
                default: *ret_help = true;
                }
        }
        return 0;
}

static int check_arguments(const struct cli *c)
{
        for (const struct cli_option *o = c->command->options; o && o->name; o++)
                if (o->required && !cli_option(c, o->name)) {
                        cli_error("--%s %s is required", o->name, o->value ? o->value : "");
                        return -1;
                }
        if (c->operands_n < c->command->operands_min || c->operands_n > c->command->operands_max) {
                cli_error("'shuyi %s%s%s' takes %s", c->command->noun, *c->command->verb ? " " : "", c->command->verb,
                          *c->command->operands ? c->command->operands : "no operands");
                return -1;
        }
        return 0;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(CLI_ARENA_BYTES);
        const char *values[CLI_OPTIONS_MAX] = { NULL };
        struct cli c = { .command = command, .values = values, .socket = getenv("SHUYI_AGENT"), .arena = arena };
        bool help = false, words_only = false;

        assert(options_count(command->options) <= CLI_OPTIONS_MAX);
        const char **operands = arena ? ARENA_ARRAY(arena, const char *, (size_t)argc + 1) : NULL;
        if (!operands) {
                cli_error("out of memory");
                return CLI_FAILED;
        }
        for (int i = 0; i < argc; i++) {
                if (!words_only && strcmp(argv[i], "--") == 0)
                        words_only = true;
                else if (!words_only && strncmp(argv[i], "--", 2) == 0) {
                        if (take_option(&c, argv[i] + 2, argv, argc, &i, &help) < 0)
                                return CLI_USAGE;
                } else
                        operands[c.operands_n++] = argv[i];
        }
        c.operands = operands;
        if (help) {
                print_command(command, stdout);
                return CLI_OK;
        }
        if (check_arguments(&c) < 0) {
                fprintf(stderr, "Try 'shuyi %s%s%s --help'.\n", command->noun, *command->verb ? " " : "", command->verb);
                return CLI_USAGE;
        }
        return command->run(&c);
}

int cli_main(int argc, char **argv, const struct cli_command *const *tables)
{
        const struct cli_command *table;

        if (argc < 2 || strcmp(argv[1], "--help") == 0 || (strcmp(argv[1], "help") == 0 && argc == 2)) {
                print_help(tables, argc < 2 ? stderr : stdout);
                return argc < 2 ? CLI_USAGE : CLI_OK;
        }
        if (strcmp(argv[1], "--version") == 0) {
                puts("shuyi " SHUYI_VERSION);
                return CLI_OK;
        }
        if (strcmp(argv[1], "help") == 0) {
                if (strcmp(argv[2], "exit") == 0) {
                        fputs(help_exit, stdout);
                        return CLI_OK;
                }
                argv++, argc--;
        }
        if (strcmp(argv[1], "__complete") == 0)
                return complete(tables, argc - 2, argv + 2);
        const struct cli_command *k = command_find(tables, argv[1], argc > 2 ? argv[2] : NULL, &table);
        if (k)
                return *k->verb ? run_command(k, argc - 3, argv + 3) : run_command(k, argc - 2, argv + 2);
        if (!table) {
                cli_error("no noun '%s'", argv[1]);
                print_help(tables, stderr);
                return CLI_USAGE;
        }
        bool asked = argc == 2 || strcmp(argv[2], "--help") == 0;
        if (!asked)
                cli_error("'%s' has no verb '%s'", argv[1], argv[2]);
        print_noun(table, asked ? stdout : stderr);
        return asked ? CLI_OK : CLI_USAGE;
}
