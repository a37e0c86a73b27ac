/* unit: what every cmocka test of ours includes, in the order that cmocka wants it. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/refusal.h"

/* Refusals are compared by their codes, so that a failure reads. */
#define assert_refusal(is, expected) assert_string_equal(refusal_text(is)->code, refusal_text(expected)->code)
