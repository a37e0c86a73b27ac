/* cmd_mirror: `shuyi audit mirror`, one of the rows of commands_audit. */
#pragma once
#include "agent/cli/cli.h"

extern const struct cli_option options_mirror[];
int audit_mirror(struct cli *c);
