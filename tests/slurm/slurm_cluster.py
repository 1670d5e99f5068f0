"""A real Slurm on this machine: munged, slurmctld and several slurmd with ports,
key and folders of their own, started and stopped by the test."""
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
CPUS_PER_NODE = 4
# A task whose node was lost is not started again before its old credential has
# expired (cred_expire in slurm.conf(5): two minutes by default).
CREDENTIAL_SECONDS = 10

CONFIGURATION = """
ClusterName=lathe
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire={credential_seconds}
CredType=cred/munge
StateSaveLocation={folder}/slurmctld
SlurmdSpoolDir={folder}/slurmd-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
ReturnToService=2
SlurmdTimeout=6
KillWait=5
SchedulerParameters=batch_sched_delay=0,sched_interval=1
"""


def missing_programs():
    return [p for p in PROGRAMS if shutil.which(p, path=SEARCH_PATH) is None]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """Nodes w1, w2, ... of CPUS_PER_NODE CPUs each, all on this host."""

    def __init__(self, folder, nodes=3):
        self.folder = pathlib.Path(folder)
        self.nodes = [f"w{i + 1}" for i in range(nodes)]
        self.processes = {}
        self.environment = {
            **os.environ, "PATH": SEARCH_PATH, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def __enter__(self):
        try:
            self.start_munge()
            self.configure()
            self.start("slurmctld", "slurmctld", "-D")
            for node in self.nodes:
                self.start_node(node)
            self.await_nodes(self.nodes)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, name, *command):
        log = open(self.folder / f"{name}.out", "ab")
        self.processes[name] = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def start_munge(self):
        folder = self.folder / "munge"
        folder.mkdir(mode=0o711)
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        self.start("munged", "munged", "--foreground", "--force", f"--key-file={key}",
                   f"--socket={folder}/socket", f"--pid-file={folder}/pid",
                   f"--log-file={folder}/log", f"--seed-file={folder}/seed")
        self.wait(lambda: (folder / "socket").exists(), 60, "munged's socket")

    def configure(self):
        host = socket.gethostname().split(".")[0]
        lines = [CONFIGURATION.format(host=host, user=pwd.getpwuid(os.getuid()).pw_name,
                                      port=free_port(), folder=self.folder,
                                      credential_seconds=CREDENTIAL_SECONDS)]
        for node in self.nodes:
            lines.append(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 "
                         f"Port={free_port()} CPUs={CPUS_PER_NODE} State=UNKNOWN")
        lines.append("PartitionName=main Nodes=ALL Default=YES LLN=YES MaxTime=INFINITE State=UP\n")
        (self.folder / "slurm.conf").write_text("\n".join(lines))
        (self.folder / "slurmctld").mkdir()
        for node in self.nodes:
            (self.folder / f"slurmd-{node}").mkdir()

    def start_node(self, node):
        self.start(node, "slurmd", "-D", "-N", node)

    def await_nodes(self, nodes):
        # slurmd exits 0 even when its port is taken: only sinfo tells.
        def are_up():
            states = dict(line.split() for line in self.run(
                "sinfo", "-h", "-N", "-o", "%N %T", check=False).stdout.splitlines())
            return all(states.get(n) in ("idle", "mixed", "allocated") for n in nodes)
        self.wait(are_up, 60, f"nodes {nodes} up")

    def kill(self, name):
        """kill -9 of one daemon, of nothing that it started."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes.pop(name).wait()

    def save_jobs(self, tasks):
        """Waits until slurmctld, which saves seconds after a change, has saved what
        it knows of running tasks."""
        before = time.time()
        for task in tasks:
            self.run("scontrol", "update", f"JobId={task}", "Comment=saved")
        saved = self.folder / "slurmctld" / "job_state"
        self.wait(lambda: saved.exists() and saved.stat().st_mtime > before, 60, "jobs saved")

    def restart_controller(self):
        self.start("slurmctld", "slurmctld", "-D")

    def stop(self):
        if "slurmctld" in self.processes:
            self.run("scancel", "--me", "--full", check=False)
            self.run("scancel", "--me", "--state=PENDING", check=False)
            self.wait_quietly(lambda: not self.tasks(), 10)
        for name in reversed(list(self.processes)):
            process = self.processes.pop(name)
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.kill_what_is_left()

    def kill_what_is_left(self):
        """Job steps that outlived their slurmd; known by their environment."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                pass

    def run(self, *command, check=True, timeout=30, text=None):
        done = subprocess.run(command, env=self.environment, input=text, capture_output=True,
                              text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def tasks(self):
        """Task name "JOB_INDEX" -> (state, node) of all that have not ended."""
        lines = self.run("squeue", "-r", "-h", "-o", "%i|%T|%N", check=False).stdout.splitlines()
        return {i: (state, node) for i, state, node in (line.split("|") for line in lines)}

    @staticmethod
    def wait_quietly(condition, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.1)
        return False

    def wait(self, condition, seconds, what):
        if not self.wait_quietly(condition, seconds):
            raise AssertionError(f"not within {seconds} s: {what}; {self.logs()}")

    def logs(self):
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-600:]}"
                         for path in sorted(self.folder.glob("*.log")))
