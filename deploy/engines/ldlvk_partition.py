"""What the examples for Dask, Ray and Spark share: a partition's rows go to one of several `ldlvk serve`, and their results come back.

Needs Python 3.8, and ldlvk.py of clients/python beside it. Each engine sends this file and ldlvk.py to its workers.
"""

import random
import time
from typing import Any, Dict, List, Optional, Sequence

from ldlvk import Client, Identity, InputError, ServerError

#: Answers after which another server, or the same one later, may do better. None: it cannot be reached, or broke off.
_PASSING = (None, 429, 500, 502, 503, 504)

_READ = ("prompt", "response", "messages", "text", "system")

#: Columns that would be a part of the text, and have no place in these examples.
_REFUSED = (
    "history", "input", "responses", "steps", "tools", "functions", "documents", "context", "knowledge", "passage", "passages", "background",
    "assistant_prefix", "images", "image", "videos", "audios", "audio",
)


def columns_read(row: Dict[str, Any]) -> Dict[str, Any]:
    """A row's columns that the server reads, without those that have no value. A ValueError if another one would change the text."""
    for name in _REFUSED:
        value = row.get(name)
        if value is not None and not (hasattr(value, "__len__") and len(value) == 0):
            raise ValueError(f"The column {name} would be a part of the text, and is not read here. Put it into messages, or drop the column.")
    return {name: row[name] for name in _READ if row.get(name) is not None}


def identity_of(urls: Sequence[str], api_key: Optional[str] = None, any_machine: bool = False) -> Identity:
    """What the servers' scores depend on. A ValueError if they do not agree: with different models, weights or settings scores cannot be
    compared, and on different devices their last bits differ, which any_machine permits. Servers that cannot be reached now are left out,
    unless none can: score_rows checks each before it uses it."""
    found, away = [], []
    for url in urls:
        try:
            found.append((url, Client(url, api_key=api_key, retries=3).identity()))
        except ServerError as error:
            if error.status not in _PASSING:
                raise
            away.append(error)
    if not found:
        raise away[0]
    where, expected = found[0]
    for url, identity in found:
        _check(url, identity, expected, where, any_machine)
    return expected._replace(machine=" and ".join(sorted({identity.machine for _, identity in found})))


def _check(url: str, identity: Identity, expected: Identity, where: str, any_machine: bool) -> None:
    if identity.settings != expected.settings:
        raise ValueError(f"{url} has other settings ({identity.settings}) than {where} ({expected.settings}).")
    if identity.machine != expected.machine and not any_machine:
        raise ValueError(
            f"{url} is another kind of machine ({identity.machine}) than {where} ({expected.machine}), so that scores may differ in their "
            "last bits. --any-machine permits that.")


def score_rows(
    rows: Sequence[Dict[str, Any]], urls: Sequence[str], api_key: Optional[str] = None, patience: float = 900.0, timeout: float = 600.0,
    expected: Optional[Identity] = None, any_machine: bool = False,
) -> List[Dict[str, Any]]:
    """Scores rows, in their order, one result for each: {"score", "tokens"}, {"scores", "tokens"} of responses, or {"error"}.

    rows: items as ldlvk score reads them, without columns that the server does not know.
    urls: the servers. One that is full, stops or cannot be reached is left for the next; when all fail, they are asked again after 0.5, 1, 2,
    … 30 s until `patience` seconds have passed, and the engine repeats the partition, if it is told to.
    expected: the identity that each server must have, see identity_of; one that was started again with something else is a ValueError. A
    text's score then does not depend on the server or on the number of tries: a partition that is scored twice has the same results twice.
    Back-pressure: this call returns when all rows have results, so partitions under way bound what waits in the servers; a full server
    answers 429 and is asked again when it says so.
    """
    clients = [Client(url, api_key=api_key, timeout=timeout, retries=1) for url in urls]
    # Partitions begin at different servers.
    random.shuffle(clients)
    deadline, pause = time.monotonic() + patience, 0.5
    while True:
        for client in clients:
            try:
                if expected is not None:
                    _check(client.url, client.identity(), expected, "the others", any_machine)
                return [_result(reward) for reward in client.rewards(rows, errors="return")]
            except ServerError as error:
                if error.status not in _PASSING or time.monotonic() > deadline:
                    raise
        time.sleep(pause * random.uniform(1.0, 1.25))
        pause = min(30.0, 2 * pause)


def _result(reward: Any) -> Dict[str, Any]:
    if isinstance(reward, InputError):
        return {"error": reward.reason}
    if isinstance(reward, list):
        errors = [one.reason for one in reward if isinstance(one, InputError)]
        return {"error": errors[0]} if errors else {"scores": [one.score for one in reward], "tokens": [one.tokens for one in reward]}
    return {"score": reward.score, "tokens": reward.tokens}
