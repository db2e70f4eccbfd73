"""What secrets look like: the names before them, the flags before them, and the shapes that need no name.

Every repetition that can fail is bounded, or ten kilobytes of "pass" would take minutes. What stands before a value is
a head: the pattern ends where the value begins, and `pgusher.model.secret_values` finds where the value ends.
"""

from __future__ import annotations

import re

from pgusher.model.pattern import pattern

HIDDEN = "***"

_NAMES = (
    r"pass(?:word|wd|phrase|code)?|pwd|pw(?![^\W_])|secret|token|credentials?|sslpassword"
    r"|(?:api|access|private|auth|account|shared|sign(?:ing|ature)|encryption|storage|service|subscription)[-_]?key"
)
# Without a name of ours a text needs none of the patterns for names.
TELLING = ("pass", "pwd", "pw", "secret", "token", "key", "credent", "signature", "sig=", "bearer", "cook", "auth")

# Of a name in a program's text, JSON or a URL to what stands behind it. A name may stand inside a longer word
# (PGPASSWORD; db_password_file is hidden too: a path costs nothing).
_SIGNS = r"(?:=>|:=|={1,3}|:(?!//)(?:\s{0,9}(?:str|bytes|SecretStr)(?:\s\|\sNone)?\s{0,9}=)?)"
ASSIGN = pattern(
    rf"(?i)(?:(?:{_NAMES})[\w.-]{{0,64}}+(?P<quote>\\{{0,3}}[\"'])?\]?\s{{0,99}}+{_SIGNS}"
    r"|[?&;]sig=|signature=|(?<![^\W_])(?:authorization|cookie)=)\s*"
)
# A value may begin with a dash. Only another long flag, and what ends a command of a shell, is no value.
_NO_VALUE = r"(?!(?-i:--[a-z])|(?:[|;&<>]|\|\||&&|>>)(?:\s|\Z))"
_FLAG_NAMES = rf"(?:{_NAMES}|bearer|cookie|authorization)"
FLAG = pattern(
    rf"(?i)(?<![^\s'\"(])--?(?!-|no-)[\w.-]{{0,64}}{_FLAG_NAMES}[\w.-]{{0,64}}+(?P<quote>[\"'])?\s{{1,99}}{_NO_VALUE}"
)
FLAG_WORD = pattern(rf"(?i)^--?(?!-|no-)[\w.-]{{0,64}}{_FLAG_NAMES}[\w.-]{{0,64}}$")
# A word that is a flag or a variable of the environment with its value, which then may hold blanks.
OWN_VALUE = pattern(
    rf"^(?:--?(?i:[\w.-]{{0,64}}{_FLAG_NAMES}[\w.-]{{0,64}})|(?=[A-Z\d_]+=)(?i:\w{{0,64}}(?:{_NAMES})\w{{0,64}}))="
)
# The value of a header goes on to the end of its line: "Token x", "a=b; c=d".
HEADER = pattern(
    r"(?i)(?<![^\W_])(?:(?:proxy-)?authorization|(?:set-)?cookie|private-token|x-[\w-]{0,32}(?:auth|key|token|secret)[\w-]{0,32}+)"
    r"(?P<quote>\\{0,3}[\"'])?\s{0,99}:(?!//)[^\S\n]*"
)
_LITERAL = r"(?=(?:[eE]|[uU]&|[nN])?\\{0,3}['\"$])"
_WORDS_OF_MESSAGES = (
    r"(?:null|authentication|assigned|failed|supplied|expired|is|was|has|for|of|set|does|must|that|can|cannot)\b"
)
SQL_PASSWORD = pattern(
    rf"(?i)\b(?:password\s{{1,99}}{_LITERAL}|identified\s{{1,9}}by\s{{1,99}}(?:password\s{{1,99}})?"
    r"|(?:role|user)\s{1,9}\S{1,128}\s{1,9}(?:\S{1,64}\s{1,9}){0,16}?password\s{1,99}"
    rf"(?!{_WORDS_OF_MESSAGES}))"
)

# A user and what is behind its colon. Two numbers are the user and the group of a container.
_PAIR = (
    r"(?!\d{1,9}:\d{1,9}(?![^\s'\"])|(?:https?|ftps?|wss?|ldaps?|nats|tcp|unix|file|rediss?|amqps?|postgres(?:ql)?)://)"
    r"[^\s:'\"]{1,128}:"
)
USER_PASS = pattern(
    rf"(?<![^\s'\"(])(?:--(?:(?:proxy-)?user|(?:basic-|proxy-)?auth)(?:=|\s{{1,99}})|-[uU]\s{{0,99}})[\"']?{_PAIR}"
)
USER_FLAGS = {"-u", "-U", "--user", "--proxy-user", "--auth", "--basic-auth", "--proxy-auth"}
PAIR = pattern(rf"^{_PAIR}(?=.)", re.S)
PAIR_WORD = pattern(rf"^(?:--(?:(?:proxy-)?user|(?:basic-|proxy-)?auth)=|-[uU]){_PAIR}(?=.)", re.S)

# Programs whose flag for a password is one letter, with the value in the same word or (where \s may match) the next.
# -p alone makes the mysql programs ask; for others it is a port, a path, a pid.
SHORT = pattern(
    r"(?<![\w.-])(?:(?:mysql|mariadb)[\w-]{0,32}(?:\s++[^\s|;&]++){0,64}?\s+['\"]?-p"
    r"|sshpass(?:\s++-[^\s|;&]++){0,8}?\s+-p\s*|redis-cli(?:\s++[^\s|;&]++){0,64}?\s+-a\s*"
    r"|mongo[\w-]{0,32}(?:\s++[^\s|;&]++){0,64}?\s+-p\s+|ldap[\w-]{1,32}(?:\s++[^\s|;&]++){0,64}?\s+-w\s*)"
    r"(?![\s|;&])"
)
SHORT_USERS = {"mysql": "-p", "mariadb": "-p", "sshpass": "-p", "redis-cli": "-a", "mongo": "-p", "ldap": "-w"}
# Of any other program -p with six characters behind it, that are no port, path or flag, is taken for a password.
GLUED = pattern(r"(?<![^\s'\"(])-p(?=[^\s|;&])")
GLUED_INNOCENT = pattern(
    r"['\"]?(?:[/.~]|[\d.,:/-]+['\"]?\Z|no:[a-z_]+\Z"
    r"|(?:ass(?:word|wd|phrase|code|in|out)?|wd|w|rivate[-_]?key)(?:[-_.=:]|\Z)"
    r"|(?:ackage|arallel|ath|attern|edantic|ersist|idfile|latform|lugin|ort|refix|rint|riority|rivate|rocess|rofile"
    r"|rogress|roject|roperties|rotocol|ublish|thread)s?(?:=|\Z))"
)
# Oracle's programs take user/password@server as a word.
ORACLE_USERS = ("sqlplus", "sqlldr", "expdp", "impdp", "rman")
_ORACLE_USER = r"[^\s/@'\"-][^\s/@]{0,127}/"
ORACLE = pattern(
    rf"((?<![\w.-])(?:{'|'.join(ORACLE_USERS)})(?:\s{{1,9}}[^\s|;&]{{1,256}}){{0,16}}?\s{{1,9}}(?P<q>[\"'])?{_ORACLE_USER})"
    r"(?:(?(q)[^'\"]{1,512}|[^\s|;&]{1,512})(?=@)|(?(q)[^'\"]{1,512}|[^\s|;&]+))"
)
ORACLE_WORD = pattern(rf"^({_ORACLE_USER})(?:.{{1,512}}(?=@)|.+)", re.S)

URI_USER = pattern(r"://(?!\[)[^\s:/'\"]{0,256}:")
URI_SCHEME = pattern(r"[A-Za-z][\w+.-]{0,31}\Z")
URI_PORT = pattern(r"\d{1,5}(?![^\s/?#'\"),;\]}>&|\\])")

BEARER = pattern(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{6,}")
SHAPES = pattern(
    r"\b(?:gl(?:sa|pat|ptt)[_-][\w-]{8,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|xox[abeoprs]-[\w-]{8,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{12,}|AIza[\w-]{20,}|sk[-_](?:live[-_]|test[-_]|proj-)?\w{12,}|npm_\w{16,}"
    r"|hv[sb]\.[\w-]{16,}|dop_v1_\w{16,})"
    # Of one word the first beginning of a JWT is enough, since all have the same end.
    r"|(?<![\w-])(?>[\w-]*?\beyJ)[\w-]{6,}+\.[\w-]{6,}(?:\.[\w-]*)?"
)
# Each of those shapes begins so.
BEGINNINGS = (
    *("glsa", "glpat", "glptt", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "AKIA", "ASIA", "AIza"),
    *("sk-", "sk_", "npm_", "hvs.", "hvb.", "dop_v1_", "eyJ"),
)
PEM = pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
