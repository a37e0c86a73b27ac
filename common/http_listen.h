/* http_listen: sockets to listen on, made as our servers want them.
 *
 * A Unix socket is 0660 before anyone can connect; a file left behind by a process that died is replaced, one that
 * answers is not.  TCP is loopback unless more is allowed. */
#pragma once
#include <stdbool.h>

/* "unix:/path", "tcp://127.0.0.1:port", "tcp://[::1]:port" (numeric; port 0: any).  `group` > 0: of the Unix socket.
 * The descriptor; -EADDRINUSE, -EACCES, -EINVAL (no such form), -EPERM (not loopback). */
int http_listen(const char *where, int group, bool allow_remote);
bool http_listen_is_unix(const char *where);
const char *http_listen_path(const char *where);        /* of a Unix socket */
unsigned http_listen_port(int fd);                      /* 0 for a Unix socket */
