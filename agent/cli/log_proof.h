/* log_proof: `shuyi log head` and `shuyi log prove`: what the center shows of its log's tree, checked here.
 *
 * Roots and paths are computed again from what was sent.  That the head is the log's is known only from an anchor that the
 * reader holds: without --anchor it is said that no signature was checked. */
#pragma once
#include "agent/cli/cli.h"

extern const struct cli_option log_head_options[], log_prove_options[];

int log_head(struct cli *c);
int log_prove(struct cli *c);
