"""Runs the Job of deploy/kubernetes.yaml as its controller and the kubelets do, as far as the contract says: a pod for each index with
JOB_COMPLETION_INDEX, each container in namespaces of its own with its command as process 1 and the volume at its mount path; pods that fail
are replaced until backoffLimitPerIndex, by the rules of podFailurePolicy; an eviction is SIGTERM, and SIGKILL after the grace period.

    job.py YAML FOLDER [NAME=VALUE …]    the folder is the volume; variables go before those of the file

Commands on standard input: `evict INDEX`, `kill INDEX` (out of memory), `freeze INDEX`, `lose INDEX` (its node does not answer: a replacement
starts although it runs), `thaw INDEX`. Events go to standard output. Ends when all indexes have succeeded or failed; exit code 0 if all
have succeeded. Between two tries are --backoff seconds, 10 and more in Kubernetes, here 1.
"""

import os
import signal
import subprocess
import sys
import threading
import time

import yaml

BACKOFF = 1.0


class Index:
    def __init__(self, number):
        self.number, self.failures, self.state, self.not_before, self.pods = number, 0, "pending", 0.0, []


class Job:
    def __init__(self, path, folder, overrides):
        with open(path, encoding="utf-8") as file:
            self.job = next(document for document in yaml.safe_load_all(file) if document["kind"] == "Job")
        self.spec, self.folder, self.overrides = self.job["spec"], folder, overrides
        self.pod = self.spec["template"]["spec"]
        assert self.job["apiVersion"] == "batch/v1" and self.spec["completionMode"] == "Indexed", "it is no Indexed Job"
        assert self.pod["restartPolicy"] == "Never", "podFailurePolicy needs restartPolicy: Never"
        (self.container,) = self.pod["containers"]
        (self.mount,) = [mount["mountPath"] for mount in self.container["volumeMounts"]]
        self.grace = self.pod.get("terminationGracePeriodSeconds", 30)
        self.indexes = [Index(i) for i in range(self.spec["completions"])]
        self.lock = threading.Lock()

    def say(self, index, what):
        print(f"{time.strftime('%T')} index {index.number}: {what}", flush=True)

    def start(self, index):
        environment = dict(os.environ)
        environment.update({variable["name"]: variable["value"] for variable in self.container.get("env", [])})
        environment.update(self.overrides)
        environment["JOB_COMPLETION_INDEX"] = str(index.number)
        # The command is the first process of its namespace, as in a container; the volume is where the file says.
        inside = 'mount --bind "$1" "$0" && shift && cd / && exec "$@"'
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", inside,
             self.mount, self.folder, *self.container["command"], *self.container["args"]],
            env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        pod = {"process": process, "disrupted": False, "ignored": False, "begun": time.monotonic()}
        index.pods.append(pod)
        index.state = "running"
        self.say(index, "starts")
        return pod

    def first(self, pod):
        """Process 1 of the pod, by its number here."""
        parent = pod["process"].pid
        while pod["process"].poll() is None:
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
                children = file.read().split()
            if children:
                return int(children[0])
            time.sleep(0.02)
        return None

    def signal(self, index, which, everything=False):
        pod = index.pods[-1] if which != signal.SIGCONT else index.pods[0]
        first = self.first(pod)
        if first is None:
            return
        for process in [first, *self.descendants(first)] if everything else [first]:
            try:
                os.kill(process, which)
            except ProcessLookupError:
                pass

    @staticmethod
    def descendants(process):
        try:
            with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
                children = [int(child) for child in file.read().split()]
        except FileNotFoundError:
            return []
        return [*children, *(deeper for child in children for deeper in Job.descendants(child))]

    def evict(self, index):
        pod = index.pods[-1]
        pod["disrupted"] = True
        begun = time.monotonic()
        self.say(index, "evicted")
        self.signal(index, signal.SIGTERM)

        def enforce():
            try:
                pod["process"].wait(self.grace)
                self.say(index, f"ended {time.monotonic() - begun:.1f} s after SIGTERM")
            except subprocess.TimeoutExpired:
                self.say(index, "did not end within the grace period")
                self.signal(index, signal.SIGKILL)

        threading.Thread(target=enforce, daemon=True).start()

    def command(self, line):
        name, number = line.split()
        index = self.indexes[int(number)]
        with self.lock:
            if name == "evict":
                self.evict(index)
            elif name == "kill":
                self.say(index, "killed")
                first = self.first(index.pods[-1])
                for process in self.descendants(first):
                    os.kill(process, signal.SIGKILL)
            elif name == "freeze":
                self.signal(index, signal.SIGSTOP, everything=True)
            elif name == "lose":
                # A pod of an unreachable node is deleted by force: its replacement starts, and it runs on.
                self.say(index, "its node is lost")
                index.pods[-1]["ignored"] = True
                index.state, index.not_before = "pending", time.monotonic()
            elif name == "thaw":
                self.say(index, "its node is back")
                self.signal(index, signal.SIGCONT, everything=True)

    def ended(self, index, pod):
        code = pod["process"].returncode
        code = 128 - code if code < 0 else code
        pod["done"] = True
        self.say(index, f"exit code {code}{' of the lost pod' if pod['ignored'] else ''}")
        if pod["ignored"]:
            return
        if code == 0:
            index.state = "succeeded"
            return
        index.state = "pending"
        for rule in self.spec.get("podFailurePolicy", {}).get("rules", []):
            conditions = [condition["type"] for condition in rule.get("onPodConditions", [])]
            codes = rule.get("onExitCodes")
            matches = "DisruptionTarget" in conditions and pod["disrupted"] or \
                codes is not None and (code in codes["values"]) == (codes["operator"] == "In")
            if matches:
                if rule["action"] == "FailIndex":
                    index.state = "failed"
                if rule["action"] == "Ignore":
                    index.not_before = 0.0
                if rule["action"] != "Count":
                    self.say(index, f"{rule['action']} by the failure policy")
                    return
                break
        index.failures += 1
        index.not_before = time.monotonic() + BACKOFF
        if index.failures > self.spec["backoffLimitPerIndex"]:
            index.state = "failed"

    def run(self):
        def listen():
            for line in sys.stdin:
                self.command(line)

        threading.Thread(target=listen, daemon=True).start()
        while any(index.state in ("pending", "running") for index in self.indexes) or \
                any("done" not in pod for index in self.indexes for pod in index.pods):
            with self.lock:
                for index in self.indexes:
                    for pod in index.pods:
                        if "done" not in pod and pod["process"].poll() is not None:
                            self.ended(index, pod)
                running = sum(index.state == "running" for index in self.indexes)
                for index in self.indexes:
                    if running < self.spec["parallelism"] and index.state == "pending" and time.monotonic() >= index.not_before:
                        self.start(index)
                        running += 1
            time.sleep(0.05)
        for index in self.indexes:
            self.say(index, index.state)
        return 0 if all(index.state == "succeeded" for index in self.indexes) else 1


if __name__ == "__main__":
    job = Job(sys.argv[1], os.path.abspath(sys.argv[2]), dict(pair.split("=", 1) for pair in sys.argv[3:]))
    new = not os.path.exists(job.mount)
    os.makedirs(job.mount, exist_ok=True)
    try:
        sys.exit(job.run())
    finally:
        if new:
            os.rmdir(job.mount)
