/* observe_log: the log's tree over HTTP, as C2SP tlog-tiles has it: GET /checkpoint and GET /tile/<L>/<N>[.p/<W>].
 *
 * What is shown is the published head's tree and nothing above it; there are no entry bundles, for what the log holds is not
 * public.  Handlers run on the HTTP server's thread and do not wait: a damaged tile is 503 until it is mended. */
#pragma once
#include "broker/broker.h"
#include "common/http.h"

struct observe_log { struct broker *broker; struct tiles_reader *reader; };

int observe_log_init(struct observe_log *l, struct broker *b);         /* after publish_start; 0 or -ENOMEM */
void observe_log_fini(struct observe_log *l);
void observe_log_checkpoint(const struct observe_log *l, struct http_reply *reply);
void observe_log_tile(const struct observe_log *l, const char *path, struct http_reply *reply); /* path: "/tile/..." */
