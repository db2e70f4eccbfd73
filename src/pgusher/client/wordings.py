"""What servers of other languages say when they are full or start: the last choice, where no SQLSTATE can be had. Pure.

The fragments are those of PostgreSQL's own message catalogues (src/backend/po). The part that is common to all versions
is kept: what the slots are reserved for is told in other words before and from 16.
"""
# ruff: noqa: RUF001  # these letters are meant: they are those of the languages

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

_FULL = {
    "en": (
        "sorry, too many clients already",
        "remaining connection slots are reserved",
        "too many connections for role",
        "too many connections for database",
        "too many connections for tenant",
    ),
    "de": (
        "tut mir leid, schon zu viele Verbindungen",
        "die verbleibenden Verbindungen sind f",
        "zu viele Verbindungen von Rolle",
        "zu viele Verbindungen für Datenbank",
    ),
    "es": (
        "lo siento, ya tenemos demasiados clientes",
        "las conexiones restantes est",
        "demasiadas conexiones para el rol",
        "demasiadas conexiones para la base de datos",
    ),
    "fr": (
        "désolé, trop de clients sont déjà connectés",
        "les emplacements de connexions restants sont r",
        "trop de connexions pour le rôle",
        "trop de connexions pour la base de données",
    ),
    "it": (
        "spiacente, troppi client già connessi",
        "i rimanenti slot di connessione sono riservati",
        "troppe connessioni per il ruolo",
        "troppe connessioni al database",
    ),
    "ja": (
        "現在クライアント数が多すぎます",
        "残りの接続スロットは",
        "からの接続が多すぎます",
        "への接続が多すぎます",
    ),
    "ka": (
        "უკაცრავად, უკვე მეტისმეტად ბევრი კლიენტია",
        "მეტისმეტად ბევრი კავშირი როლისთვის",
        "ძალიან ბევრი კავშირი ბაზისთვის",
    ),
    "ko": (
        "최대 동시 접속자 수를 초과했습니다",
        "남은 연결 슬롯은",
        "롤의 최대 동시 접속수를 초과했습니다",
        "데이터베이스 최대 접속수를 초과했습니다",
    ),
    "ru": (
        "извините, уже слишком много клиентов",
        "оставшиеся слоты подключений зарезервированы",
        "слишком много подключений для роли",
        "слишком много подключений к БД",
    ),
    "sv": (
        "ledsen, för många klienter",
        "resterande anslutningsslottar",
        "för många uppkopplingar för roll",
        "för många uppkopplingar till databasen",
    ),
    "uk": (
        "вибачте, вже забагато клієнтів",
        "слоти підключень, які залишились",
        "занадто багато підключень для ролі",
        "занадто багато підключень до бази даних",
    ),
    "zh_CN": (
        "客户端连接过多",
        "剩余连接槽位保留给",
        "的连接过多",
        "的连接过多",
    ),
    "zh_TW": (
        "抱歉，客戶端過多",
        "剩餘的連線槽保留給",
        "的連線太多",
        "的連線太多",
    ),
}
_STARTING = {
    "en": (
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
        "the database system is not yet accepting connections",
        "the database system is not accepting connections",
    ),
    "de": (
        "das Datenbanksystem startet",
        "das Datenbanksystem fährt herunter",
        "das Datenbanksystem ist im Wiederherstellungsmodus",
        "das Datenbanksystem nimmt noch keine Verbindungen an",
        "das Datenbanksystem nimmt keine Verbindungen an",
    ),
    "es": (
        "el sistema de base de datos está iniciándose",
        "el sistema de base de datos está apagándose",
        "el sistema de base de datos está en modo de recuperación",
        "el sistema de bases de datos aún no está aceptando conexiones",
        "el sistema de bases de datos no está aceptando conexiones",
    ),
    "fr": (
        "le système de bases de données se lance",
        "le système de base de données s'arrête",
        "le système de bases de données est en cours de restauration",
        "le système de bases de données n'accepte pas encore de connexions",
        "le système de bases de données n'accepte pas de connexions",
    ),
    "it": (
        "il database si sta avviando",
        "il database si sta spegnendo",
        "il database è in modalità di ripristino",
        "il sistema di database non accetta ancora connessioni",
        "il sistema di database non accetta connessioni",
    ),
    "ja": (
        "データベースシステムは起動処理中です",
        "データベースシステムはシャットダウンしています",
        "データベースシステムはリカバリモードです",
        "データベースシステムはまだ接続を受け付けていません",
        "データベースシステムは接続を受け付けていません",
    ),
    "ka": (
        "მიმდინარეობს მონაცემთა ბაზის სისტემის გაშვება",
        "მონაცემთა ბაზის სისტემა ითიშება",
        "მონაცემთა ბაზის სისტემა აღდგენის რეჟიმშია",
        "მონაცემთა ბაზის სისტემა ჯერ მიერთებებს არ იღებს",
        "მონაცემთა ბაზის სისტემა მიერთებებს არ იღებს",
    ),
    "ko": (
        "데이터베이스 시스템이 새로 가동 중입니다",
        "데이터베이스 시스템이 중지 중입니다",
        "데이터베이스 시스템이 자동 복구 작업 중입니다",
        "해당 데이터베이스 시스템은 아직 접속을 허용하지 않습니다",
        "해당 데이터베이스 시스템은 접속을 허용하지 않습니다",
    ),
    "ru": (
        "система баз данных запускается",
        "система баз данных останавливается",
        "система баз данных в режиме восстановления",
        "система БД ещё не принимает подключения",
        "система БД не принимает подключения",
    ),
    "sv": (
        "databassystemet startar upp",
        "databassystemet stänger ner",
        "databassystemet är återställningsläge",
        "databassystemet tar ännu inte emot anslutningar",
        "databassystemet tar inte emot anslutningar",
    ),
    "uk": (
        "система бази даних запускається",
        "система бази даних завершує роботу",
        "система бази даних у режимі відновлення",
        "система бази даних ще не приймає підключення",
        "система бази даних не приймає підключення",
    ),
    "zh_CN": (
        "数据库系统正在启动",
        "数据库系统正在关闭",
        "数据库系统在恢复模式中",
        "数据库系统尚未接受连接",
        "数据库系统不接受连接",
    ),
    "zh_TW": (
        "資料庫系統正在啟動",
        "資料庫系統正在關閉",
        "資料庫系統處於復原模式",
        "資料庫系統尚未接受連線",
        "資料庫系統不接受連線",
    ),
}


@cache
def says_full() -> re.Pattern[str]:
    """Any of the words for "full"; made on the first need, since most processes never meet a full server."""
    return _any(_FULL)


@cache
def says_starting() -> re.Pattern[str]:
    """Any of the words for "starting", "stopping" and "recovering"."""
    return _any(_STARTING)


def _any(words: Mapping[str, Iterable[str]]) -> re.Pattern[str]:
    return re.compile("|".join(_shape(fragment) for told in words.values() for fragment in told))


def _shape(fragment: str) -> str:
    """What a fragment looks like when it arrives.

    Text may be wrapped (the French catalogue does): any white space will do. And before a session has an encoding, the
    server writes what is no ASCII as something like it, or as a question mark: so accented letters may be anything.
    Of the other scripts nothing is left then, and only the SQLSTATE tells.
    """
    plain = sum(char.isascii() for char in fragment)
    words = fragment.split()
    if plain * 5 < len(fragment) * 4:
        return r"\s+".join(map(re.escape, words))
    return r"\s+".join("".join(re.escape(char) if char.isascii() else ".{0,3}" for char in word) for word in words)
