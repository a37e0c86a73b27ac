/* failing: preloaded into a program under test, it makes one call of one place in the program fail, once.
 *
 * A place is the return address of a call that the program itself makes (its own code, not that of its libraries): allocations, files,
 * LMDB and ZeroMQ.  $FAILING_SURVEY names a file to which each place is added when it is first come to: "class call offset".
 * $FAILING="offset:n" makes the n-th call from there fail as that call fails, and says so on stderr. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define SITES 16384                             /* a power of two */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static uintptr_t base, text_from, text_to, target;
static atomic_long left;
static _Atomic uintptr_t seen[SITES];
static int survey = -1;
static atomic_bool ready;

static int find_program(struct dl_phdr_info *info, size_t size, void *unused)
{
        base = info->dlpi_addr;
        for (int i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
                        text_from = base + info->dlpi_phdr[i].p_vaddr;
                        text_to = text_from + info->dlpi_phdr[i].p_memsz;
                }
        return 1;                               /* the first is the program */
}

__attribute__((constructor))
static void begin(void)
{
        const char *path = getenv("FAILING_SURVEY"), *which = getenv("FAILING");
        char *end;

        dl_iterate_phdr(find_program, NULL);
        if (path)
                survey = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (which) {
                target = (uintptr_t)strtoull(which, &end, 16);
                atomic_store(&left, *end == ':' ? strtol(end + 1, NULL, 10) : 1);
        }
        atomic_store(&ready, true);
}

static void note(const char *class, const char *call, uintptr_t offset)
{
        size_t at = (size_t)(offset * 0x9e3779b97f4a7c15ull >> 40) % SITES;

        for (unsigned tries = 0; tries < SITES; tries++, at = (at + 1) % SITES) {
                uintptr_t none = 0;

                if (atomic_load(&seen[at]) == offset)
                        return;
                if (atomic_compare_exchange_strong(&seen[at], &none, offset)) {
                        char line[128];
                        int n = snprintf(line, sizeof(line), "%s %s %lx\n", class, call, (unsigned long)offset);

                        syscall(SYS_write, survey, line, n);
                        return;
                }
                if (none == offset)
                        return;
        }
}

static bool fails(const char *class, const char *call, const void *from)
{
        uintptr_t at = (uintptr_t)from;
        char line[128];
        int n;

        if (!atomic_load(&ready) || at < text_from || at >= text_to)
                return false;
        if (survey >= 0)
                note(class, call, at - base);
        if (target == 0 || at - base != target || atomic_fetch_sub(&left, 1) != 1)
                return false;
        n = snprintf(line, sizeof(line), "failing: %s at %lx\n", call, (unsigned long)(at - base));
        syscall(SYS_write, 2, line, n);
        return true;
}

#define FROM __builtin_return_address(0)
#define NEXT(name) ({ static __typeof__(&name) next_; if (!next_) next_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); next_; })

/* ---- memory ---- */

static void *no_memory(void)
{
        errno = ENOMEM;
        return NULL;
}

void *malloc(size_t n)
{
        return fails("alloc", "malloc", FROM) ? no_memory() : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
        return fails("alloc", "calloc", FROM) ? no_memory() : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
        return fails("alloc", "realloc", FROM) ? no_memory() : __libc_realloc(p, n);
}

/* ---- one shape each: result, name, parameters, arguments, what a failure answers ---- */

#define CALL(class, type, name, parameters, arguments, failure) \
        type name parameters; \
        type name parameters \
        { \
                if (fails(class, #name, FROM)) \
                        return failure; \
                return NEXT(name) arguments; \
        }
#define NO(code) ({ errno = (code); -1; })
#define NO_PLACE(code, type) ({ errno = (code); (type)-1; })
#define NOTHING(code) ({ errno = (code); (void *)NULL; })

CALL("file", ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), NO(EIO))
CALL("file", ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), NO(ENOSPC))
CALL("file", ssize_t, pread64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), NO(EIO))
CALL("file", ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), NO(EIO))
CALL("file", ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), NO(EIO))
CALL("file", int, fsync, (int fd), (fd), NO(EIO))
CALL("file", int, fdatasync, (int fd), (fd), NO(EIO))
CALL("file", int, ftruncate64, (int fd, off_t n), (fd, n), NO(EIO))
CALL("file", int, fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), NO(ENOSPC))
CALL("file", int, rename, (const char *a, const char *b), (a, b), NO(EIO))
CALL("file", int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), NO(EIO))
CALL("file", int, unlinkat, (int d, const char *a, int flags), (d, a, flags), NO(EIO))
CALL("file", int, fstat64, (int fd, void *st), (fd, st), NO(EIO))
CALL("file", void *, mmap64, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at), NO_PLACE(ENOMEM, void *))

int open64(const char *path, int flags, ...)
{
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        return fails("file", "open", FROM) ? NO(EMFILE) : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        return fails("file", "openat", FROM) ? NO(EMFILE) : (int)syscall(SYS_openat, dir, path, flags, mode);
}

/* ---- LMDB: handles are pointers, the codes its own ---- */

#define MDB_MAP_FULL (-30792)

CALL("lmdb", int, mdb_env_open, (void *env, const char *path, unsigned flags, mode_t mode), (env, path, flags, mode), EIO)
CALL("lmdb", int, mdb_env_create, (void **env), (env), ENOMEM)
CALL("lmdb", int, mdb_txn_begin, (void *env, void *parent, unsigned flags, void **ret), (env, parent, flags, ret), ENOMEM)
CALL("lmdb", int, mdb_txn_renew, (void *txn), (txn), ENOMEM)
CALL("lmdb", int, mdb_dbi_open, (void *txn, const char *name, unsigned flags, unsigned *ret), (txn, name, flags, ret), EIO)
CALL("lmdb", int, mdb_get, (void *txn, unsigned db, void *k, void *v), (txn, db, k, v), EIO)
CALL("lmdb", int, mdb_put, (void *txn, unsigned db, void *k, void *v, unsigned flags), (txn, db, k, v, flags), MDB_MAP_FULL)
CALL("lmdb", int, mdb_del, (void *txn, unsigned db, void *k, void *v), (txn, db, k, v), EIO)
CALL("lmdb", int, mdb_cursor_open, (void *txn, unsigned db, void **ret), (txn, db, ret), ENOMEM)
CALL("lmdb", int, mdb_cursor_get, (void *c, void *k, void *v, int op), (c, k, v, op), EIO)
CALL("lmdb", int, mdb_stat, (void *txn, unsigned db, void *ret), (txn, db, ret), EIO)

/* A commit that fails takes its transaction with it, as LMDB's own do. */
int mdb_txn_commit(void *txn);
void mdb_txn_abort(void *txn);
int mdb_txn_commit(void *txn)
{
        if (!fails("lmdb", "mdb_txn_commit", FROM))
                return NEXT(mdb_txn_commit)(txn);
        NEXT(mdb_txn_abort)(txn);
        return EIO;
}

/* ---- ZeroMQ ---- */

CALL("socket", void *, zmq_ctx_new, (void), (), NOTHING(EMFILE))
CALL("socket", void *, zmq_socket, (void *ctx, int type), (ctx, type), NOTHING(EMFILE))
CALL("socket", int, zmq_bind, (void *s, const char *at), (s, at), NO(EADDRINUSE))
CALL("socket", int, zmq_connect, (void *s, const char *to), (s, to), NO(ENOMEM))
CALL("socket", int, zmq_setsockopt, (void *s, int option, const void *p, size_t n), (s, option, p, n), NO(EINVAL))
CALL("socket", int, zmq_getsockopt, (void *s, int option, void *p, size_t *n), (s, option, p, n), NO(EINVAL))
CALL("socket", int, zmq_msg_init_size, (void *m, size_t n), (m, n), NO(ENOMEM))
CALL("socket", int, zmq_msg_send, (void *m, void *s, int flags), (m, s, flags), NO(EAGAIN))
CALL("socket", int, zmq_msg_recv, (void *m, void *s, int flags), (m, s, flags), NO(EAGAIN))
CALL("socket", int, zmq_send, (void *s, const void *p, size_t n, int flags), (s, p, n, flags), NO(EAGAIN))
CALL("socket", int, zmq_recv, (void *s, void *p, size_t n, int flags), (s, p, n, flags), NO(EAGAIN))
CALL("socket", int, zmq_poll, (void *items, int n, long ms), (items, n, ms), NO(EINTR))
CALL("socket", int, zmq_socket_monitor, (void *s, const char *at, int events), (s, at, events), NO(EMFILE))
