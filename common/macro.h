/* macro: the three idioms that every file of ours may use. */
#pragma once

#define _cleanup_(f) __attribute__((cleanup(f)))
#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* Gives a pointer away: the variable is NULL afterwards, so its _cleanup_ does nothing. */
#define TAKE(p) ({ __typeof__(p) _taken = (p); (p) = NULL; _taken; })
