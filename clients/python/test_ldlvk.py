"""Tests of ldlvk.py against a stub of the protocol: python3 -m unittest, in this folder. With LDLVK_URL also against a real server."""

import json
import math
import os
import pickle
import socket
import struct
import threading
import time
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

import ldlvk
from ldlvk import Client, Identity, InputError, Reward, ServerError


class Stub(BaseHTTPRequestHandler):
    """A text's score is the number of characters of its last message; one with "bad" in it fails."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        facts = {"/health": {}, "/gone/info": {"settings": None, "machine": None}, "/info": {"settings": "model 1", "machine": "ldlvk 1, device cpu"}}
        self.answer(200 if self.path in facts else 404, facts.get(self.path, {}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8"))
        self.server.requests.append((self.path, dict(self.headers), body))
        if self.server.faults:
            fault = self.server.faults.pop(0)
            if fault is not None:
                return fault(self)
        if self.path == "/v1/compare":
            scores = [float(len(r)) for r in body.get("responses", [body.get("a"), body.get("b")])]
            if any("bad" in r for r in body.get("responses", [body.get("a"), body.get("b")])):
                return self.answer(422, {"title": "x", "errors": [{"index": 0, "reason": "bad"}]})
            first, second = sorted(scores, reverse=True)[:2]
            return self.answer(200, {"scores": scores, "best": scores.index(max(scores)), "margin": first - second, "probability": 0.5})
        items = body.get("items", [body])
        if len(items) > self.server.most:
            return self.answer(413, {"detail": "too many"})
        data = []
        for i, item in enumerate(items):
            if item.get("responses") == ["unreadable", "unreadable"]:
                data.append({"item": i, "error": {"message": "unreadable"}})
                continue
            texts = item["messages"][-1]["content"] if "messages" in item else item.get("input_ids") or item.get("text") or item.get("response", item.get("responses"))
            for j, text in enumerate(texts if "responses" in item else [texts]):
                entry = {"item": i, **({"response": j} if "responses" in item else {})}
                if "bad" in text:
                    entry["error"] = {"message": "it is bad"}
                else:
                    entry.update(score=float(len(text)), tokens=len(text), **({"weights": [1.0] * 22} if body["details"] else {}))
                data.append(entry)
        for index, entry in enumerate(data):
            entry["index"] = index
        if all("error" in entry for entry in data):
            return self.answer(422, {"type": "about:blank", "title": "Unprocessable", "status": 422, "detail": "none",
                                     "errors": [{"index": e["index"], "reason": e["error"]["message"]} for e in data]})
        return self.answer(200, {"object": "list", "model": "m", "data": data, "usage": {}})

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def bits(score):
    return struct.pack("<f", score)


class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True


class ClientTests(unittest.TestCase):
    def setUp(self):
        self.server = Server(("127.0.0.1", 0), Stub)
        self.server.requests, self.server.faults, self.server.most = [], [], 1000
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.client = Client(self.url, api_key="key", timeout=10)
        self.waits = []
        self.sleep, ldlvk.time.sleep = time.sleep, self.waits.append

    def tearDown(self):
        ldlvk.time.sleep = self.sleep
        self.server.shutdown()
        self.server.server_close()

    def test_all_forms_in_order(self):
        items = [{"prompt": "p", "response": "abc"}, {"prompt": "p", "responses": ["a", "größer 灯台"]},
                 {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "abcd"}]}, {"input_ids": [1, 2, 3, 4, 5]}]
        got = self.client.rewards(items)
        self.assertEqual([3, [1, 9], 4, 5], [[r.score for r in g] if isinstance(g, list) else g.score for g in got])
        self.assertEqual(Reward(3.0, 3), got[0])
        self.assertEqual("Bearer key", self.server.requests[0][1]["Authorization"])
        self.assertEqual({"items": items, "details": False}, self.server.requests[0][2])
        self.assertEqual([1.0] * 22, self.client.rewards(items[:1], details=True)[0].weights)
        self.assertEqual([], self.client.rewards([]))

    def test_long_lists_become_batches(self):
        client = Client(self.url, batch=10)
        items = [{"prompt": "p", "response": "x" * i} if i % 3 else {"prompt": "p", "responses": ["x" * i, "y"]} for i in range(100)]
        got = client.rewards(iter(items))
        self.assertEqual(list(range(100)), [g[0].score if isinstance(g, list) else g.score for g in got])
        sizes = [sum(len(i.get("responses", "x")) if "responses" in i else 1 for i in body["items"]) for _, _, body in self.server.requests]
        self.assertTrue(all(size <= 10 for size in sizes) and len(sizes) < 20, sizes)
        self.assertEqual(12, len(client.rewards([{"prompt": "p", "responses": ["a"] * 12}])[0]))

    def test_too_large_for_the_server_is_halved(self):
        self.server.most = 3
        self.assertEqual(list(range(20)), [r.score for r in self.client.rewards([{"prompt": "p", "response": "x" * i} for i in range(20)])])

    def test_errors_have_the_index(self):
        items = [{"prompt": "p", "response": "abc"}] * 300 + [{"prompt": "p", "responses": ["good", "bad"]}, {"prompt": "p", "responses": ["unreadable"] * 2}]
        with self.assertRaises(InputError) as caught:
            self.client.rewards(items)
        self.assertEqual((300, 1, "it is bad"), (caught.exception.index, caught.exception.response, caught.exception.reason))
        self.assertEqual("item 300, response 1: it is bad", str(caught.exception))
        got = self.client.rewards(items, errors="return")
        self.assertEqual((4.0, InputError, InputError, 301), (got[300][0].score, type(got[300][1]), type(got[301]), got[301].index))

    def test_all_failed(self):
        for items, want in [([{"prompt": "p", "response": "bad"}] * 2, [0, 1]), ([{"prompt": "p", "responses": ["unreadable"] * 2}], [0]),
                            ([{"prompt": "p", "responses": ["unreadable"] * 2}, {"prompt": "p", "response": "bad"}], [0, 1])]:
            got = self.client.rewards(items, errors="return")
            self.assertEqual(want, [error.index for error in got])
        got = self.client.rewards([{"prompt": "p", "responses": ["bad", "bad 2"]}], errors="return")
        self.assertEqual([0, 1], [error.response for error in got[0]])
        with self.assertRaises(InputError):
            self.client.score("p", "bad")
        with self.assertRaises(InputError):
            self.client.compare("p", "a", "bad")

    def test_score_compare_rank_health(self):
        self.assertEqual(5.0, self.client.score("p", "abcde"))
        self.assertEqual(2.0, self.client.score([{"role": "user", "content": "u"}, {"role": "assistant", "content": "ab"}]))
        self.assertEqual(3.0, self.client.score([{"role": "user", "content": "u"}], "abc"))
        self.assertEqual(([2.0, 4.0], 1, 2.0, 0.5), tuple(self.client.compare("p", "ab", "abcd")))
        self.assertEqual(2, self.client.rank("p", ["ab", "abcd", "abcdefg"]).best)
        self.assertTrue(self.client.health())
        self.assertFalse(Client("http://127.0.0.1:9").health())
        with self.assertRaises(ValueError):
            self.client.score("p")
        with self.assertRaises(ValueError):
            Client("localhost:8000")

    def test_identity(self):
        self.assertEqual(Identity("model 1", "ldlvk 1, device cpu"), pickle.loads(pickle.dumps(self.client.identity())))
        for path in ("/other", "/gone"):
            with self.assertRaises(ServerError):
                Client(self.url + path).identity()

    def test_system(self):
        messages = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "ab"}]
        system = {"role": "system", "content": "s"}

        def sent():
            return self.server.requests[-1][2]

        self.client.score("p", "a", system="s")
        self.assertEqual([{"system": "s", "prompt": "p", "response": "a"}], sent()["items"])
        self.client.score(messages, system="s")
        self.assertEqual([{"messages": [system] + messages}], sent()["items"])
        self.client.rewards([{"prompt": messages[:1], "responses": ["a", "b"]}, {"prompt": "p", "response": "a"}], system="s")
        self.assertEqual([{"prompt": [system] + messages[:1], "responses": ["a", "b"]}, {"prompt": "p", "response": "a", "system": "s"}], sent()["items"])
        self.client.compare("p", "a", "b", system="s")
        self.assertEqual({"prompt": "p", "a": "a", "b": "b", "system": "s"}, sent())
        self.client.rank(messages[:1], ["a", "b"], system="s")
        self.assertEqual({"prompt": [system] + messages[:1], "responses": ["a", "b"]}, sent())
        self.client.reward_fn(system="s")(["p"], ["a"])
        self.assertEqual([{"system": "s", "prompt": "p", "response": "a"}], sent()["items"])
        self.assertEqual({"role": "user", "content": "u"}, messages[0])
        for items in ([{"messages": [system] + messages}], [{"prompt": [system], "response": "a"}], [{"prompt": "p", "response": "a", "system": "t"}],
                      [{"text": "t"}], [{"input_ids": [1]}]):
            with self.assertRaises(ValueError):
                self.client.rewards(items, system="s")
        with self.assertRaises(ValueError):
            self.client.reward_fn(system="s", templated=True)

    def test_reward_fn(self):
        reward = self.client.reward_fn()
        self.assertEqual("ldlvk_reward", reward.__name__)
        self.assertEqual([1.0, 2.0], reward(["p", "q"], ["a", "ab"], solution=["x", "y"]))
        chat = [[{"role": "user", "content": "u"}]]
        self.assertEqual([3.0], reward(chat, [[{"role": "assistant", "content": "abc"}]]))
        self.assertEqual([3.0], reward(prompts=chat, completions=["abc"]))
        with self.assertRaises(InputError):
            reward(["p"], ["bad"])
        self.assertEqual([-9.0, 1.0], self.client.reward_fn(failed=-9.0)(["p", "p"], ["bad", "a"]))
        with self.assertRaises(ValueError):
            reward(["p"], [])
        # As TRL's GRPO calls it: by name, with ids, columns and its own objects.
        self.assertEqual([3.0, 1.0], reward(prompts=chat * 2, completions=[[{"role": "assistant", "content": c}] for c in ("abc", "a")],
                                            completion_ids=[[1], [2]], solution=["x", "y"], trainer_state=object(), log_metric=print))

    def test_columns_that_would_change_the_text(self):
        reward = self.client.reward_fn()
        for name, values in (("system", ["s", ""]), ("tools", [[{"name": "f"}], []]), ("images", [["x"], None]), ("documents", [[], ["d"]])):
            with self.assertRaises(ValueError) as caught:
                reward(["p", "q"], ["a", "b"], **{name: values})
            self.assertIn(f"column {name}", str(caught.exception))
            self.assertEqual([1.0, 1.0], reward(["p", "q"], ["a", "b"], **{name: [None, None]}, solution=["x", "y"]))

    def test_conversations_that_hold_the_prompt(self):
        prompt = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "v"}, {"role": "user", "content": "w"}]
        answer = [{"role": "assistant", "content": "abc"}]
        for given, completion in ((prompt, prompt + answer), (prompt, answer), ("u", prompt[:1] + answer), ("u", answer)):
            self.client.reward_fn()([given], [completion])
            before = prompt if given is prompt else prompt[:1]
            self.assertEqual([{"messages": before + answer}], self.server.requests[-1][2]["items"])
        for completion in ([], prompt, [{"role": "tool", "content": "x"}]):
            with self.assertRaises(InputError) as caught:
                self.client.reward_fn()([prompt[:1]] * 2, [answer, completion])
            self.assertEqual(1, caught.exception.index)
            got = self.client.reward_fn(failed=math.nan)([prompt[:1]] * 3, [answer, completion, answer])
            self.assertEqual([3.0, True, 3.0], [got[0], math.isnan(got[1]), got[2]])

    def test_templated_prompts(self):
        prompt = "<start_of_turn>user\nu<end_of_turn>\n<start_of_turn>model\n"
        with self.assertRaises(ValueError) as caught:
            self.client.reward_fn()(["p", prompt], ["a", "b"])
        self.assertIn("templated=True", str(caught.exception))
        self.assertEqual([float(len(prompt) + 1)], self.client.reward_fn(templated=True)([prompt], ["a"]))
        self.assertEqual([{"text": prompt + "a"}], self.server.requests[-1][2]["items"])
        self.client.reward_fn(templated=False)([prompt], ["a"])
        self.assertEqual([{"prompt": prompt, "response": "a"}], self.server.requests[-1][2]["items"])
        with self.assertRaises(ValueError):
            self.client.reward_fn(templated=True)([[{"role": "user", "content": "u"}]], ["a"])

    def test_verl(self):
        compute_score = self.client.verl_fn(prompt="question")
        info = {"question": "q", "num_turns": None, "rollout_reward_scores": {}}
        # As verl's naive reward manager calls it, and as its batch reward manager does.
        self.assertEqual(3.0, compute_score(data_source="d", solution_str="abc", ground_truth="g", extra_info=info))
        self.assertEqual([{"prompt": "q", "response": "abc"}], self.server.requests[-1][2]["items"])
        self.assertEqual(3.0, compute_score("d", "abc", "g", info, reward_router_address="x"))
        messages = {"question": [{"role": "user", "content": "u"}]}
        self.assertEqual([3.0, 1.0], compute_score(data_sources=["d"] * 2, solution_strs=["abc", "a"], ground_truths=["g"] * 2, extra_infos=[info, messages]))
        self.assertEqual(2, len(self.server.requests[-1][2]["items"]))
        self.assertEqual([-9.0, 1.0], self.client.verl_fn("question", failed=-9.0)(data_sources=["d"] * 2, solution_strs=["bad", "a"], ground_truths=[0, 0], extra_infos=[info] * 2))
        for wrong in ({}, None, {"answer": "a"}):
            with self.assertRaises(ValueError) as caught:
                compute_score("d", "abc", "g", wrong)
            self.assertIn("question", str(caught.exception))
        for arguments in ({}, {"solution_strs": ["a"], "extra_infos": []}):
            with self.assertRaises(ValueError):
                compute_score(**arguments)

    def test_openrlhf(self):
        reward_func = self.client.openrlhf_fn()
        got = reward_func(["<bos>abc", "<bos>"], ["p", "p"], ["l", "l"])
        self.assertEqual([{"text": "<bos>abc"}, {"text": "<bos>"}], self.server.requests[-1][2]["items"])
        self.assertEqual({"rewards", "scores", "extra_logs"}, set(got))
        self.assertEqual([8.0, 5.0], [float(reward) for reward in got["rewards"]])
        self.assertEqual([8.0, 5.0], [float(reward) for reward in got["scores"]])
        self.assertEqual([1.0], [float(reward) for reward in reward_func(queries=["a"], prompts=["p"], labels=[None])["rewards"]])
        with self.assertRaises(InputError):
            reward_func(["bad"], ["p"], ["l"])
        self.assertEqual([-1.0], [float(reward) for reward in self.client.openrlhf_fn(failed=-1.0)(["bad"], ["p"], ["l"])["rewards"]])
        with self.assertRaises(ValueError):
            reward_func("one", "p", "l")

    def test_clients_travel_to_other_processes(self):
        client = pickle.loads(pickle.dumps(Client(self.url, api_key="key", timeout=9, retries=3, batch=7)))
        self.assertEqual((self.url, 9, 3, 7), (client.url, client.timeout, client.retries, client.batch))
        self.assertEqual(1.0, client.score("p", "a"))
        self.assertEqual("Bearer key", self.server.requests[-1][1]["Authorization"])

    def test_arrays(self):
        class Array:
            def tolist(self):
                return [1, 2, 3]

        self.assertEqual(3.0, self.client.rewards([{"input_ids": Array()}])[0].score)

    def test_busy_servers_are_asked_again_when_they_say(self):
        self.server.faults = [lambda h: h.answer(429, {}, [("Retry-After", "7")]), lambda h: h.answer(503, {}), lambda h: h.connection.close()]
        self.assertEqual(1.0, self.client.score("p", "a"))
        self.assertEqual(4, len(self.server.requests))
        for wait, least in zip(self.waits, [7, 1, 2]):
            self.assertTrue(least <= wait <= 1.25 * least, self.waits)
        self.server.faults = [lambda h: h.answer(429, {"detail": "full"})] * 20
        with self.assertRaises(ServerError) as caught:
            self.client.score("p", "a")
        self.assertEqual(429, caught.exception.status)
        self.assertIn("full", str(caught.exception))
        self.assertEqual(4 + 9, len(self.server.requests))

    def test_a_wrong_key_is_told_from_a_missing_one(self):
        for key, words in [("key", "refuses the key"), (None, "needs a key"), ("", "needs a key")]:
            self.server.faults = [lambda h: h.answer(401, {"detail": "This server needs an API key."})]
            with self.assertRaises(ServerError) as caught:
                Client(self.url, api_key=key).score("p", "a")
            self.assertEqual(401, caught.exception.status)
            self.assertIn(words, str(caught.exception))
        self.assertEqual((3, []), (len(self.server.requests), self.waits))
        self.assertEqual(1.0, Client(self.url, api_key="key\n").score("p", "a"))
        self.assertEqual("Bearer key", self.server.requests[-1][1]["Authorization"])
        with self.assertRaises(ValueError):
            Client(self.url, api_key="a key\r\nX: y")

    def test_what_cannot_succeed_is_not_tried_again(self):
        # The name of no host; TLS to a server that speaks none; a server of another kind.
        resolve = socket.getaddrinfo

        def unknown(host, *rest, **named):
            if host == "host.invalid":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return resolve(host, *rest, **named)

        socket.getaddrinfo = unknown
        try:
            for url in ("http://host.invalid", self.url.replace("http:", "https:")):
                with self.assertRaises(ServerError) as caught:
                    Client(url, timeout=5).score("p", "a")
                self.assertIn("cannot be reached", str(caught.exception))
        finally:
            socket.getaddrinfo = resolve
        self.server.faults = [lambda h: h.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")]
        with self.assertRaises(ServerError) as caught:
            self.client.score("p", "a")
        self.assertIn("does not speak HTTP", str(caught.exception))
        self.assertEqual([], self.waits)

    def test_answers_that_break_off_are_asked_for_again(self):
        def half(h):
            h.send_response(200)
            h.send_header("Content-Length", "100")
            h.end_headers()
            h.wfile.write(b'{"data":')

        self.server.faults = [half]
        self.assertEqual(1.0, self.client.score("p", "a"))
        self.assertEqual(1, len(self.waits))

    def test_refusals_are_errors_at_once(self):
        for status, body, words in [(403, {"detail": "another site"}, "another site"), (400, {"title": "Bad"}, "Bad"), (302, {}, "302"), (500, {}, "500")]:
            self.server.faults = [lambda h: h.answer(status, body, [("Location", "http://127.0.0.1:9/")])]
            with self.assertRaises(ServerError) as caught:
                self.client.score("p", "a")
            self.assertIn(words, str(caught.exception))
        for answer in [b"<html>", b"[]", b'{"data":[]}', b'{"data":[{"item":0,"score":1,"tokens":1},{"item":0,"score":1,"tokens":1}]}']:
            def fault(h, answer=answer):
                h.send_response(200)
                h.send_header("Content-Length", str(len(answer)))
                h.end_headers()
                h.wfile.write(answer)
            self.server.faults = [fault]
            with self.assertRaises(ServerError):
                self.client.score("p", "a")
        self.assertEqual([], self.waits)

    def test_slow_servers_are_given_up(self):
        self.server.faults = [lambda h: self.sleep(1)]
        with self.assertRaises(ServerError) as caught:
            Client(self.url, timeout=0.2).score("p", "a")
        self.assertIn("did not answer", str(caught.exception))

        def trickle(h):
            h.send_response(200)
            h.send_header("Content-Length", "1000")
            h.end_headers()
            try:
                for _ in range(100):
                    h.wfile.write(b" ")
                    self.sleep(0.05)
            except OSError:
                pass  # The client has left.

        self.server.faults = [trickle]
        started = time.monotonic()
        with self.assertRaises(ServerError) as caught:
            Client(self.url, timeout=0.3).score("p", "a")
        self.assertIn("did not answer", str(caught.exception))
        self.assertLess(time.monotonic() - started, 3)
        with self.assertRaises(ServerError):
            Client("http://127.0.0.1:9", retries=1).score("p", "a")

    def test_odd_strings(self):
        self.assertEqual(3.0, self.client.score("p", "a\ud800b"))
        self.assertEqual(1.0, self.client.score("\x00\u2028", "\x7f"))

    def test_threads(self):
        results = {}

        def work(n):
            results[n] = [r.score for r in self.client.rewards([{"prompt": "p", "response": "x" * (n + i)} for i in range(50)])]

        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({n: [float(n + i) for i in range(50)] for n in range(16)}, results)


@unittest.skipUnless(os.environ.get("LDLVK_URL"), "LDLVK_URL names no server")
class RealServerTests(unittest.TestCase):
    @unittest.skipUnless(os.environ.get("LDLVK_CASES"), "LDLVK_CASES names no file of conversations with their texts and scores")
    def test_the_scores_of_trainers_functions(self):
        client = Client(os.environ["LDLVK_URL"], api_key=os.environ.get("LDLVK_API_KEY"))
        with open(os.environ["LDLVK_CASES"], encoding="utf-8") as file:
            cases = [json.loads(line) for line in file]
        want = [bits(case["score"]) for case in cases]

        def same(scores):
            self.assertEqual(want, [bits(float(score)) for score in scores])

        messages, texts = [case["messages"] for case in cases], [case["text"] for case in cases]
        prompts, answers = [m[0]["content"] for m in messages], [m[-1]["content"] for m in messages]
        same([r.score for r in client.rewards([{"messages": m} for m in messages])])
        same([r.score for r in client.rewards([{"text": text} for text in texts])])
        reward = client.reward_fn()
        same(reward(prompts=prompts, completions=answers))
        same(reward(prompts=[m[:-1] for m in messages], completions=[m[-1:] for m in messages]))
        same(reward(prompts=[m[:-1] for m in messages], completions=messages))
        cuts = [len(text) - 9 for text in texts]
        same(client.reward_fn(templated=True)(prompts=[t[:cut] for t, cut in zip(texts, cuts)], completions=[t[cut:] for t, cut in zip(texts, cuts)]))
        compute_score = client.verl_fn(prompt="question")
        infos = [{"question": prompt} for prompt in prompts]
        same([compute_score(data_source="d", solution_str=a, ground_truth="g", extra_info=i) for a, i in zip(answers, infos)])
        same(compute_score(data_sources=["d"] * len(cases), solution_strs=answers, ground_truths=["g"] * len(cases), extra_infos=infos))
        reward_func = client.openrlhf_fn()
        # OpenRLHF's texts are decoded with their padding.
        for left, right in (("", ""), ("<pad>" * 5, ""), ("", "<eos><pad><pad>")):
            queries = [left + text + right for text in texts]
            same(reward_func(queries, prompts, prompts)["rewards"])
            body = {"query": queries, "prompts": prompts, "labels": prompts}
            request = urllib.request.Request(client.url + "/get_reward", data=json.dumps(body).encode(), headers=client._headers)
            with urllib.request.urlopen(request) as answer:
                got = json.load(answer)
            same(got["rewards"])
            same(got["scores"])
            self.assertEqual({}, got["extra_logs"])

    def test_keys(self):
        if not os.environ.get("LDLVK_API_KEY"):
            self.skipTest("LDLVK_API_KEY is not set")
        for key, words in ((None, "needs a key"), ("another-key", "refuses the key")):
            with self.assertRaises(ServerError) as caught:
                Client(os.environ["LDLVK_URL"], api_key=key).score("p", "a")
            self.assertIn(words, str(caught.exception))

    def test_system(self):
        client = Client(os.environ["LDLVK_URL"], api_key=os.environ.get("LDLVK_API_KEY"))
        conversation = [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}]
        calls = [lambda: client.score("p", "a", system="s"), lambda: client.score(conversation, "a"),
                 lambda: client.compare("p", "a", "b", system="s").scores[0], lambda: client.rank(conversation, ["a", "b"]).scores[0]]
        outcomes = set()
        for call in calls:
            try:
                outcomes.add(call())
            except InputError as error:
                self.assertIn("system", error.reason)
                outcomes.add(None)
        self.assertEqual(1, len(outcomes), "Either the template or the server takes system messages, or all are refused.")
        self.assertNotEqual({client.score("p", "a")}, outcomes)

    def test_it_answers(self):
        client = Client(os.environ["LDLVK_URL"], api_key=os.environ.get("LDLVK_API_KEY"))
        self.assertTrue(client.health())
        self.assertRegex(client.identity().settings, "^model [0-9a-f]{32}, weights ")
        self.assertRegex(client.identity().machine, "^ldlvk [^ ]+, device ")
        prompt, good, bad = 'Define "sea".', "A large body of salt water.", "A larg boddy fo slat watre."
        both = client.rewards([{"prompt": prompt, "responses": [good, bad]}, {"prompt": prompt, "response": good}], details=True)
        self.assertEqual(both[0][0], both[1])
        self.assertGreater(both[0][0].score, both[0][1].score)
        self.assertEqual((22, 10, 22), (len(both[1].weights), len(both[1].distribution), len(both[1].rewards)))
        self.assertEqual(both[1].score, client.score([{"role": "user", "content": prompt}], good))
        pair = client.compare(prompt, bad, good)
        self.assertEqual((1, [both[0][1].score, both[0][0].score]), (pair.best, pair.scores))
        got = client.rewards([{"prompt": prompt}, {"prompt": prompt, "response": good}, {"prompt": prompt, "responses": [3]}, {"prompt": prompt, "responses": [good, bad]}], errors="return")
        self.assertEqual([InputError, Reward, InputError, list], [type(g) for g in got])
        for items in ([{"prompt": prompt}] * 3, [{"prompt": prompt, "responses": [3, 4]}, {}]):
            self.assertTrue(all(isinstance(g, InputError) for g in client.rewards(items, errors="return")))


if __name__ == "__main__":
    unittest.main()
