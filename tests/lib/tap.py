"""unittest with TAP output, for automake's TAP driver.

    import tap
    class Name(tap.TestCase):
        def test_something(self): ...
    if __name__ == "__main__":
        tap.main()

A skipped test is reported as a failure when the environment has CI set or POOLMILTER_NO_SKIP=1:
in CI nothing may be missing.  Arguments of the command line name tests to run, as unittest does.
"""
import os
import sys
import traceback
import unittest

TestCase = unittest.TestCase


class _Result(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out = out
        self.number = 0
        self.sub_failed = False

    def _line(self, ok, test, extra="", detail=""):
        self.number += 1
        name = test.id().replace("__main__.", "").replace("#", "no.")
        self.out.write("%s %d - %s%s\n" % ("ok" if ok else "not ok", self.number, name, extra))
        for line in detail.splitlines():
            self.out.write("# %s\n" % line)
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.sub_failed = False

    def addSuccess(self, test):
        super().addSuccess(test)
        if not self.sub_failed:
            self._line(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line(False, test, detail="".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        self._line(False, test, detail="".join(traceback.format_exception(*err)))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.sub_failed = True
            self._line(False, subtest, detail="".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        strict = os.environ.get("CI") or os.environ.get("POOLMILTER_NO_SKIP") == "1"
        self._line(not strict, test, " # SKIP %s" % reason if not strict else "",
                   "skipped where nothing may be: %s" % reason if strict else "")


def main():
    module = sys.modules["__main__"]
    loader = unittest.defaultTestLoader
    if len(sys.argv) > 1:
        suite = loader.loadTestsFromNames(sys.argv[1:], module)
    else:
        suite = loader.loadTestsFromModule(module)
    result = _Result(sys.stdout)
    suite.run(result)
    print("1..%d" % result.number, flush=True)
    sys.exit(0 if result.wasSuccessful() and result.number > 0 else 1)
