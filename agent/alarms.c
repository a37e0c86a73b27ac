/* alarms: see alarms.h. */
#include "agent/alarms.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/replica.h"
#include "common/base64.h"
#include "common/log.h"
#include "common/macro.h"

static const struct { uint32_t number; const char *name; bool halts; const char *text; } kinds[] = {
#define ROW(constant, number, name, halts, text) { number, name, halts, text },
        ALARM_KINDS(ROW)
#undef ROW
};

static size_t kind_index(uint32_t kind)
{
        size_t i = 0;

        while (i < ELEMENTS(kinds) && kinds[i].number != kind)
                i++;
        return i;
}

const char *alarm_name(uint32_t kind)
{
        size_t i = kind_index(kind);

        return i < ELEMENTS(kinds) ? kinds[i].name : "unknown";
}

const char *alarm_text(uint32_t kind)
{
        size_t i = kind_index(kind);

        return i < ELEMENTS(kinds) ? kinds[i].text : "";
}

bool alarm_halts(uint32_t kind)
{
        size_t i = kind_index(kind);

        return i < ELEMENTS(kinds) && kinds[i].halts;
}

const char *alarm_label(unsigned i)
{
        return i < ELEMENTS(kinds) ? kinds[i].name : NULL;
}

static struct agent_key alarm_key(uint64_t number)
{
        return agent_key_u64(agent_key(AGENT_ALARM), number);
}

/* ---- those that stand ---- */

struct standing { unsigned n; bool halted, told; uint64_t last; };

static int look(struct state s, struct arena *a, const struct alarm *same, struct standing *ret)
{
        struct agent_key prefix = agent_key(AGENT_ALARM), from = prefix;
        Shuyi__Agent__AlarmRow *row;
        struct bytes key, value;
        int r;

        *ret = (struct standing){ 0 };
        while ((r = keep_next(s, &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                ret->last = key.n == 9 ? get_be64(key.p + 1) : ret->last;
                r = keep_decode(a, value, &shuyi__agent__alarm_row__descriptor, &row);
                if (r < 0)
                        return r;
                ret->n++;
                ret->halted |= alarm_halts(row->kind);
                ret->told |= same && row->kind == (uint32_t)same->kind && row->about == same->about &&
                             (same->kind != ALARM_STREAM_SILENT || strcmp(row->detail, same->detail) == 0);
        }
        return r;
}

int alarms_count(struct state s, struct arena *a, unsigned *ret, bool *ret_halted)
{
        struct standing st;
        int r = look(s, a, NULL, &st);

        *ret = st.n;
        *ret_halted = st.halted;
        return r;
}

/* ---- the file ---- */

static json_t *binary(struct arena *a, ProtobufCBinaryData b)
{
        char *text = arena_alloc(a, BASE64_CHARS(b.len) + 1);

        if (!text)
                return json_string("");
        base64_encode(keep_bytes(b), text);
        return json_string(text);
}

static json_t *row_json(struct agent *ag, struct arena *a, const Shuyi__Agent__AlarmRow *row)
{
        return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "kind", alarm_name(row->kind), "text", alarm_text(row->kind), "at",
                         (json_int_t)row->at, "about", (json_int_t)row->about, "domain", ag->self.domain, "origin", ag->self.origin, "detail", row->detail,
                         "held_note", row->held_note, "came_note", row->came_note, "receipt", binary(a, row->receipt), "envelope", binary(a, row->envelope));
}

static int write_whole(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), r = 0;
        size_t n = strlen(text);

        if (fd < 0)
                return -errno;
        if (write(fd, text, n) != (ssize_t)n || fsync(fd) < 0)
                r = -EIO;
        close(fd);
        return r;
}

/* A copy to hand to others: <time>-<number>-<kind>.json.  The row is what counts. */
static void write_file(struct agent *ag, struct arena *a, uint64_t number, const Shuyi__Agent__AlarmRow *row)
{
        const char *dir = config_string(ag->config, S_STATE);
        char *path = arena_printf(a, "%s/evidence", dir), *text;
        json_t *json;
        int r;

        if (!path)
                return;
        r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        path = arena_printf(a, "%s/evidence/%llu-%llu-%s.json", dir, (unsigned long long)row->at, (unsigned long long)number, alarm_name(row->kind));
        json = row_json(ag, a, row);
        text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
        if (r == 0)
                r = path && text ? write_whole(path, text) : -ENOMEM;
        if (r < 0 && r != -EEXIST)
                log_event(LOG_ERR, "alarm.file", log_u64("number", number), log_errno("fault", r));
        free(text);
        json_decref(json);
}

/* ---- raising ---- */

static int halt(struct agent *ag, struct arena *a, bool halted)
{
        Shuyi__Agent__ReplicaRow *row;
        int r = replica_get(store_state(ag->store), a, &row);

        if (r < 0 || (row->halted != 0) == halted)
                return r < 0 ? r : 0;
        row->halted = halted;
        return replica_put(ag->store, a, row);
}

static int put_row(struct agent *ag, struct arena *a, struct wall_time now, const struct alarm *alarm, uint64_t number)
{
        Shuyi__Agent__AlarmRow row = SHUYI__AGENT__ALARM_ROW__INIT;
        struct agent_key k = alarm_key(number);
        int r;

        row.kind = alarm->kind;
        row.at = now.ms;
        row.about = alarm->about;
        row.detail = (char *)(alarm->detail ? alarm->detail : "");
        row.held_note = (char *)(alarm->held_note ? alarm->held_note : "");
        row.came_note = (char *)(alarm->came_note ? alarm->came_note : "");
        row.receipt = keep_binary(alarm->receipt);
        row.envelope = keep_binary(alarm->envelope);
        r = keep_put(ag->store, a, &k, &row.base);
        if (r >= 0)
                write_file(ag, a, number, &row);
        return r;
}

int alarms_raise(struct agent *ag, struct arena *a, struct wall_time now, const struct alarm *alarm)
{
        struct standing st;
        int r = look(store_state(ag->store), a, alarm, &st);

        if (r < 0 || st.told)
                return r;
        metrics_inc(ag->block, M_ALARMED, (unsigned)kind_index(alarm->kind));
        log_event(LOG_ERR, "alarm.raised", log_str("kind", alarm_name(alarm->kind)), log_str("text", alarm_text(alarm->kind)), log_u64("about", alarm->about),
                  log_str("detail", alarm->detail ? alarm->detail : ""), log_bool("halts", alarm_halts(alarm->kind)), log_u64("number", st.last + 1));
        if (alarm_halts(alarm->kind))
                r = halt(ag, a, true);
        if (r < 0 || (st.n >= ALARMS_MAX && !alarm_halts(alarm->kind)))
                return r < 0 ? r : 0;
        r = put_row(ag, a, now, alarm, st.last + 1);
        return r < 0 ? r : 1;
}

int alarms_dismiss(struct agent *ag, struct arena *a, uint64_t number)
{
        struct agent_key k = alarm_key(number);
        struct standing st;
        int r = keep_del(ag->store, &k);

        if (r <= 0)
                return r;
        log_event(LOG_NOTICE, "alarm.dismissed", log_u64("number", number));
        r = look(store_state(ag->store), a, NULL, &st);
        if (r == 0)
                r = halt(ag, a, st.halted);
        return r < 0 ? r : 1;
}
