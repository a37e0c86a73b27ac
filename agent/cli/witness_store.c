/* witness_store: see the header.
 *
 *         shuyi-witness-state-v1
 *         NAME
 *         log ORIGIN SIZE base64(root) EPOCH base64(note)         one line a log, in the order in which they came
 *         check base64(BLAKE2b-256 of all above)
 */
#include "agent/cli/witness_store.h"

#include "common/base64.h"
#include "common/digest.h"
#include "common/failpoint.h"
#include "common/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "shuyi-witness-state-v1"
#define STATE_MAX_BYTES (4u << 20)
#define ARENA_BYTES (16u << 20)

struct witness_store {
        int dir, lock;
        struct arena *arena;            /* of `name` and `log`; a change makes a new one */
        const char *name;
        struct witness_log log[WITNESS_LOGS_MAX];
        unsigned n;
};

static void close_fdp(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* ---- text ---- */

static char *format_log(struct arena *a, const struct witness_log *l)
{
        char root[BASE64_CHARS(DIGEST_BYTES) + 1], *note = arena_alloc(a, BASE64_CHARS(strlen(l->note)) + 1);

        if (!note)
                return NULL;
        base64_encode(bytes_digest(&l->head.root), root);
        base64_encode(bytes_str(l->note), note);
        return arena_printf(a, "log %s %llu %s %llu %s\n", l->origin, (unsigned long long)l->head.size, root, (unsigned long long)l->epoch, note);
}

static void check_of(struct bytes text, char ret[BASE64_CHARS(DIGEST_BYTES) + 1])
{
        struct digest d = digest_plain(text);

        base64_encode(bytes_digest(&d), ret);
}

static char *format_state(struct arena *a, const char *name, const struct witness_log *log, unsigned n)
{
        char check[BASE64_CHARS(DIGEST_BYTES) + 1], *text, *lines[WITNESS_LOGS_MAX], *at;
        size_t size = sizeof(MAGIC) + strlen(name) + 1;

        for (unsigned i = 0; i < n; i++) {
                lines[i] = format_log(a, &log[i]);
                if (!lines[i])
                        return NULL;
                size += strlen(lines[i]);
        }
        text = arena_alloc(a, size + 1);
        if (!text)
                return NULL;
        at = text + sprintf(text, MAGIC "\n%s\n", name);
        for (unsigned i = 0; i < n; i++)
                at = stpcpy(at, lines[i]);
        check_of(bytes_str(text), check);
        return arena_printf(a, "%scheck %s\n", text, check);
}

/* The next word of `line`, up to a space or its end. */
static struct bytes take_word(struct bytes *line)
{
        const uint8_t *space = line->n > 0 ? memchr(line->p, ' ', line->n) : NULL;
        struct bytes word = space ? bytes_of(line->p, (size_t)(space - line->p)) : *line;

        *line = space ? bytes_of(space + 1, line->n - word.n - 1) : bytes_of(NULL, 0);
        return word;
}

static char *text_of(struct arena *a, struct bytes b)
{
        return arena_printf(a, "%.*s", (int)b.n, b.n > 0 ? (const char *)b.p : "");
}

static bool parse_log(struct arena *a, struct bytes line, struct witness_log *ret)
{
        char *note = arena_alloc(a, NOTE_MAX_BYTES + 1);
        struct bytes root;
        size_t n;

        if (!note || !bytes_equal(take_word(&line), bytes_str("log")))
                return false;
        ret->origin = text_of(a, take_word(&line));
        if (!ret->origin || !note_name_check(ret->origin) || !note_parse_number(take_word(&line), &ret->head.size))
                return false;
        root = take_word(&line);
        if (!base64_decode_exact(root, ret->head.root.b, DIGEST_BYTES) || !note_parse_number(take_word(&line), &ret->epoch))
                return false;
        if (!base64_decode(line, note, NOTE_MAX_BYTES, &n))
                return false;
        note[n] = 0;
        ret->note = note;
        return true;
}

static bool parse_state(struct witness_store *s, struct bytes text)
{
        struct note_cursor c = { (const char *)text.p, (const char *)text.p + text.n };
        char check[BASE64_CHARS(DIGEST_BYTES) + 1];
        struct bytes line, before;

        if (!note_next_line(&c, &line) || !bytes_equal(line, bytes_str(MAGIC)) || !note_next_line(&c, &line))
                return false;
        s->name = text_of(s->arena, line);
        if (!s->name || !note_name_check(s->name))
                return false;
        for (;;) {
                before = bytes_of(text.p, (size_t)((const uint8_t *)c.p - text.p));
                if (!note_next_line(&c, &line))
                        return false;
                if (bytes_has_prefix(line, bytes_str("check ")))
                        break;
                if (s->n == WITNESS_LOGS_MAX || !parse_log(s->arena, line, &s->log[s->n]))
                        return false;
                s->n++;
        }
        check_of(before, check);
        return c.p == c.end && bytes_equal(bytes_of(line.p + 6, line.n - 6), bytes_str(check));
}

/* ---- files ---- */

static int write_all(int fd, struct bytes b)
{
        while (b.n > 0) {
                ssize_t r = write(fd, b.p, b.n);

                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0)
                        b = bytes_of(b.p + r, b.n - (size_t)r);
        }
        return 0;
}

/* A whole new file under `name`, durable with its directory. */
static int write_file(int dir, const char *name, struct bytes b)
{
        _cleanup_(close_fdp) int fd = openat(dir, "state.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int r = fd < 0 ? -errno : write_all(fd, b);

        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        FAILPOINT("witness.before_rename");
        if (r == 0 && renameat(dir, "state.new", dir, name) < 0)
                r = -errno;
        FAILPOINT("witness.after_rename");
        if (r == 0 && fsync(dir) < 0)
                r = -errno;
        return r;
}

static int read_file(struct witness_store *s, struct bytes *ret)
{
        _cleanup_(close_fdp) int fd = openat(s->dir, "state", O_RDONLY | O_CLOEXEC);
        struct stat st;
        uint8_t *p;
        size_t n = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > STATE_MAX_BYTES)
                return -EBADMSG;
        p = arena_alloc(s->arena, (size_t)st.st_size);
        if (!p)
                return -ENOMEM;
        while (n < (size_t)st.st_size) {
                ssize_t r = read(fd, p + n, (size_t)st.st_size - n);

                if (r <= 0)
                        return r < 0 ? -errno : -EBADMSG;
                n += (size_t)r;
        }
        *ret = bytes_of(p, n);
        return memchr(p, 0, n) ? -EBADMSG : 0;
}

int witness_store_make(const char *dir, const char *name)
{
        _cleanup_(close_fdp) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        char *text;

        if (fd < 0 || !a)
                return fd < 0 ? -errno : -ENOMEM;
        if (!note_name_check(name))
                return -EINVAL;
        if (faccessat(fd, "state", F_OK, 0) == 0)
                return -EEXIST;
        text = format_state(a, name, NULL, 0);
        return text ? write_file(fd, "state", bytes_str(text)) : -ENOMEM;
}

static int open_into(struct witness_store *s, const char *dir)
{
        struct bytes text = { 0 };
        int r;

        s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->dir < 0)
                return -errno;
        s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (s->lock < 0)
                return -errno;
        if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        s->arena = arena_new(ARENA_BYTES);
        if (!s->arena)
                return -ENOMEM;
        r = read_file(s, &text);
        return r < 0 ? r : parse_state(s, text) ? 0 : -EBADMSG;
}

int witness_store_open(const char *dir, struct witness_store **ret)
{
        struct witness_store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->dir = s->lock = -1;
        r = open_into(s, dir);
        if (r < 0)
                witness_store_close(s);
        else
                *ret = s;
        return r;
}

void witness_store_close(struct witness_store *s)
{
        if (!s)
                return;
        close_fdp(&s->lock);
        close_fdp(&s->dir);
        arena_free(s->arena);
        free(s);
}

/* ---- what it holds ---- */

const char *witness_store_name(const struct witness_store *s)
{
        return s->name;
}

const struct witness_log *witness_store_find(const struct witness_store *s, const char *origin)
{
        for (unsigned i = 0; i < s->n; i++)
                if (strcmp(s->log[i].origin, origin) == 0)
                        return &s->log[i];
        return NULL;
}

static bool copy_log(struct arena *a, const struct witness_log *from, struct witness_log *ret)
{
        *ret = *from;
        ret->origin = arena_strdup(a, from->origin);
        ret->note = arena_strdup(a, from->note);
        return ret->origin && ret->note;
}

/* The state with `log` in its place, in an arena of its own. */
static int changed(const struct witness_store *s, const struct witness_log *log, struct witness_store *ret)
{
        bool found = false, ok = true;

        *ret = (struct witness_store){ .arena = arena_new(ARENA_BYTES), .n = s->n };
        if (!ret->arena)
                return -ENOMEM;
        ret->name = arena_strdup(ret->arena, s->name);
        for (unsigned i = 0; i < s->n && ok; i++) {
                bool here = strcmp(s->log[i].origin, log->origin) == 0;

                found |= here;
                ok = copy_log(ret->arena, here ? log : &s->log[i], &ret->log[i]);
        }
        if (!found && s->n == WITNESS_LOGS_MAX)
                return -ENOSPC;
        if (!found)
                ok = ok && copy_log(ret->arena, log, &ret->log[ret->n++]);
        return ok && ret->name ? 0 : -ENOMEM;
}

int witness_store_put(struct witness_store *s, const struct witness_log *log)
{
        struct witness_store next;
        char *text = NULL;
        int r = changed(s, log, &next);

        if (r == 0) {
                text = format_state(next.arena, next.name, next.log, next.n);
                r = text ? write_file(s->dir, "state", bytes_str(text)) : -ENOMEM;
        }
        if (r < 0) {
                arena_free(next.arena);
                return r;
        }
        arena_free(s->arena);
        next.dir = s->dir;
        next.lock = s->lock;
        *s = next;
        return 0;
}

int witness_store_keep(struct witness_store *s, const char *name, const char *text)
{
        if (faccessat(s->dir, name, F_OK, 0) == 0)
                return 0;
        return write_file(s->dir, name, bytes_str(text));
}
