/* notify: tells the service manager how we are, by a datagram to $NOTIFY_SOCKET.
 *
 * Where there is none, nothing happens.  Any thread, after main has read the environment. */
#pragma once
#include <stdint.h>

/* "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=…", "WATCHDOG=1", "STATUS=…".  0 also without a manager. */
int notify_send(const char *state);
/* How often the thread that proves progress should send WATCHDOG=1: half of $WATCHDOG_USEC; 0: never. */
uint64_t notify_watchdog_ms(void);
