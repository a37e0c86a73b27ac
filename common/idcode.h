/* idcode: resident identity numbers (GB 11643) and unified social credit codes (GB 32100), REGULATIONS 5.3.  Pure. */
#pragma once
#include "common/bytes.h"
#include "common/times.h"

/* NULL if valid; else the first failing check: "length", "charset", "birth_date", "future", "checksum". */
const char *idcode_check_resident(struct bytes text, day_number today);
/* NULL if valid; else "length", "charset", "region", "checksum", or the warning "org_checksum". */
const char *idcode_check_uscc(struct bytes text);
