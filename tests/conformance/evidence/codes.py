"""Codes of departments and domains: GB 32100 with its check character, six digits."""
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def is_department(code):
    if len(code) != 18 or any(c not in ALPHABET for c in code):
        return False
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(code[:17]))
    return ALPHABET[(31 - total % 31) % 31] == code[17]


def is_domain(text):
    return len(text) == 6 and text.isascii() and text.isdigit()
