"""Tests of ldlvk.py against a stub of the protocol: python3 -m unittest, in this folder. With LDLVK_URL also against a real server."""

import json
import os
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

import ldlvk
from ldlvk import Client, InputError, Reward, ServerError


class Stub(BaseHTTPRequestHandler):
    """A text's score is the number of characters of its last message; one with "bad" in it fails."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404, {})

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
            texts = item["messages"][-1]["content"] if "messages" in item else item["input_ids"] if "input_ids" in item else item.get("response", item.get("responses"))
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

    def test_reward_fn(self):
        reward = self.client.reward_fn()
        self.assertEqual([1.0, 2.0], reward(["p", "q"], ["a", "ab"], solution=["x", "y"]))
        chat = [[{"role": "user", "content": "u"}]]
        self.assertEqual([3.0], reward(chat, [[{"role": "assistant", "content": "abc"}]]))
        self.assertEqual([3.0], reward(prompts=chat, completions=["abc"]))
        with self.assertRaises(InputError):
            reward(["p"], ["bad"])
        self.assertEqual([-9.0, 1.0], self.client.reward_fn(failed=-9.0)(["p", "p"], ["bad", "a"]))
        with self.assertRaises(ValueError):
            reward(["p"], [])

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

    def test_refusals_are_errors_at_once(self):
        for status, body, words in [(401, {"detail": "no key"}, "api_key"), (400, {"title": "Bad"}, "Bad"), (302, {}, "302"), (500, {}, "500")]:
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
    def test_it_answers(self):
        client = Client(os.environ["LDLVK_URL"], api_key=os.environ.get("LDLVK_API_KEY"))
        self.assertTrue(client.health())
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
