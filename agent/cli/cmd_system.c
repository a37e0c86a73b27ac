/* cmd_system: is it up, and is this machine fit for it? */
#include "agent/cli/client.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "common/secret.h"
#include "common/times.h"
#include "proto/audit.pb-c.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int take_status(struct cli *c, struct bytes b, void *ctx)
{
        const Shuyi__V1__StatusRow *r = message_parse(c->arena, &shuyi__v1__status_row__descriptor, b);

        if (!r)
                return -1;
        *(json_t **)ctx = message_json_print(&r->base);
        return 1;
}

static void print_ping(const struct cli *c, const json_t *a, FILE *out)
{
        const json_t *center = json_object_get(a, "center");

        fprintf(out, "center answers: domain %s, log at %" JSON_INTEGER_FORMAT ", round trip %.1f ms\n", json_string_value(json_object_get(center, "domain")),
                json_integer_value(json_object_get(center, "seq")), json_real_value(json_object_get(a, "round_trip_ms")));
}

static int ping(struct cli *c)
{
        json_t *center = NULL;
        struct client_query q = { .what = READ_STATUS };
        struct mono_time start = times_mono();
        int code = client_read(c, &q, take_status, &center);

        if (code != CLI_OK || !center)
                return code == CLI_OK ? CLI_FAILED : code;
        cli_print(c, json_pack("{s:f, s:o}", "round_trip_ms", (double)(times_mono().ns - start.ns) / 1e6, "center", center), print_ping);
        return CLI_OK;
}

/* ---- doctor ---- */

struct finding { const char *check; bool good; char text[200]; };

static void check_mlock(struct cli *c, struct finding *f)
{
        int r = secret_check_mlock();

        f->good = r == 0;
        snprintf(f->text, sizeof f->text, r == 0 ? "keys can be locked into memory" : "keys could be swapped out: raise LimitMEMLOCK");
}

static void check_files(struct cli *c, struct finding *f)
{
        struct rlimit l = { 0, 0 };

        getrlimit(RLIMIT_NOFILE, &l);
        f->good = l.rlim_cur >= 1024;
        snprintf(f->text, sizeof f->text, "%llu open files allowed%s", (unsigned long long)l.rlim_cur, f->good ? "" : ": raise LimitNOFILE to 4096");
}

static void check_core(struct cli *c, struct finding *f)
{
        struct rlimit l = { 0, 0 };

        getrlimit(RLIMIT_CORE, &l);
        f->good = l.rlim_cur == 0;
        snprintf(f->text, sizeof f->text, f->good ? "no core dumps" : "core dumps are on: set LimitCORE=0, since they could hold keys");
}

static void check_sync(struct cli *c, struct finding *f)
{
        const char *dir = cli_option(c, "dir") ? cli_option(c, "dir") : ".";
        char path[512], block[4096] = { 0 };
        uint64_t best = UINT64_MAX;

        snprintf(path, sizeof path, "%s/.shuyi-doctor-XXXXXX", dir);
        int fd = mkstemp(path);
        for (int i = 0; fd >= 0 && i < 16; i++) {
                struct mono_time start = times_mono();
                if (pwrite(fd, block, sizeof block, 0) < 0 || fdatasync(fd) < 0)
                        break;
                uint64_t took = times_mono().ns - start.ns;
                best = took < best ? took : best;
        }
        f->good = fd >= 0 && best < 20000000;
        snprintf(f->text, sizeof f->text, fd < 0 ? "%s: %s" : best == UINT64_MAX ? "%s: %s" : "%s: a synced write takes %s us", dir,
                 fd < 0 || best == UINT64_MAX ? strerror(errno) : arena_printf(c->arena, "%llu", (unsigned long long)(best / 1000)));
        if (fd >= 0) {
                close(fd);
                unlink(path);
        }
}

static void check_agent(struct cli *c, struct finding *f)
{
        json_t *answer = NULL;
        long status;
        int r = client_call(c, "GET", "/v1/status", NULL, &status, &answer);
        const char *link = json_string_value(json_object_get(answer, "link"));

        f->good = r == 0 && status == 200;
        snprintf(f->text, sizeof f->text, "%s%s%s", f->good ? "the agent answers" : "the agent does not answer", link ? ", link " : "", link ? link : "");
        json_decref(answer);
}

static json_int_t number(const json_t *o, const char *name)
{
        return json_integer_value(json_object_get(o, name));
}

/* What the center has proved to the agent, and what stands against it. */
static void check_proof(struct cli *c, struct finding *f)
{
        json_t *answer = NULL;
        long status = 0;
        int r = client_call(c, "GET", "/v1/status", NULL, &status, &answer);
        const json_t *p = json_object_get(answer, "proof");

        if (r < 0 || status != 200 || !p) {
                snprintf(f->text, sizeof f->text, "the agent does not say what is proved to it");
        } else {
                f->good = number(p, "alarms") == 0;
                snprintf(f->text, sizeof f->text, "log verified to %lld, %lld s ago; %lld receipts wait, the oldest %lld s; %s%lld alarms%s",
                         (long long)number(json_object_get(p, "verified"), "size"), (long long)number(p, "verified_age_ms") / 1000,
                         (long long)number(p, "receipts_waiting"), (long long)number(p, "oldest_receipt_ms") / 1000,
                         json_is_true(json_object_get(p, "halted")) ? "HALTED, " : "", (long long)number(p, "alarms"),
                         f->good ? "" : ": see `shuyi agent alarms`");
        }
        json_decref(answer);
}

static void check_clock(struct cli *c, struct finding *f)
{
        json_t *center = NULL;
        struct client_query q = { .what = READ_STATUS };

        if (client_read(c, &q, take_status, &center) != CLI_OK || !center) {
                snprintf(f->text, sizeof f->text, "the center's clock cannot be read");
                return;
        }
        int64_t off = (int64_t)times_wall().ms - json_integer_value(json_object_get(center, "broker_time"));
        f->good = off > -5000 && off < 5000;
        snprintf(f->text, sizeof f->text, "this clock is %lld ms off the center's", (long long)off);
        json_decref(center);
}

static const struct { const char *name; void (*run)(struct cli *c, struct finding *f); } checks[] = {
        { "memory lock", check_mlock }, { "open files", check_files }, { "core dumps", check_core },
        { "disk", check_sync }, { "agent", check_agent }, { "proof", check_proof }, { "clock", check_clock },
};

static void print_doctor(const struct cli *c, const json_t *list, FILE *out)
{
        size_t i;
        const json_t *f;

        json_array_foreach(list, i, f)
                fprintf(out, "%-4s %-12s %s\n", json_is_true(json_object_get(f, "good")) ? "ok" : "BAD", json_string_value(json_object_get(f, "check")),
                        json_string_value(json_object_get(f, "text")));
}

static int doctor(struct cli *c)
{
        json_t *list = json_array();
        int code = CLI_OK;

        for (size_t i = 0; i < ELEMENTS(checks); i++) {
                struct finding f = { checks[i].name, false, "" };
                checks[i].run(c, &f);
                json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "check", f.check, "good", (int)f.good, "text", f.text));
                code = f.good ? code : CLI_CHECK;
        }
        cli_print(c, list, print_doctor);
        return code;
}

static const struct cli_option options_doctor[] = { { "dir", "DIR", "directory whose disk is tried (default: here)", false }, { NULL, NULL, NULL, false } };

const struct cli_command commands_system[] = {
        { "ping", "", "", 0, 0, "ask the center how far its log is, through the agent", NULL, ping },
        { "doctor", "", "", 0, 0, "is this machine fit: memory lock, files, disk, clock, agent; has the center proved what it says", options_doctor, doctor },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
