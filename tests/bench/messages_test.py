#!/usr/bin/python3
"""messages_test.py - the newsletters are what their sizes say, and difference() sees what went wrong with one."""
import base64
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
import messages  # noqa: E402
import tap  # noqa: E402

MAIL = messages.newsletter(50 << 10)
WANTED = {"text/html": "base64", "text/plain": "base64"}


def reencoded(mail):
    """Both parts of a newsletter to base64, as plainly as can be."""
    head, *parts = mail.split(b"--=_alternative_5f3a9c")
    done = [head]
    for part in parts[:-1]:
        lines, content = part.split(b"\r\n\r\n", 1)
        text = base64.encodebytes(content[:-2]).replace(b"\n", b"\r\n")
        done.append(lines.replace(b"8bit", b"base64") + b"\r\n\r\n" + text)
    return b"--=_alternative_5f3a9c".join([*done, parts[-1]])


class Newsletters(tap.TestCase):
    def test_size(self):
        for size, attachment in ((4096, 0), (51200, 0), (1 << 20, (1 << 20) - 51200)):
            self.assertAlmostEqual(len(messages.newsletter(size, attachment)), size, delta=100)

    def test_halves(self):
        text, html = (len(part.get_payload(decode=True)) for part in messages.leaves(MAIL))
        self.assertAlmostEqual(text, html, delta=10)
        self.assertGreater(text, 25_000)

    def test_share_of_8bit(self):
        self.assertAlmostEqual(messages.share_8bit(MAIL), 0.03, delta=0.005)
        self.assertEqual(messages.share_8bit(messages.newsletter(51200, ascii_only=True)), 0)

    def test_lines(self):
        lines = MAIL.split(b"\r\n")
        self.assertLess(max(map(len, lines)), 998)
        self.assertFalse(any(b"\r" in line or b"\n" in line for line in lines))

    def test_always_the_same(self):
        self.assertEqual(MAIL, messages.newsletter(50 << 10))


class Differences(tap.TestCase):
    def test_none(self):
        self.assertIsNone(messages.difference(MAIL, MAIL, {}))
        self.assertIsNone(messages.difference(MAIL, reencoded(MAIL), WANTED))

    def test_what_is_seen(self):
        good = reencoded(MAIL)
        for name, after, wanted in (
                ("not encoded", MAIL, WANTED), ("encoded though nobody wants it", good, {}),
                ("another encoding", good, {**WANTED, "text/html": "quoted-printable"}),
                ("content lost", good.replace(b"PCFET0NUWVBFIGh0bWw+", b""), WANTED),
                ("content changed", MAIL.replace("ä".encode(), "ö".encode(), 1), {}),
                ("another type", good.replace(b"text/html", b"text/x-html"), WANTED),
                ("a long line", good.replace(b"PCFET0NUWVBFIGh0bWw+", b"PCFE    T0NUWVBFIGh0bWw+"), WANTED),
                ("nothing to look at", MAIL, {"text/calendar": "base64"})):
            with self.subTest(name):
                self.assertIsNotNone(messages.difference(MAIL, after, wanted))


if __name__ == "__main__":
    tap.main()
