/* failpoint: a named place at which a test may kill the process, as a power cut would.
 *
 * FAILPOINT("sync.before_fdatasync") sends SIGKILL to ourselves if $SHUYI_FAILPOINT is that name, or "name:count" and
 * this is the count-th time.  Only in builds with -Dfailpoints=true; else it is nothing. */
#pragma once

#ifdef FAILPOINTS
void failpoint_hit(const char *name);           /* any thread */
#define FAILPOINT(name) failpoint_hit(name)
#else
#define FAILPOINT(name) ((void)0)
#endif
