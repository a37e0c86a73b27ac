/* failpoint: counts the visits of the one name that the environment gives, and dies at the right one. */
#include "common/failpoint.h"

#ifdef FAILPOINTS
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char wanted[64];
static atomic_long visits_left;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_environment(void)
{
        const char *env = getenv("SHUYI_FAILPOINT");
        const char *colon = env ? strchr(env, ':') : NULL;
        size_t n = env ? (colon ? (size_t)(colon - env) : strlen(env)) : 0;

        if (n == 0 || n >= sizeof(wanted))
                return;
        memcpy(wanted, env, n);
        atomic_store(&visits_left, colon ? strtol(colon + 1, NULL, 10) : 1);
}

void failpoint_hit(const char *name)
{
        pthread_once(&once, read_environment);
        if (strcmp(name, wanted) != 0 || atomic_fetch_sub(&visits_left, 1) != 1)
                return;
        kill(getpid(), SIGKILL);
        for (;;)
                pause();                        /* nothing after the point may happen */
}
#endif
