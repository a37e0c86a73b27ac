/* words: lookups in the lists of words.h.  Pure. */
#include "common/words.h"
#include "common/macro.h"
#include <string.h>

struct word { uint32_t number; const char *name, *chinese; };

#define WORD_ROW(constant, number, word, zh) { number, word, zh },
#define WORD_ROWS(name, LIST) static const struct word words_##name[] = { LIST(WORD_ROW) };
WORDS_LISTS(WORD_ROWS)

#define WORD_JOINED(constant, number, word, zh) ", " word
#define LIST_ROW(name, LIST) [LIST_##name] = { words_##name, ELEMENTS(words_##name), "" LIST(WORD_JOINED) },

static const struct { const struct word *words; unsigned n; const char *joined; } lists[] = { WORDS_LISTS(LIST_ROW) };

static const struct word *find_number(enum word_list list, uint32_t number)
{
        for (unsigned i = 0; i < lists[list].n; i++)
                if (lists[list].words[i].number == number)
                        return &lists[list].words[i];
        return NULL;
}

const char *word_name(enum word_list list, uint32_t number)
{
        const struct word *w = find_number(list, number);

        return w ? w->name : NULL;
}

const char *word_chinese(enum word_list list, uint32_t number)
{
        const struct word *w = find_number(list, number);

        return w ? w->chinese : NULL;
}

uint32_t word_find(enum word_list list, const char *word)
{
        for (unsigned i = 0; i < lists[list].n; i++)
                if (strcmp(lists[list].words[i].name, word) == 0)
                        return lists[list].words[i].number;
        return 0;
}

bool word_known(enum word_list list, uint32_t number)
{
        return find_number(list, number) != NULL;
}

const char *word_all(enum word_list list)
{
        return lists[list].joined + strlen(", ");
}
