/* false_center: a center played by a test, and a real agent that is connected to it.
 *
 * It has a founded city's keys, so that what it says may be signed as it must be, and says what the test likes.  Every wait is for
 * a condition and fails the test after CENTER_PATIENCE_MS.  One thread. */
#pragma once
#include "common/frame.h"
#include "common/link.h"
#include "tests/lib/city.h"
#include <sys/types.h>

#define CENTER_PATIENCE_MS 20000

extern const char *center_program;      /* shuyi-agent */

struct center {
        struct city *c;
        struct party *agent, *stranger;
        struct link_context *links;
        struct link_server *server;
        struct arena *arena;
        char dir[256];
        const char *more;               /* of the agent's configuration; may be NULL */
        struct bytes anchor;            /* a SignedAnchor for the welcome file; {0}: the city's */
        pid_t pid;
        struct link_frame *frame;       /* the last one; its route is the agent's */
        struct frame said;              /* what it says */
        const Shuyi__V1__Hello *hello;  /* the last one */
        unsigned hellos;
};

struct center *center_new(void);
void center_free(struct center *s);
uint64_t center_now_ms(void);

/* The agent: its files are written, then it runs until it is stopped, and must end well. */
void center_start_agent(struct center *s);
void center_stop_agent(struct center *s);
void center_write_file(struct center *s, const char *name, struct bytes text);
bool center_log_has(struct center *s, const char *part);
/* A call of its API: the whole answer, until the next call. */
const char *center_http(struct center *s, const char *method, const char *path, const char *body);
double center_metric(struct center *s, const char *name);       /* 0 if it is not there */

/* Takes one frame if one comes. */
bool center_hear(struct center *s, int timeout_ms);
void center_wait_hello(struct center *s);
void center_wait_log(struct center *s, const char *part);
void center_send_bytes(struct center *s, struct bytes frame);
void center_send_welcome(struct center *s);
