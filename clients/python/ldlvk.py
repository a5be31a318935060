"""A client for ``ldlvk serve``, in one file that needs nothing but Python 3.8.

    from ldlvk import Client

    client = Client("http://127.0.0.1:8000")
    client.score("Define \\"sea\\".", "A large body of salt water.")                    # 4.23
    client.compare("Define \\"sea\\".", "A large body of salt water.", "Cannot help.")  # Comparison(best=0, …)
    reward_fn = client.reward_fn()                                                     # reward_fn(prompts, responses) -> list of floats

Clients are safe to use from several threads.
"""

import http.client
import json
import math
import random
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Union

__all__ = ["Client", "Comparison", "Reward", "LdlVkError", "InputError", "ServerError"]
__version__ = "0.2.0"

Message = Dict[str, str]
Item = Dict[str, Any]


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


class Client:
    """Talks to one server.

    url: its address; api_key: what it was started with; timeout: seconds that an answer may take; retries: how often a call is tried again
    when the server is busy (429, when it says so), restarts (502, 503, 504) or cannot be reached; batch: texts of one request at most.
    """

    def __init__(self, url: str, api_key: Optional[str] = None, timeout: float = 600.0, retries: int = 8, batch: int = 256):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"{url!r} is no address of a server. Give one as http://127.0.0.1:8000.")
        if batch < 1 or retries < 0:
            raise ValueError("batch is at least 1, and retries at least 0.")
        self.url, self.timeout, self.retries, self.batch = url.rstrip("/"), timeout, retries, batch
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "ldlvk-python/" + __version__}
        if api_key is not None:
            self._headers["Authorization"] = "Bearer " + api_key
        # A redirection would take the key elsewhere, and turn a POST into a GET.
        self._open = urllib.request.build_opener(_NoRedirection).open

    def rewards(self, items: Iterable[Item], details: bool = False, errors: str = "raise") -> List[Any]:
        """Scores many texts, in their order.

        items: each {"messages": [{"role", "content"}, …]}, {"prompt", "response"}, {"prompt", "responses": […]} or {"input_ids": […]}.
        errors: "raise" an InputError for the first text that cannot be scored, or "return" it in the text's place.
        Returns a Reward for each item, and a list of them for one with "responses".
        """
        if errors not in ("raise", "return"):
            raise ValueError('errors is "raise" or "return".')
        given = list(items)
        results: List[Any] = []
        for first, last in self._batches(given):
            results += self._batch(given[first:last], first, details)
        if errors == "raise":
            for result in results:
                for one in result if isinstance(result, list) else [result]:
                    if isinstance(one, InputError):
                        raise one
        return results

    def score(self, prompt: Union[str, Sequence[Message]], response: Optional[str] = None) -> float:
        """Scores one text: a prompt and a response, or the messages of a conversation that ends with the response."""
        if isinstance(prompt, str):
            if response is None:
                raise ValueError("A prompt needs a response.")
            item: Item = {"prompt": prompt, "response": response}
        elif response is not None:
            item = {"messages": [*prompt, {"role": "assistant", "content": response}]}
        else:
            item = {"messages": list(prompt)}
        return self.rewards([item])[0].score

    def compare(self, prompt: str, a: str, b: str) -> Comparison:
        """Compares two responses to a prompt."""
        return self._compare({"prompt": prompt, "a": a, "b": b})

    def rank(self, prompt: str, responses: Sequence[str]) -> Comparison:
        """Compares many responses to a prompt."""
        return self._compare({"prompt": prompt, "responses": list(responses)})

    def health(self) -> bool:
        """Whether the server is there and well. Does not try again."""
        try:
            with self._open(urllib.request.Request(self.url + "/health", headers=self._headers), timeout=min(10.0, self.timeout)) as answer:
                return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def reward_fn(self, failed: Optional[float] = None) -> Callable[..., List[float]]:
        """A function for trainers (TRL, OpenRLHF, verl, …): reward_fn(prompts, completions, **ignored) -> list of floats.

        Prompts and completions are strings, or lists of messages. failed: the reward of a text that cannot be scored; None raises.
        """

        def reward(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> List[float]:
            if len(prompts) != len(completions):
                raise ValueError(f"There are {len(prompts)} prompts and {len(completions)} completions.")
            items = [_item(prompt, completion) for prompt, completion in zip(prompts, completions)]
            results = self.rewards(items, errors="raise" if failed is None else "return")
            return [failed if isinstance(result, InputError) else result.score for result in results]  # type: ignore[misc]

        return reward

    def _compare(self, body: Any) -> Comparison:
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

    def _call(self, path: str, body: Any) -> Any:
        # Lone surrogates, which Python lets into strings, are no Unicode: they become '?', as they do in tokenizers.
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        attempt = 0
        while True:
            wait: Optional[float] = None
            try:
                request = urllib.request.Request(self.url + path, data=data, headers=self._headers, method="POST")
                with self._open(request, timeout=self.timeout) as answer:
                    return json.loads(answer.read().decode("utf-8"))
            except urllib.error.HTTPError as error:
                problem = _problem(error)
                if error.code not in (429, 502, 503, 504):
                    raise _refused(error.code, problem) from None
                wait, why = _retry_after(error), _refused(error.code, problem)
            except (socket.timeout, TimeoutError) as error:
                # It may still be at work on this; asking again would only add to that.
                raise ServerError(f"{self.url} did not answer within {self.timeout:g} s.") from error
            except urllib.error.URLError as error:
                if isinstance(error.reason, (socket.timeout, TimeoutError)):
                    raise ServerError(f"{self.url} did not answer within {self.timeout:g} s.") from error
                why = ServerError(f"{self.url} cannot be reached: {error.reason}")
            except (OSError, http.client.HTTPException) as error:
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


def _item(prompt: Any, completion: Any) -> Item:
    if isinstance(prompt, str) and isinstance(completion, str):
        return {"prompt": prompt, "response": completion}
    before = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    after = [{"role": "assistant", "content": completion}] if isinstance(completion, str) else list(completion)
    return {"messages": before + after}


def _problem(error: urllib.error.HTTPError) -> Dict[str, Any]:
    try:
        with error:
            problem = json.loads(error.read().decode("utf-8"))
        return problem if isinstance(problem, dict) else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}


def _refused(status: int, problem: Dict[str, Any]) -> LdlVkError:
    errors = problem.get("errors")
    if status == 422 and isinstance(errors, list) and errors and all(isinstance(error, dict) for error in errors):
        return _AllFailed([str(error.get("reason", "")) for error in errors])
    text = problem.get("detail") or problem.get("title") or http.client.responses.get(status, "")
    if status in (401, 403):
        text = f"{text} Give the server's key as api_key."
    return ServerError(f"The server answers {status}: {text}", status)


def _retry_after(error: urllib.error.HTTPError) -> Optional[float]:
    try:
        seconds = float(error.headers.get("Retry-After", ""))
        return min(300.0, max(0.0, seconds)) if math.isfinite(seconds) else None
    except ValueError:
        return None
