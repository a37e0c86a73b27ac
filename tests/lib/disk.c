/* disk: see the header. */
#undef _FILE_OFFSET_BITS
#include "tests/lib/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <dirent.h>

#define SECTOR 512
#define FD_MAX 4096
#define KINDS_MAX 32
#define NAME_BYTES 64

enum op_kind { OP_CREATE, OP_RENAME, OP_UNLINK, OP_WRITE, OP_TRUNCATE, OP_PUNCH, OP_SYNC, OP_PROMISE };

struct op {
        enum op_kind kind;
        unsigned inode;                         /* a file's, or the directory's whose names change or are synced */
        unsigned child;                         /* CREATE, RENAME, UNLINK: whose name it is */
        uint64_t offset, n;                     /* TRUNCATE: offset is the size; SYNC: offset is the number of its kind; PROMISE: the value */
        bool dsync, grow_only;
        uint8_t *data;
        char name[NAME_BYTES], to[NAME_BYTES];
        bool settled;                           /* on the disk for good, or overtaken */
};

struct entry { char name[NAME_BYTES]; unsigned inode; };

struct inode {
        bool is_dir;
        struct entry *names, *stable;           /* a directory: as programs see it; as synced */
        unsigned names_n, stable_n;
        uint8_t *p;                             /* a file: as synced */
        uint64_t n;
        size_t *pending;                        /* operations not yet synced */
        unsigned pending_n, pending_room;
        char tag[NAME_BYTES];                   /* ".seg", "log/" */
};

struct disk {
        char root[256];
        char ignore[NAME_BYTES];
        struct op *ops;
        size_t n, room;
        struct inode *inodes;                   /* 0 is the root */
        unsigned inodes_n, inodes_room;
        size_t advanced;                        /* operations folded into what is synced */
        char kinds[KINDS_MAX][NAME_BYTES];
        unsigned kinds_n;
};

static struct disk *recording;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;        /* guards `recording`, what it points to and `fds` */
static struct { unsigned inode; bool used, dsync; } fds[FD_MAX];

/* ---- small help ---- */

static void die(const char *what)
{
        fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
        abort();
}

static void *must(void *p)
{
        if (!p)
                die("no memory");
        return p;
}

static void copy_name(char to[NAME_BYTES], const char *from)
{
        if (strlen(from) >= NAME_BYTES)
                die(from);
        strcpy(to, from);
}

uint64_t disk_random(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15ull;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
}

static bool chance(uint64_t *random, unsigned percent)
{
        return disk_random(random) % 100 < percent;
}

/* ---- what is recorded ---- */

static unsigned add_inode(struct disk *d, bool is_dir, const char *name)
{
        struct inode *i;
        const char *dot = strrchr(name, '.');

        if (d->inodes_n == d->inodes_room) {
                d->inodes_room = d->inodes_room ? 2 * d->inodes_room : 64;
                d->inodes = must(realloc(d->inodes, d->inodes_room * sizeof(*d->inodes)));
        }
        i = &d->inodes[d->inodes_n];
        *i = (struct inode){ .is_dir = is_dir };
        if (is_dir)
                snprintf(i->tag, sizeof(i->tag), "%.50s/", name);
        else
                snprintf(i->tag, sizeof(i->tag), "%.50s", dot ? dot : name);
        return d->inodes_n++;
}

static struct op *add_op(struct disk *d, enum op_kind kind, unsigned inode)
{
        if (d->n == d->room) {
                d->room = d->room ? 2 * d->room : 1024;
                d->ops = must(realloc(d->ops, d->room * sizeof(*d->ops)));
        }
        d->ops[d->n] = (struct op){ .kind = kind, .inode = inode };
        return &d->ops[d->n++];
}

static struct entry *find_entry(struct entry *e, unsigned n, const char *name)
{
        for (unsigned i = 0; i < n; i++)
                if (strcmp(e[i].name, name) == 0)
                        return &e[i];
        return NULL;
}

static void set_entry(struct entry **e, unsigned *n, const char *name, unsigned inode)
{
        struct entry *old = find_entry(*e, *n, name);

        if (!old) {
                *e = must(realloc(*e, (*n + 1) * sizeof(**e)));
                old = &(*e)[(*n)++];
                copy_name(old->name, name);
        }
        old->inode = inode;
}

static void drop_entry(struct entry *e, unsigned *n, const char *name)
{
        struct entry *old = find_entry(e, *n, name);

        if (old)
                *old = e[--*n];
}

/* The directory and the last name of a path below the root; false: it is elsewhere, or a lock file. */
static bool resolve(struct disk *d, int dir_fd, const char *path, unsigned *ret_dir, char ret_name[NAME_BYTES])
{
        unsigned dir = 0;

        if (!d)
                return false;
        if (path[0] == '/') {
                size_t n = strlen(d->root);

                if (strncmp(path, d->root, n) != 0 || (path[n] != '/' && path[n] != 0))
                        return false;
                path += n;
        } else {
                if (dir_fd < 0 || dir_fd >= FD_MAX || !fds[dir_fd].used || !d->inodes[fds[dir_fd].inode].is_dir)
                        return false;
                dir = fds[dir_fd].inode;
        }
        ret_name[0] = 0;
        for (;;) {
                char part[256];
                size_t n;

                path += strspn(path, "/");
                n = strcspn(path, "/");
                if (n == 0)
                        break;
                snprintf(part, sizeof(part), "%.*s", (int)n, path);
                path += n;
                if (strcmp(part, ".") == 0)
                        continue;
                if (ret_name[0]) {
                        struct entry *e = find_entry(d->inodes[dir].names, d->inodes[dir].names_n, ret_name);

                        if (!e)
                                return false;
                        dir = e->inode;
                }
                copy_name(ret_name, part);
        }
        *ret_dir = dir;
        return strcmp(ret_name, "lock.mdb") != 0 && strcmp(ret_name, "owner.lock") != 0;
}

static void note_create(struct disk *d, unsigned dir, const char *name, bool is_dir)
{
        unsigned inode = add_inode(d, is_dir, name);
        struct op *op = add_op(d, OP_CREATE, dir);

        op->child = inode;
        copy_name(op->name, name);
        set_entry(&d->inodes[dir].names, &d->inodes[dir].names_n, name, inode);
}

static void note_write(struct disk *d, int fd, const void *p, size_t n, uint64_t offset)
{
        struct op *op = add_op(d, OP_WRITE, fds[fd].inode);

        op->data = must(malloc(n ? n : 1));
        memcpy(op->data, p, n);
        op->n = n;
        op->offset = offset;
        op->dsync = fds[fd].dsync;
        if (op->dsync && strcmp(d->ignore, "O_DSYNC .mdb") == 0)
                op->dsync = false;
}

/* The number of the kind; kinds_n is that of an ignored one. */
static bool note_kind(struct disk *d, const char *call, unsigned inode, unsigned *ret)
{
        char kind[NAME_BYTES];

        snprintf(kind, sizeof(kind), "%s %.50s", call, d->inodes[inode].tag);
        for (*ret = 0; *ret < d->kinds_n; ++*ret)
                if (strcmp(d->kinds[*ret], kind) == 0)
                        break;
        if (*ret == d->kinds_n && d->kinds_n < KINDS_MAX)
                strcpy(d->kinds[d->kinds_n++], kind);
        return strcmp(kind, d->ignore) != 0;
}

static bool is_ours(int fd)
{
        return recording && fd >= 0 && fd < FD_MAX && fds[fd].used;
}

/* ---- the calls ---- */

static int open_noted(int dir_fd, const char *path, int flags, unsigned mode)
{
        char name[NAME_BYTES];
        unsigned dir;
        int fd, noted;
        bool existed = true;

        pthread_mutex_lock(&lock);
        noted = resolve(recording, dir_fd, path, &dir, name);
        if (noted && name[0])
                existed = find_entry(recording->inodes[dir].names, recording->inodes[dir].names_n, name) != NULL;
        fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
        if (fd >= 0 && fd < FD_MAX && noted) {
                if (!existed)
                        note_create(recording, dir, name, false);
                fds[fd].used = true;
                fds[fd].inode = name[0] ? find_entry(recording->inodes[dir].names, recording->inodes[dir].names_n, name)->inode : dir;
                fds[fd].dsync = (flags & O_DSYNC) != 0 && (flags & O_ACCMODE) != O_RDONLY;
                if (flags & O_TRUNC)
                        add_op(recording, OP_TRUNCATE, fds[fd].inode);
                if (fds[fd].dsync) {
                        unsigned kind;

                        note_kind(recording, "O_DSYNC", fds[fd].inode, &kind);
                }
        } else if (fd >= 0 && fd < FD_MAX) {
                fds[fd].used = false;
        }
        pthread_mutex_unlock(&lock);
        return fd;
}

/* What the program and its libraries call; names by asm, as headers may map them to others. */
int noted_open(const char *path, int flags, ...) __asm__("open");
int noted_open(const char *path, int flags, ...)
{
        va_list ap;
        unsigned mode;

        va_start(ap, flags);
        mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;
        va_end(ap);
        return open_noted(AT_FDCWD, path, flags, mode);
}
int noted_open64(const char *path, int flags, ...) __asm__("open64") __attribute__((alias("open")));

int noted_openat(int dir_fd, const char *path, int flags, ...) __asm__("openat");
int noted_openat(int dir_fd, const char *path, int flags, ...)
{
        va_list ap;
        unsigned mode;

        va_start(ap, flags);
        mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;
        va_end(ap);
        return open_noted(dir_fd, path, flags, mode);
}
int noted_openat64(int dir_fd, const char *path, int flags, ...) __asm__("openat64") __attribute__((alias("openat")));

int noted_close(int fd) __asm__("close");
int noted_close(int fd)
{
        pthread_mutex_lock(&lock);
        if (fd >= 0 && fd < FD_MAX)
                fds[fd].used = false;
        pthread_mutex_unlock(&lock);
        return (int)syscall(SYS_close, fd);
}

ssize_t noted_pwrite(int fd, const void *p, size_t n, int64_t offset) __asm__("pwrite");
ssize_t noted_pwrite(int fd, const void *p, size_t n, int64_t offset)
{
        ssize_t done;

        pthread_mutex_lock(&lock);
        done = syscall(SYS_pwrite64, fd, p, n, offset);
        if (done > 0 && is_ours(fd))
                note_write(recording, fd, p, (size_t)done, (uint64_t)offset);
        pthread_mutex_unlock(&lock);
        return done;
}
ssize_t noted_pwrite64(int fd, const void *p, size_t n, int64_t offset) __asm__("pwrite64") __attribute__((alias("pwrite")));

ssize_t noted_write(int fd, const void *p, size_t n) __asm__("write");
ssize_t noted_write(int fd, const void *p, size_t n)
{
        ssize_t done;

        pthread_mutex_lock(&lock);
        done = syscall(SYS_write, fd, p, n);
        if (done > 0 && is_ours(fd))
                note_write(recording, fd, p, (size_t)done, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done));
        pthread_mutex_unlock(&lock);
        return done;
}

static void note_gathered(int fd, const struct iovec *v, int n, size_t done, uint64_t offset)
{
        for (int i = 0; i < n && done > 0; i++) {
                size_t part = v[i].iov_len < done ? v[i].iov_len : done;

                note_write(recording, fd, v[i].iov_base, part, offset);
                offset += part;
                done -= part;
        }
}

ssize_t noted_writev(int fd, const struct iovec *v, int n) __asm__("writev");
ssize_t noted_writev(int fd, const struct iovec *v, int n)
{
        ssize_t done;

        pthread_mutex_lock(&lock);
        done = syscall(SYS_writev, fd, v, n);
        if (done > 0 && is_ours(fd))
                note_gathered(fd, v, n, (size_t)done, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done));
        pthread_mutex_unlock(&lock);
        return done;
}

ssize_t noted_pwritev(int fd, const struct iovec *v, int n, int64_t offset) __asm__("pwritev");
ssize_t noted_pwritev(int fd, const struct iovec *v, int n, int64_t offset)
{
        ssize_t done;

        pthread_mutex_lock(&lock);
        done = syscall(SYS_pwritev, fd, v, n, offset, 0);
        if (done > 0 && is_ours(fd))
                note_gathered(fd, v, n, (size_t)done, (uint64_t)offset);
        pthread_mutex_unlock(&lock);
        return done;
}
ssize_t noted_pwritev64(int fd, const struct iovec *v, int n, int64_t offset) __asm__("pwritev64") __attribute__((alias("pwritev")));

static int note_size(int fd, int r, uint64_t size, bool grow_only)
{
        if (r == 0 && is_ours(fd)) {
                struct op *op = add_op(recording, OP_TRUNCATE, fds[fd].inode);

                op->offset = size;
                op->grow_only = grow_only;
        }
        pthread_mutex_unlock(&lock);
        return r;
}

int noted_ftruncate(int fd, int64_t size) __asm__("ftruncate");
int noted_ftruncate(int fd, int64_t size)
{
        pthread_mutex_lock(&lock);
        return note_size(fd, (int)syscall(SYS_ftruncate, fd, size), (uint64_t)size, false);
}
int noted_ftruncate64(int fd, int64_t size) __asm__("ftruncate64") __attribute__((alias("ftruncate")));

/* Blocks beyond the end change nothing that can be read: they are not taken at all, which spares the memory of a tmpfs. */
int noted_fallocate(int fd, int mode, int64_t offset, int64_t n) __asm__("fallocate");
int noted_fallocate(int fd, int mode, int64_t offset, int64_t n)
{
        pthread_mutex_lock(&lock);
        if (mode == FALLOC_FL_KEEP_SIZE) {
                pthread_mutex_unlock(&lock);
                return 0;
        }
        if (mode & FALLOC_FL_PUNCH_HOLE) {
                int r = (int)syscall(SYS_fallocate, fd, mode, offset, n);

                if (r == 0 && is_ours(fd)) {
                        struct op *op = add_op(recording, OP_PUNCH, fds[fd].inode);

                        op->offset = (uint64_t)offset;
                        op->n = (uint64_t)n;
                }
                pthread_mutex_unlock(&lock);
                return r;
        }
        return note_size(fd, (int)syscall(SYS_fallocate, fd, mode, offset, n), (uint64_t)(offset + n), true);
}
int noted_fallocate64(int fd, int mode, int64_t offset, int64_t n) __asm__("fallocate64") __attribute__((alias("fallocate")));

static void note_rename(struct disk *d, unsigned dir, const char *from, const char *to)
{
        struct inode *i = &d->inodes[dir];
        struct entry *e = find_entry(i->names, i->names_n, from);
        struct op *op = add_op(d, OP_RENAME, dir);
        char *dot = strrchr(to, '.');

        op->child = e->inode;
        copy_name(op->name, from);
        copy_name(op->to, to);
        set_entry(&i->names, &i->names_n, to, op->child);
        drop_entry(i->names, &i->names_n, from);
        if (dot)
                snprintf(d->inodes[op->child].tag, NAME_BYTES, "%.50s", dot);
}

static int rename_noted(int from_fd, const char *from, int to_fd, const char *to)
{
        char a[NAME_BYTES], b[NAME_BYTES];
        unsigned from_dir, to_dir;
        int r;

        pthread_mutex_lock(&lock);
        r = (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
        if (r == 0 && resolve(recording, from_fd, from, &from_dir, a) && resolve(recording, to_fd, to, &to_dir, b)) {
                if (from_dir != to_dir)
                        die("a rename between directories");
                if (strcmp(a, b) != 0)
                        note_rename(recording, from_dir, a, b);
        }
        pthread_mutex_unlock(&lock);
        return r;
}

int noted_rename(const char *from, const char *to) __asm__("rename");
int noted_rename(const char *from, const char *to)
{
        return rename_noted(AT_FDCWD, from, AT_FDCWD, to);
}

int noted_renameat(int from_fd, const char *from, int to_fd, const char *to) __asm__("renameat");
int noted_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        return rename_noted(from_fd, from, to_fd, to);
}

static int unlink_noted(int dir_fd, const char *path, int flags)
{
        char name[NAME_BYTES];
        unsigned dir;
        int r;

        pthread_mutex_lock(&lock);
        r = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
        if (r == 0 && resolve(recording, dir_fd, path, &dir, name)) {
                struct inode *i = &recording->inodes[dir];
                struct entry *e = find_entry(i->names, i->names_n, name);

                if (e) {
                        struct op *op = add_op(recording, OP_UNLINK, dir);

                        op->child = e->inode;
                        copy_name(op->name, name);
                        drop_entry(recording->inodes[dir].names, &recording->inodes[dir].names_n, name);
                }
        }
        pthread_mutex_unlock(&lock);
        return r;
}

int noted_unlink(const char *path) __asm__("unlink");
int noted_unlink(const char *path)
{
        return unlink_noted(AT_FDCWD, path, 0);
}

int noted_unlinkat(int dir_fd, const char *path, int flags) __asm__("unlinkat");
int noted_unlinkat(int dir_fd, const char *path, int flags)
{
        return unlink_noted(dir_fd, path, flags);
}

int noted_mkdir(const char *path, mode_t mode) __asm__("mkdir");
int noted_mkdir(const char *path, mode_t mode)
{
        char name[NAME_BYTES];
        unsigned dir;
        int r;

        pthread_mutex_lock(&lock);
        r = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
        if (r == 0 && resolve(recording, AT_FDCWD, path, &dir, name) && name[0])
                note_create(recording, dir, name, true);
        pthread_mutex_unlock(&lock);
        return r;
}

/* Nothing here needs a real sync: what would be on a disk is what was recorded. */
static int sync_noted(int fd, const char *call)
{
        unsigned kind;

        pthread_mutex_lock(&lock);
        if (is_ours(fd) && note_kind(recording, call, fds[fd].inode, &kind))
                add_op(recording, OP_SYNC, fds[fd].inode)->offset = kind;
        pthread_mutex_unlock(&lock);
        return 0;
}

int noted_fsync(int fd) __asm__("fsync");
int noted_fsync(int fd)
{
        return sync_noted(fd, "fsync");
}

int noted_fdatasync(int fd) __asm__("fdatasync");
int noted_fdatasync(int fd)
{
        return sync_noted(fd, "fdatasync");
}

/* ---- beginning and end ---- */

static void load(struct disk *d, unsigned dir, const char *path)
{
        DIR *stream = opendir(path);
        struct dirent *e;

        if (!stream)
                die(path);
        while ((e = readdir(stream))) {
                char below[600];
                struct stat st;
                unsigned inode;

                if (e->d_name[0] == '.' || strcmp(e->d_name, "lock.mdb") == 0 || strcmp(e->d_name, "owner.lock") == 0)
                        continue;
                snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
                if (stat(below, &st) < 0)
                        die(below);
                inode = add_inode(d, S_ISDIR(st.st_mode), e->d_name);
                set_entry(&d->inodes[dir].names, &d->inodes[dir].names_n, e->d_name, inode);
                set_entry(&d->inodes[dir].stable, &d->inodes[dir].stable_n, e->d_name, inode);
                if (S_ISDIR(st.st_mode)) {
                        load(d, inode, below);
                } else {
                        int fd = (int)syscall(SYS_openat, AT_FDCWD, below, O_RDONLY | O_CLOEXEC);

                        d->inodes[inode].n = (uint64_t)st.st_size;
                        d->inodes[inode].p = must(malloc((size_t)st.st_size + 1));
                        if (fd < 0 || pread(fd, d->inodes[inode].p, (size_t)st.st_size, 0) != st.st_size)
                                die(below);
                        syscall(SYS_close, fd);
                }
        }
        closedir(stream);
}

struct disk *disk_begin(const char *root, const char *ignore)
{
        struct disk *d = must(calloc(1, sizeof(*d)));

        snprintf(d->root, sizeof(d->root), "%s", root);
        copy_name(d->ignore, ignore ? ignore : "");
        add_inode(d, true, strrchr(root, '/') ? strrchr(root, '/') + 1 : root);
        load(d, 0, root);
        pthread_mutex_lock(&lock);
        memset(fds, 0, sizeof(fds));
        recording = d;
        pthread_mutex_unlock(&lock);
        return d;
}

void disk_end(struct disk *d)
{
        pthread_mutex_lock(&lock);
        if (recording == d)
                recording = NULL;
        pthread_mutex_unlock(&lock);
}

void disk_free(struct disk *d)
{
        if (!d)
                return;
        disk_end(d);
        for (size_t i = 0; i < d->n; i++)
                free(d->ops[i].data);
        for (unsigned i = 0; i < d->inodes_n; i++) {
                free(d->inodes[i].names);
                free(d->inodes[i].stable);
                free(d->inodes[i].p);
                free(d->inodes[i].pending);
        }
        free(d->ops);
        free(d->inodes);
        free(d);
}

void disk_promise(struct disk *d, uint64_t value)
{
        pthread_mutex_lock(&lock);
        if (recording == d)
                add_op(d, OP_PROMISE, 0)->offset = value;
        pthread_mutex_unlock(&lock);
}

size_t disk_moments(const struct disk *d)
{
        return d->n;
}

uint64_t disk_promised(const struct disk *d, size_t m)
{
        while (m-- > 0)
                if (d->ops[m].kind == OP_PROMISE)
                        return d->ops[m].offset;
        return 0;
}

const char *disk_sync_kind(const struct disk *d, size_t i)
{
        return i < d->kinds_n ? d->kinds[i] : NULL;
}

void disk_describe(const struct disk *d, size_t m, char ret[DISK_TEXT_BYTES])
{
        static const char *const words[] = { "create", "rename", "unlink", "write", "truncate", "punch", "sync", "promise" };
        const struct op *op = m > 0 ? &d->ops[m - 1] : NULL;

        if (!op)
                snprintf(ret, DISK_TEXT_BYTES, "before the first call");
        else
                snprintf(ret, DISK_TEXT_BYTES, "call %zu of %zu: %s %s %.30s%s%.30s offset %llu bytes %llu%s", m, d->n, words[op->kind], d->inodes[op->inode].tag, op->name,
                         op->to[0] ? " to " : "", op->to, (unsigned long long)op->offset, (unsigned long long)op->n, op->dsync ? " O_DSYNC" : "");
}

/* ---- a file's bytes ---- */

static void resize(uint8_t **p, uint64_t *n, uint64_t to)
{
        if (to > *n) {
                *p = must(realloc(*p, to + 1));
                memset(*p + *n, 0, to - *n);
        }
        *n = to;
}

static void apply_whole(const struct op *op, uint8_t **p, uint64_t *n)
{
        switch (op->kind) {
        case OP_WRITE:
                if (op->offset + op->n > *n)
                        resize(p, n, op->offset + op->n);
                memcpy(*p + op->offset, op->data, op->n);
                break;
        case OP_TRUNCATE:
                if (!op->grow_only || op->offset > *n)
                        resize(p, n, op->offset);
                break;
        case OP_PUNCH:
                if (op->offset < *n)
                        memset(*p + op->offset, 0, op->offset + op->n > *n ? *n - op->offset : op->n);
                break;
        default:
                break;
        }
}

/* Each sector of it by itself: written or not; where `garbage`, one of them with anything. */
static void apply_torn(const struct op *op, uint8_t **p, uint64_t *n, uint64_t *random, bool garbage)
{
        uint64_t end = op->offset + op->n, at = op->offset;
        uint64_t spoilt = garbage ? op->offset + disk_random(random) % op->n : UINT64_MAX;

        while (at < end) {
                uint64_t next = (at / SECTOR + 1) * SECTOR;

                if (next > end)
                        next = end;
                if (spoilt >= at && spoilt < next) {
                        if (next > *n)
                                resize(p, n, next);
                        for (uint64_t i = at; i < next; i++)
                                (*p)[i] = (uint8_t)disk_random(random);
                } else if (chance(random, 50)) {
                        if (next > *n)
                                resize(p, n, next);
                        memcpy(*p + at, op->data + (at - op->offset), next - at);
                }
                at = next;
        }
}

/* ---- names ---- */

static void apply_name(const struct op *op, struct entry **e, unsigned *n)
{
        if (op->kind == OP_CREATE)
                set_entry(e, n, op->name, op->child);
        if (op->kind == OP_RENAME) {
                drop_entry(*e, n, op->name);
                set_entry(e, n, op->to, op->child);
        }
        if (op->kind == OP_UNLINK)
                drop_entry(*e, n, op->name);
}

static bool touches(const struct op *a, const struct op *b)
{
        return a->child == b->child || strcmp(a->name, b->name) == 0 || (a->to[0] && strcmp(a->to, b->name) == 0) ||
               (b->to[0] && (strcmp(a->name, b->to) == 0 || strcmp(a->to, b->to) == 0));
}

/* ---- cutting ---- */

static bool is_of_names(const struct op *op)
{
        return op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_UNLINK;
}

static void add_pending(struct inode *i, size_t op)
{
        if (i->pending_n == i->pending_room) {
                i->pending_room = i->pending_room ? 2 * i->pending_room : 32;
                i->pending = must(realloc(i->pending, i->pending_room * sizeof(*i->pending)));
        }
        i->pending[i->pending_n++] = op;
}

static void settle(struct disk *d, struct inode *i)
{
        for (unsigned k = 0; k < i->pending_n; k++) {
                const struct op *op = &d->ops[i->pending[k]];

                if (is_of_names(op))
                        apply_name(op, &i->stable, &i->stable_n);
                else
                        apply_whole(op, &i->p, &i->n);
        }
        i->pending_n = 0;
}

/* An O_DSYNC write alone: what was pending before it stays so, but may not undo it. */
static void settle_one(struct disk *d, struct inode *i, size_t at)
{
        struct op *op = &d->ops[at];
        uint64_t end = op->offset + op->n;

        for (unsigned k = 0; k < i->pending_n; k++) {
                const struct op *before = &d->ops[i->pending[k]];

                if (before->kind != OP_WRITE || (before->offset < end && op->offset < before->offset + before->n)) {
                        settle(d, i);           /* they overlap: the disk got them in this order */
                        break;
                }
        }
        apply_whole(op, &i->p, &i->n);
}

static void advance(struct disk *d, size_t m)
{
        for (; d->advanced < m; d->advanced++) {
                struct op *op = &d->ops[d->advanced];
                struct inode *i = &d->inodes[op->inode];

                if (op->kind == OP_PROMISE)
                        continue;
                if (op->kind == OP_SYNC)
                        settle(d, i);
                else if (op->dsync)
                        settle_one(d, i, d->advanced);
                else
                        add_pending(i, d->advanced);
        }
}

/* How a cut treats what was not synced: all of it there, none, whole calls, or sectors. */
enum style { STYLE_ALL, STYLE_NONE, STYLE_CALLS, STYLE_SECTORS, STYLE_PREFIX, STYLES };

static void surviving_names(struct disk *d, const struct inode *i, enum style style, uint64_t *random, struct entry **e, unsigned *n)
{
        unsigned keep = i->pending_n;
        bool *lost = must(calloc(i->pending_n + 1, 1));

        if (style == STYLE_NONE)
                keep = 0;
        else if (style == STYLE_PREFIX && i->pending_n > 0)
                keep = (unsigned)(disk_random(random) % (i->pending_n + 1));
        for (unsigned k = 0; k < i->pending_n; k++) {
                const struct op *op = &d->ops[i->pending[k]];

                lost[k] = k >= keep || ((style == STYLE_CALLS || style == STYLE_SECTORS) && chance(random, 50));
                for (unsigned b = 0; b < k && !lost[k]; b++)    /* nothing stands on what is not there */
                        lost[k] = lost[b] && touches(&d->ops[i->pending[b]], op);
                if (!lost[k])
                        apply_name(op, e, n);
        }
        free(lost);
}

static void survive(struct op *op, uint8_t **p, uint64_t *n, enum style style, uint64_t *random, bool garbage)
{
        if (style == STYLE_ALL || (style != STYLE_NONE && chance(random, 40))) {
                apply_whole(op, p, n);
        } else if (style == STYLE_SECTORS && op->kind == OP_WRITE && chance(random, 70)) {
                apply_torn(op, p, n, random, garbage && !op->dsync && chance(random, 30));
        } else if (style != STYLE_NONE && op->kind == OP_WRITE && op->offset + op->n > *n && chance(random, 25)) {
                resize(p, n, op->offset + op->n);       /* the size without the bytes */
        }
}

static void write_file(const char *path, const uint8_t *p, uint64_t n)
{
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0)
                die(path);
        for (uint64_t at = 0; at < n;) {
                ssize_t done = syscall(SYS_pwrite64, fd, p + at, n - at, at);

                if (done <= 0)
                        die(path);
                at += (uint64_t)done;
        }
        syscall(SYS_close, fd);
}

static void image_file(struct disk *d, struct inode *i, const char *path, enum style style, uint64_t *random, bool garbage)
{
        unsigned keep = i->pending_n;
        uint64_t n = i->n;
        uint8_t *p;

        if (i->pending_n == 0) {
                write_file(path, i->p, i->n);
                return;
        }
        p = must(malloc(n + 1));
        if (n > 0)
                memcpy(p, i->p, n);
        if (style == STYLE_PREFIX)
                keep = (unsigned)(disk_random(random) % (i->pending_n + 1));
        for (unsigned k = 0; k < keep; k++)
                survive(&d->ops[i->pending[k]], &p, &n, style == STYLE_PREFIX ? STYLE_ALL : style, random, garbage);
        write_file(path, p, n);
        free(p);
}

static void image_dir(struct disk *d, struct inode *i, const char *path, uint64_t *random, bool garbage)
{
        struct entry *e = must(malloc((i->stable_n + 1) * sizeof(*e)));
        unsigned n = i->stable_n;

        if (n > 0)
                memcpy(e, i->stable, n * sizeof(*e));
        surviving_names(d, i, (enum style)(disk_random(random) % STYLES), random, &e, &n);
        for (unsigned k = 0; k < n; k++) {
                struct inode *child = &d->inodes[e[k].inode];
                char below[600];

                snprintf(below, sizeof(below), "%s/%s", path, e[k].name);
                if (!child->is_dir) {
                        image_file(d, child, below, (enum style)(disk_random(random) % STYLES), random, garbage);
                } else {
                        if (syscall(SYS_mkdirat, AT_FDCWD, below, 0700) < 0 && errno != EEXIST)
                                die(below);
                        image_dir(d, child, below, random, garbage);
                }
        }
        free(e);
}

static void empty(const char *path)
{
        DIR *stream = opendir(path);
        struct dirent *e;

        while (stream && (e = readdir(stream))) {
                char below[600];

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
                if (syscall(SYS_unlinkat, AT_FDCWD, below, 0) < 0) {
                        empty(below);
                        syscall(SYS_unlinkat, AT_FDCWD, below, AT_REMOVEDIR);
                }
        }
        if (stream)
                closedir(stream);
}

void disk_cut(struct disk *d, size_t m, uint64_t *random, const char *image)
{
        bool last_pending = m > 0 && d->ops[m - 1].dsync && d->ops[m - 1].kind == OP_WRITE;
        struct inode *i = last_pending ? &d->inodes[d->ops[m - 1].inode] : NULL;

        advance(d, last_pending ? m - 1 : m);
        if (i)                                  /* it was under way */
                add_pending(i, m - 1);
        empty(image);
        image_dir(d, &d->inodes[0], image, random, chance(random, 20));
        if (i)
                i->pending_n--;
}
