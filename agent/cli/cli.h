/* cli: what every subcommand of `shuyi` sees.
 *
 * A subcommand is a row (command.h) and a function.  Options are parsed by the row's own table before it runs, so that
 * a function asks for values that are known to be there.  Results go to stdout (text, or JSON with --json), everything
 * else to stderr.  One thread; the process ends after one command. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include <jansson.h>
#include <stdio.h>

/* Exit codes: documented in `shuyi help exit`. */
enum cli_exit {
        CLI_OK = 0,             /* done; an act: received by the center */
        CLI_FAILED = 1,         /* a fault here: file, network, memory */
        CLI_USAGE = 2,          /* the command line is wrong */
        CLI_REFUSED = 3,        /* refused, with the rule */
        CLI_KEPT = 4,           /* kept at the agent, not yet received by the center */
        CLI_WAITS = 5,          /* a draft that waits for another signature */
        CLI_CHECK = 6,          /* a check found something */
};

struct cli_option {
        const char *name;       /* "out": --out VALUE */
        const char *value;      /* "FILE" in help; NULL: a switch */
        const char *help;
        bool required;
};

struct cli;

struct cli_command {
        const char *noun, *verb;                /* verb "": the noun alone */
        const char *operands;   /* "RESOURCE [ITEM...]": shown in help; "" if none */
        unsigned operands_min, operands_max;
        const char *help;       /* one line */
        const struct cli_option *options;       /* ended by a NULL name; NULL: none */
        int (*run)(struct cli *c);
};

struct cli {
        const struct cli_command *command;
        const char **values;    /* by option index; NULL where not given */
        const char *const *operands;
        unsigned operands_n;
        bool json;              /* --json */
        bool yes;               /* --yes: sign without asking (the text is still shown) */
        const char *socket;     /* --agent PATH, or $SHUYI_AGENT */
        struct arena *arena;    /* the command's memory */
};

/* Value of an option of this command's table; NULL where not given.  The name is asserted to be in the table. */
const char *cli_option(const struct cli *c, const char *name);
bool cli_switch(const struct cli *c, const char *name);
/* The same as a number within [min, max]; `fallback` where not given.  Wrong: message, and -1. */
int cli_number(const struct cli *c, const char *name, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *ret);

/* Parses argv and runs the command; answers its exit code. */
int cli_main(int argc, char **argv, const struct cli_command *const *tables);

/* Messages to stderr: "shuyi: ..." LF. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Result as JSON (with --json) or as the text made by `text`, which may be NULL: then JSON is printed indented. Consumes `value`. */
void cli_print(const struct cli *c, json_t *value, void (*text)(const struct cli *c, const json_t *value, FILE *out));

extern const struct cli_command commands_authority[], commands_key[], commands_department[], commands_staff[], commands_agent[],
        commands_catalog[], commands_request[], commands_grant[], commands_draft[], commands_push[], commands_audit[], commands_log[],
        commands_policy[], commands_system[], commands_witness[];
