"""The mail log of a host that a test runs poolevents on.

    log = maillog.MailLog(path, mta.log_file, milter)
    log.start()
    ... log.stop()
"""
import threading
import time

import events


class MailLog(threading.Thread):
    """One log of all, as a syslog daemon has it: Postfix' own file and the milter's lines, with rotation."""

    def __init__(self, path, postfix_log, milter):
        super().__init__(daemon=True)
        self.log = events.MailLog(path)
        self.postfix_log, self.milter = postfix_log, milter
        self.rotate_every = None
        self.rotations = 0
        self.over = threading.Event()

    def run(self):
        seen, rotated = 0, time.monotonic()
        with open(self.postfix_log, "rb") as theirs:
            rest = b""
            while True:
                last = self.over.is_set()
                now = len(self.milter.lines)
                lines = [events.stamp() + " mx1 " + line + "\n" for line in self.milter.lines[seen:now]]
                seen = now
                *whole, rest = (rest + theirs.read()).split(b"\n")
                lines += [line.decode("utf-8", "surrogateescape") + "\n" for line in whole]
                if lines:
                    self.log.add(*lines)
                if self.rotate_every and time.monotonic() - rotated > self.rotate_every:
                    self.log.rotate(keep=100)
                    self.rotations += 1
                    rotated = time.monotonic()
                if last:
                    return
                time.sleep(0.05)

    def stop(self):
        self.over.set()
        self.join()
