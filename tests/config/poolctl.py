"""Runs poolctl on configurations in a directory of their own, for the tests beside this file.

POOLCTL names the program; without it, it is src/poolctl of the build directory: automake runs tests
there (or top_builddir says where it is).
"""
import grp
import os
import pwd
import shutil
import subprocess
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("POOLCTL") or os.path.join(os.environ.get("top_builddir", "."), "src", "poolctl")


SUPPRESSIONS = os.path.join(SOURCE, "tests", "config", "lsan.supp")  # read by a sanitizer build only


def run(*arguments, timeout=60):
    """Exit status, standard output and standard error."""
    environment = dict(os.environ)
    environment["LSAN_OPTIONS"] = "suppressions=%s:print_suppressions=0" % SUPPRESSIONS
    done = subprocess.run([PROGRAM, *arguments], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False)
    return (done.returncode, done.stdout.decode("utf-8", "backslashreplace"),
            done.stderr.decode("utf-8", "backslashreplace"))


class Directory:
    """A temporary directory with configurations and keys; removed at the end of `with`."""

    _keys = {}

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="poolmilter-config-")
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.group = grp.getgrgid(os.getegid()).gr_name
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root)

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, content, mode=0o600):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def key(self, name, kind=("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")):
        """A private key in the file; keys of a kind are the same one in all directories."""
        if kind not in self._keys:
            self._keys[kind] = subprocess.run(["openssl", "genpkey", *kind], check=True, timeout=60,
                                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        return self.write(name, self._keys[kind])
