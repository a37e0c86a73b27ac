/* http_listen: bind, then rights, then listen: between the first and the last nobody gets in. */
#include "common/http_listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

bool http_listen_is_unix(const char *where)
{
        return strncmp(where, "unix:/", 6) == 0;
}

const char *http_listen_path(const char *where)
{
        return where + 5;
}

/* Closes `fd` on a fault. */
static int finish(int fd, int r)
{
        if (r == 0 && listen(fd, BACKLOG) < 0)
                r = -errno;
        if (r == 0)
                return fd;
        close(fd);
        return r;
}

/* A socket file that nobody answers on is left over; one that is answered is in use. */
static int clear_leftover(const struct sockaddr_un *sa)
{
        struct stat st;
        int fd, r = 0;

        if (lstat(sa->sun_path, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(st.st_mode))
                return -EADDRINUSE;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno != ECONNREFUSED)
                r = -EADDRINUSE;
        else if (unlink(sa->sun_path) < 0)
                r = -errno;
        close(fd);
        return r;
}

static int listen_unix(const char *path, int group)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd, r;

        if (strlen(path) >= sizeof(sa.sun_path))
                return -EINVAL;
        strcpy(sa.sun_path, path);
        r = clear_leftover(&sa);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                return finish(fd, -errno);
        if ((group > 0 && chown(path, (uid_t)-1, (gid_t)group) < 0) || chmod(path, 0660) < 0)
                r = -errno;
        return finish(fd, r);
}

struct address { struct sockaddr_storage sa; socklen_t len; bool loopback; };

/* "127.0.0.1:80" or "[::1]:80". */
static bool address_parse(const char *text, struct address *ret)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->sa;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->sa;
        const char *colon = strrchr(text, ':');
        char host[64], *end;
        size_t n = colon ? (size_t)(colon - text) : 0;
        unsigned long port;

        if (n == 0 || n >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
                return false;
        port = strtoul(colon + 1, &end, 10);
        if (*end || port > 65535)
                return false;
        memset(ret, 0, sizeof(*ret));
        if (text[0] == '[' && text[n - 1] == ']') {
                memcpy(host, text + 1, n - 2);
                host[n - 2] = '\0';
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons((uint16_t)port);
                ret->len = sizeof(*v6);
                if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
                        return false;
                ret->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
                return true;
        }
        memcpy(host, text, n);
        host[n] = '\0';
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        ret->len = sizeof(*v4);
        if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
                return false;
        ret->loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
        return true;
}

static int listen_tcp(const char *text, bool allow_remote)
{
        struct address a;
        int fd, on = 1;

        if (!address_parse(text, &a))
                return -EINVAL;
        if (!a.loopback && !allow_remote)
                return -EPERM;
        fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, (struct sockaddr *)&a.sa, a.len) < 0)
                return finish(fd, -errno);
        return finish(fd, 0);
}

int http_listen(const char *where, int group, bool allow_remote)
{
        if (http_listen_is_unix(where))
                return listen_unix(http_listen_path(where), group);
        if (strncmp(where, "tcp://", 6) == 0)
                return listen_tcp(where + 6, allow_remote);
        return -EINVAL;
}

unsigned http_listen_port(int fd)
{
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);

        if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
                return 0;
        if (sa.ss_family == AF_INET)
                return ntohs(((struct sockaddr_in *)&sa)->sin_port);
        return sa.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&sa)->sin6_port) : 0;
}
