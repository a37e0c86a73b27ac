/* client: calls to the department's own agent, HTTP/JSON over its Unix socket (agent/openapi.yaml). */
#pragma once
#include "agent/cli/cli.h"

#define AGENT_SOCKET_DEFAULT "/run/shuyi/agent.sock"

/* One call.  `body` is consumed (NULL: none).  0 with the HTTP status and the decoded answer (NULL where empty; the
 * caller's); -1 after a message where the agent does not answer or answers no JSON. */
int client_call(struct cli *c, const char *method, const char *path, json_t *body, long *ret_status, json_t **ret);
/* The same with an idempotency key and raw JSON bytes. */
int client_post_bytes(struct cli *c, const char *path, const char *idempotency_key, struct bytes body, long *ret_status, json_t **ret);
/* Prints a problem document (RFC 9457; with --json also to stdout) and answers the exit code: CLI_REFUSED where it names a
 * refusal, else CLI_FAILED. */
int client_problem(const struct cli *c, long status, const json_t *answer);

struct client_query { uint32_t what; struct bytes key; uint64_t need_seq; struct bytes signed_query; };
/* One page behind the cursor `after` (hex; NULL: the first): {rows, next, as_of, code, detail}, the caller's.  An exit code; a
 * refusal of the center stands in the page. */
int client_page(struct cli *c, const struct client_query *q, const char *after, unsigned limit, json_t **ret);
/* All rows of a read, page by page: calls `row` with each row's bytes until it answers other than 0.  Answers an exit code. */
int client_read(struct cli *c, const struct client_query *q, int (*row)(struct cli *c, struct bytes row, void *ctx), void *ctx);

/* base64 (standard, padded) in the command's arena; NULL when full. */
char *client_base64(struct cli *c, struct bytes b);
/* Decoded in the arena; {0} if it is not base64. */
struct bytes client_unbase64(struct cli *c, const char *text);
/* Hex in the arena. */
char *client_hex(struct cli *c, struct bytes b);
