"""A client for ``ldlvk serve``, in one file that needs nothing but Python 3.8.

    from ldlvk import Client

    client = Client("http://127.0.0.1:8000")
    client.score("Define \\"sea\\".", "A large body of salt water.")                    # 4.23
    client.compare("Define \\"sea\\".", "A large body of salt water.", "Cannot help.")  # Comparison(best=0, …)
    reward_fn = client.reward_fn()                                                     # for TRL; verl_fn and openrlhf_fn for the others

Clients are safe to use from several threads.
"""

import http.client
import json
import math
import random
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Union

__all__ = ["Client", "Comparison", "Identity", "Reward", "LdlVkError", "InputError", "ServerError"]
__version__ = "0.2.0"

Message = Dict[str, Any]
Item = Dict[str, Any]

#: Columns of a data set that other programs write into the text, and that a reward function of TRL gets beside the prompts.
_COLUMNS = ("system", "tools", "documents", "image", "images")

#: Marks of chat templates: a prompt with one of them is a templated text, and no message.
_MARKS = ("<start_of_turn>", "<|im_start|>", "<|start_header_id|>", "<|begin_of_text|>", "<|user|>", "<bos>", "[INST]")


class LdlVkError(Exception):
    """Base of this module's errors."""


class InputError(LdlVkError):
    """A text cannot be scored: it is too long, has no messages, … Trying again changes nothing.

    index: the item's index in what was given, from 0; response: the index of its response, if it has several; reason: why.
    """

    def __init__(self, index: Optional[int], reason: str, response: Optional[int] = None):
        self.index, self.reason, self.response = index, reason, response
        where = "" if index is None else f"item {index}" + ("" if response is None else f", response {response}") + ": "
        super().__init__(where + reason)


class ServerError(LdlVkError):
    """The server cannot be reached, is busy for too long, or refuses the call. status: its HTTP status; None without an answer."""

    def __init__(self, message: str, status: Optional[int] = None):
        self.status = status
        super().__init__(message)


class Reward(NamedTuple):
    """The reward of one text."""

    score: float
    tokens: int
    #: Weight of each attribute [22], distribution of the score over its bins [10], and that of each attribute [22][10]; with details=True.
    weights: Optional[List[float]] = None
    distribution: Optional[List[float]] = None
    rewards: Optional[List[List[float]]] = None


class Comparison(NamedTuple):
    """Two or more responses to one prompt."""

    #: Score of each response.
    scores: List[float]
    #: Index of the best one; of equals the first.
    best: int
    #: By how much the best score exceeds the next one, and sigmoid of that: the probability that the best is better than the next.
    margin: float
    probability: float


class Identity(NamedTuple):
    """What a server's scores depend on beside the text. Equal identities: the same bits. Equal settings: the same but for the last bits."""

    #: The model and all settings, in one line.
    settings: str
    #: The server's version, its devices and their drivers.
    machine: str


class Client:
    """Talks to one server.

    url: its address; api_key: what it was started with; timeout: seconds that an answer may take; retries: how often a call is tried again
    when the server is busy (429, when it says so), restarts (502, 503, 504) or cannot be reached; batch: texts of one request at most.
    What cannot succeed is not tried again: a wrong or missing key, an unknown host, a certificate that is not trusted, another kind of server.
    """

    def __init__(self, url: str, api_key: Optional[str] = None, timeout: float = 600.0, retries: int = 8, batch: int = 256):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"{url!r} is no address of a server. Give one as http://127.0.0.1:8000.")
        if batch < 1 or retries < 0 or not timeout > 0:
            raise ValueError("batch is at least 1, retries at least 0, and timeout more than 0 s.")
        # Files that hold a key end with a line break.
        api_key = (api_key or "").strip() or None
        if api_key is not None and not all("!" <= c <= "~" for c in api_key):
            raise ValueError("api_key has characters that no key has: blanks, control characters or letters beyond ASCII.")
        self.url, self.timeout, self.retries, self.batch = url.rstrip("/"), timeout, retries, batch
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "ldlvk-python/" + __version__}
        self._api_key = api_key
        if api_key is not None:
            self._headers["Authorization"] = "Bearer " + api_key
        # A redirection would take the key elsewhere, and turn a POST into a GET.
        self._open = urllib.request.build_opener(_NoRedirection).open

    def __reduce__(self) -> Any:
        # Trainers send reward functions to other processes.
        return (Client, (self.url, self._api_key, self.timeout, self.retries, self.batch))

    def rewards(self, items: Iterable[Item], details: bool = False, errors: str = "raise", system: Optional[str] = None) -> List[Any]:
        """Scores many texts, in their order.

        items: each {"messages": [{"role", "content"}, …]}, {"prompt", "response"}, {"prompt", "responses": […]}, {"text": with its template}
        or {"input_ids": […]}; prompts are strings or lists of messages. docs/datasets.md has the other forms.
        system: a system message for each item, none of which may have one. The server refuses it where the model's template has no place for it.
        errors: "raise" an InputError for the first text that cannot be scored, or "return" it in the text's place.
        Returns a Reward for each item, and a list of them for one with "responses".
        """
        if errors not in ("raise", "return"):
            raise ValueError('errors is "raise" or "return".')
        given = list(items)
        if system is not None:
            given = [_with_system(item, system) for item in given]
        results: List[Any] = []
        for first, last in self._batches(given):
            results += self._batch(given[first:last], first, details)
        if errors == "raise":
            for result in results:
                for one in result if isinstance(result, list) else [result]:
                    if isinstance(one, InputError):
                        raise one
        return results

    def score(self, prompt: Union[str, Sequence[Message]], response: Optional[str] = None, system: Optional[str] = None) -> float:
        """Scores one text: a prompt and a response, or the messages of a conversation that ends with the response."""
        if isinstance(prompt, str):
            if response is None:
                raise ValueError("A prompt needs a response.")
            item: Item = {"prompt": prompt, "response": response}
        elif response is not None:
            item = {"messages": [*prompt, {"role": "assistant", "content": response}]}
        else:
            item = {"messages": list(prompt)}
        return self.rewards([item], system=system)[0].score

    def compare(self, prompt: Union[str, Sequence[Message]], a: str, b: str, system: Optional[str] = None) -> Comparison:
        """Compares two responses to a prompt, which is a string or the messages before the responses."""
        return self._compare({"prompt": prompt if isinstance(prompt, str) else list(prompt), "a": a, "b": b}, system)

    def rank(self, prompt: Union[str, Sequence[Message]], responses: Sequence[str], system: Optional[str] = None) -> Comparison:
        """Compares many responses to a prompt, which is a string or the messages before the responses."""
        return self._compare({"prompt": prompt if isinstance(prompt, str) else list(prompt), "responses": list(responses)}, system)

    def health(self) -> bool:
        """Whether the server is there and well. Does not try again."""
        try:
            with self._open(urllib.request.Request(self.url + "/health", headers=self._headers), timeout=min(10.0, self.timeout)) as answer:
                return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def identity(self) -> Identity:
        """What the server's scores depend on. Scores of servers that differ in it should not stand in one file."""
        answer = self._call("/info")
        try:
            identity = Identity(answer["settings"], answer["machine"])
        except (KeyError, TypeError) as error:
            raise ServerError(f"{self.url} did not answer as ldlvk serve does: {error!r}") from error
        if identity.settings is None:
            raise ServerError(f"{self.url} cannot say what its scores depend on: its model's files were gone when it started.", 200)
        return identity

    def reward_fn(
        self, failed: Optional[float] = None, system: Optional[str] = None, templated: Optional[bool] = None
    ) -> Callable[..., List[float]]:
        """A reward function for TRL (GRPO, RLOO, …): reward_fn(prompts=…, completions=…, **columns) -> list of floats.

        Prompts and completions are strings, or lists of messages. Completions that hold the prompt's messages are whole conversations. Other
        columns of the data set are not read; those that would be a part of the text (system, tools, documents, images) are a ValueError.
        failed: the reward of a text that cannot be scored, math.nan for none; None raises an InputError.
        system: a system message for conversations, none of which may have one.
        templated: whether prompts that are strings have a chat template, so that prompt and completion together are the text that is scored,
        instead of two messages. With None a prompt that has a template's marks is a ValueError.
        """
        if templated and system is not None:
            raise ValueError("A templated text holds its system message already: system is for conversations.")

        def ldlvk_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> List[float]:
            if len(prompts) != len(completions):
                raise ValueError(f"There are {len(prompts)} prompts and {len(completions)} completions.")
            for name in _COLUMNS:
                values = columns.get(name)
                if isinstance(values, (list, tuple)) and any(value is not None and len(value) > 0 for value in values if hasattr(value, "__len__")):
                    raise ValueError(f"The data set's column {name} would be a part of the text. Put it into the prompts, or remove the column.")
            return self._scores([_item(p, c, i, templated) for i, (p, c) in enumerate(zip(prompts, completions))], failed, system)

        return ldlvk_reward

    def verl_fn(self, prompt: str, failed: Optional[float] = None, system: Optional[str] = None) -> Callable[..., Any]:
        """A custom reward function for verl: compute_score(data_source, solution_str, ground_truth, extra_info) -> float.

        It also takes the lists of verl's batch reward manager, data_sources to extra_infos, and returns a list then.
        prompt: the field of extra_info that holds the prompt, a string or messages. verl gives a reward function the response alone, so
        the preparation of the data set puts the prompt there.
        failed, system: as for reward_fn.
        """

        def compute_score(
            data_source: Any = None, solution_str: Optional[str] = None, ground_truth: Any = None, extra_info: Any = None, *,
            data_sources: Any = None, solution_strs: Optional[Sequence[str]] = None, ground_truths: Any = None, extra_infos: Any = None,
            **_: Any,
        ) -> Any:
            if solution_strs is None:
                if solution_str is None:
                    raise ValueError("There is no solution_str, nor solution_strs.")
                return self._scores([_item(_prompt_of(extra_info, prompt), solution_str, 0, False)], failed, system)[0]
            infos = [None] * len(solution_strs) if extra_infos is None else extra_infos
            if len(infos) != len(solution_strs):
                raise ValueError(f"There are {len(solution_strs)} solution_strs and {len(infos)} extra_infos.")
            return self._scores([_item(_prompt_of(e, prompt), s, i, False) for i, (e, s) in enumerate(zip(infos, solution_strs))], failed, system)

        return compute_score

    def openrlhf_fn(self, failed: Optional[float] = None) -> Callable[..., Dict[str, Any]]:
        """A reward function for OpenRLHF: reward_func(queries, prompts, labels) -> {"rewards", "scores", "extra_logs"}.

        Queries are whole texts with their template, as OpenRLHF decodes them; the server takes the padding off. The rewards are a tensor
        where torch can be imported, else a list. failed: as for reward_fn.
        """

        def reward_func(queries: Sequence[str], prompts: Any = None, labels: Any = None, **_: Any) -> Dict[str, Any]:
            if isinstance(queries, str):
                raise ValueError("queries is one string, and must be a list of them.")
            rewards = _tensor(self._scores([{"text": query} for query in queries], failed, None))
            return {"rewards": rewards, "scores": rewards, "extra_logs": {}}

        return reward_func

    def _scores(self, items: List[Any], failed: Optional[float], system: Optional[str]) -> List[float]:
        """Scores of items, some of which may be InputErrors already."""
        bad = [item for item in items if isinstance(item, InputError)]
        if bad and failed is None:
            raise bad[0]
        good = [i for i, item in enumerate(items) if not isinstance(item, InputError)]
        scores: List[float] = [failed] * len(items)  # type: ignore[list-item]
        for i, result in zip(good, self.rewards([items[i] for i in good], errors="raise" if failed is None else "return", system=system)):
            if not isinstance(result, InputError):
                scores[i] = result.score
        return scores

    def _compare(self, body: Any, system: Optional[str]) -> Comparison:
        if system is not None:
            body = _with_system(body, system)
        try:
            answer = self._call("/v1/compare", body)
            return Comparison(answer["scores"], answer["best"], answer["margin"], answer["probability"])
        except _AllFailed as failure:
            raise InputError(None, failure.reasons[0]) from None
        except (KeyError, TypeError) as error:
            raise ServerError(f"{self.url} did not answer as ldlvk serve does: {error!r}") from error

    def _batches(self, items: List[Item]) -> Iterable[Any]:
        """Ranges of items that make one request each; an item with many responses is never cut."""
        first, texts = 0, 0
        for i, item in enumerate(items):
            responses = item.get("responses") if isinstance(item, dict) else None
            count = max(1, len(responses)) if isinstance(responses, (list, tuple)) else 1
            if texts and texts + count > self.batch:
                yield first, i
                first, texts = i, 0
            texts += count
        if texts:
            yield first, len(items)

    def _batch(self, items: List[Item], first: int, details: bool) -> List[Any]:
        """Results of items that make one request; first: index of the first of them."""
        texts = [(i, j) for i, item in enumerate(items) for j in (range(len(item["responses"])) if _has_list(item) else [None])]
        try:
            answer = self._call("/v1/rewards", {"items": items, "details": details})
        except _AllFailed as failure:
            if len(failure.reasons) != len(texts):
                if len(items) > 1:
                    return [result for i, item in enumerate(items) for result in self._batch([item], first + i, details)]
                return [InputError(first, failure.reasons[0])]
            answer = {"data": [{"item": i, "response": j, "error": {"message": reason}} for (i, j), reason in zip(texts, failure.reasons)]}
        except ServerError as error:
            if error.status != 413 or len(items) == 1:
                raise
            half = len(items) // 2
            return self._batch(items[:half], first, details) + self._batch(items[half:], first + half, details)
        try:
            return _results(answer["data"], items, first, texts)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ServerError(f"{self.url} did not answer as ldlvk serve does: {error!r}") from error

    def _call(self, path: str, body: Any = None) -> Any:
        """The server's answer to a body, or without one to a GET."""
        # Lone surrogates, which Python lets into strings, are no Unicode: they become '?', as they do in tokenizers.
        data = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False, default=_plain).encode("utf-8", "replace")
        attempt = 0
        while True:
            wait: Optional[float] = None
            try:
                request = urllib.request.Request(self.url + path, data=data, headers=self._headers)
                deadline = time.monotonic() + self.timeout
                with self._open(request, timeout=self.timeout) as answer:
                    return json.loads(_read(answer, deadline).decode("utf-8"))
            except urllib.error.HTTPError as error:
                problem, has_key = _problem(error), self._api_key is not None
                if error.code not in (429, 502, 503, 504):
                    raise _refused(error.code, problem, has_key) from None
                wait, why = _retry_after(error), _refused(error.code, problem, has_key)
            except (socket.timeout, TimeoutError) as error:
                # It may still be at work on this; asking again would only add to that.
                raise ServerError(f"{self.url} did not answer within {self.timeout:g} s.") from error
            except urllib.error.URLError as error:
                if isinstance(error.reason, (socket.timeout, TimeoutError)):
                    raise ServerError(f"{self.url} did not answer within {self.timeout:g} s.") from error
                why = ServerError(f"{self.url} cannot be reached: {error.reason}. Start ldlvk serve there, or correct the address.")
                if _is_final(error.reason):
                    raise why from error
            except (OSError, http.client.HTTPException) as error:
                if _is_final(error):
                    raise ServerError(f"{self.url} does not speak HTTP as ldlvk serve does: {error!r}") from error
                why = ServerError(f"{self.url} broke off the connection: {error!r}")
            except ValueError as error:
                raise ServerError(f"{self.url} did not answer with JSON: {error}") from error
            attempt += 1
            if attempt > self.retries:
                raise why
            if wait is None:
                wait = min(30.0, 0.5 * 2.0 ** (attempt - 1))
            # Many workers that were refused together should not come back together.
            time.sleep(wait + random.uniform(0, 0.25 * wait))


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


class _AllFailed(LdlVkError):
    """No text of a request could be scored; reasons: why, in their order."""

    def __init__(self, reasons: List[str]):
        self.reasons = reasons
        super().__init__(reasons[0])


def _results(data: List[Dict[str, Any]], items: List[Item], first: int, texts: List[Any]) -> List[Any]:
    """An answer's entries, one for each text in order, as results of the items; texts: item and response of each."""
    results: List[Any] = [[] if _has_list(item) else None for item in items]
    left = iter(texts)
    for entry in data:
        i, j = entry["item"], entry.get("response")
        value = _value(entry, first + i)
        if j is None and _has_list(items[i]):
            # An item that cannot be read has one result, whatever it was meant to have.
            results[i] = value
            expected = [next(left, None) for _ in items[i]["responses"]][0]
            j = 0
        else:
            expected = next(left, None)
            if j is None:
                results[i] = value
            else:
                results[i].append(value)
        if expected != (i, j):
            raise ServerError(f"The server gave a result of text {(i, j)} where that of {expected} belongs.")
    if next(left, None) is not None:
        raise ServerError("The server gave fewer results than there are texts.")
    return results


def _value(entry: Dict[str, Any], index: int) -> Any:
    if "error" in entry:
        return InputError(index, entry["error"]["message"], entry.get("response"))
    return Reward(float(entry["score"]), int(entry["tokens"]), entry.get("weights"), entry.get("distribution"), entry.get("rewards"))


def _has_list(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("responses"), (list, tuple)) and len(item["responses"]) > 0


def _item(prompt: Any, completion: Any, index: int, templated: Optional[bool]) -> Any:
    """A prompt and its completion as an item, or the InputError that says why they are none."""
    if isinstance(prompt, str) and isinstance(completion, str):
        if templated:
            return {"text": prompt + completion}
        mark = next((mark for mark in _MARKS if mark in prompt), None) if templated is None else None
        if mark is not None:
            raise ValueError(
                f"Prompt {index} has {mark}, a mark of a chat template. With templated=True prompt and completion are scored as one text that "
                "has its template, with templated=False as two messages that are put into the model's.")
        return {"prompt": prompt, "response": completion}
    if templated:
        raise ValueError("With templated=True prompts and completions are strings; lists of messages are put into the model's template.")
    before = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    after = [{"role": "assistant", "content": completion}] if isinstance(completion, str) else list(completion)
    if not after or _role(after[-1]) not in ("assistant", "model"):
        return InputError(index, "the completion does not end with a message of the assistant.")
    # Some trainers give the whole conversation as the completion.
    is_whole = len(after) > len(before) and all(_same(a, b) for a, b in zip(before, after))
    return {"messages": after if is_whole else before + after}


def _same(a: Any, b: Any) -> bool:
    return _role(a) == _role(b) and isinstance(a, dict) and isinstance(b, dict) and a.get("content") == b.get("content")


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _prompt_of(info: Any, field: str) -> Any:
    """The prompt in verl's extra_info."""
    value = info.get(field) if hasattr(info, "get") else None
    if value is None:
        has = f"it has {', '.join(map(str, info))}" if info else "it is empty"
        raise ValueError(
            f"extra_info has no {field} ({has}). Give verl_fn the field that holds the prompt; the preparation of the data set puts it there.")
    return value


def _with_system(item: Item, system: str) -> Item:
    """The item with a system message."""
    if not isinstance(item, dict):
        return item
    for name in ("messages", "prompt"):
        if not isinstance(item.get(name), str) and item.get(name) is not None:
            messages = list(item[name])
            if item.get("system") is not None or any(_role(message) == "system" for message in messages):
                raise ValueError("system was given, and the item has a system message already.")
            return {**item, name: [{"role": "system", "content": system}, *messages]}
    if item.get("prompt") is None:
        raise ValueError("system was given, and the item is no conversation: a templated text or token ids hold their system message already.")
    if item.get("system") is not None:
        raise ValueError("system was given, and the item has a system message already.")
    return {**item, "system": system}


def _plain(value: Any) -> Any:
    """Arrays and numbers of numpy and torch as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON.")


def _tensor(numbers: List[float]) -> Any:
    try:
        import torch
    except ImportError:
        return numbers
    return torch.tensor(numbers, dtype=torch.float32)


def _read(answer: Any, deadline: float) -> bytes:
    """The body. The socket's timeout is for each piece of it, the deadline for all."""
    parts = []
    while True:
        part = answer.read1(1 << 16)
        if not part:
            break
        parts.append(part)
        if time.monotonic() > deadline:
            raise socket.timeout("timed out")
    body = b"".join(parts)
    if answer.length:
        raise http.client.IncompleteRead(body, answer.length)
    return body


def _is_final(error: Any) -> bool:
    """Whether a connection fails again however often it is tried."""
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    # urllib words what it will not do; a proxy that refuses has a status of 4xx.
    if isinstance(error, str) or (isinstance(error, OSError) and str(error).startswith("Tunnel connection failed: 4")):
        return True
    return isinstance(error, http.client.HTTPException) and not isinstance(error, (http.client.RemoteDisconnected, http.client.IncompleteRead))


def _problem(error: urllib.error.HTTPError) -> Dict[str, Any]:
    try:
        with error:
            problem = json.loads(error.read().decode("utf-8"))
        return problem if isinstance(problem, dict) else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}


def _refused(status: int, problem: Dict[str, Any], has_key: bool) -> LdlVkError:
    errors = problem.get("errors")
    if status == 422 and isinstance(errors, list) and errors and all(isinstance(error, dict) for error in errors):
        return _AllFailed([str(error.get("reason", "")) for error in errors])
    text = problem.get("detail") or problem.get("title") or http.client.responses.get(status, "")
    if status == 401:
        text = "it refuses the key that was given as api_key. Correct it." if has_key else "it needs a key. Give the server's as api_key."
    return ServerError(f"The server answers {status}: {text}", status)


def _retry_after(error: urllib.error.HTTPError) -> Optional[float]:
    try:
        seconds = float(error.headers.get("Retry-After", ""))
        return min(300.0, max(0.0, seconds)) if math.isfinite(seconds) else None
    except ValueError:
        return None
