"""Bounces in the formats of many MTAs and providers, and what is to be read from them.

Formats: functions of a Mail that return a report, as the MTAs' sources and documents have them (Postfix
bounce_notify_util.c and bounce.cf.default, Sendmail savemail.c, Exim deliver.c and the specification's
"default bounce messages", qmail-send.c, Courier's dsn templates, OpenSMTPD bounce.c) or, where these are not
public, as postmasters have published them.  cases() is what test_bounce.py tries: each format with several
of the replies in replies.py.
"""
import base64
import collections
import textwrap

import replies

# Notices: recipient, type, code, dsn, category; code 0 and None: none is told.
Notice = collections.namedtuple("Notice", "recipient type code dsn category")
Case = collections.namedtuple("Case", "name rcpt message source message_id notices")

DATE = "Fri, 20 Nov 2026 10:02:03 +0000"
HERE = "mail.example.com"


class Mail:
    """A message that did not arrive: to whom, and what was said."""

    def __init__(self, key, number):
        self.key, self.reply = key, replies.REPLIES[key]
        self.user = ("ann", "bob.miller", "c-d_e", "dora")[number % 4]
        self.rcpt = "%s@%s" % (self.user, self.reply.domain)
        self.domain = self.reply.domain
        self.host = self.reply.host or self.reply.domain
        self.message_id = "<%d.%s@example.com>" % (number, key)
        self.queue_id = "4XyZ%02dAbCdE" % (number % 100)
        self.code, self.dsn = self.reply.code, self.reply.dsn
        self.lines = replies.lines(self.reply, self.rcpt)
        self.text = " ".join(self.lines)

    @property
    def status(self):
        return self.dsn or "5.0.0"

    @property
    def headers(self):
        return ("Received: from app.example.com (app.example.com [192.0.2.5])\n"
                "\tby %s (Postfix) with ESMTPSA id %s\n\tfor <%s>; %s\n"
                "From: Example News <news@example.com>\nTo: %s\nSubject: Offers in November\n"
                "Message-ID: %s\nDate: Fri, 20 Nov 2026 10:00:00 +0000\nX-Campaign: autumn\n"
                "MIME-Version: 1.0\nContent-Type: text/plain\n"
                % (HERE, self.queue_id, self.rcpt, DATE, self.rcpt, self.message_id))

    @property
    def original(self):
        return self.headers + "\nDear customer,\n\nbuy.  550 5.1.1 times better.\n"


# ---- what reports are made of

def head(sender, subject, more="", date=DATE):
    return ("Received: from mx.sender.example (mx.sender.example [192.0.2.25])\n"
            "\tby bounce.example.com (Postfix) with ESMTPS id 9F00D\n\tfor <b@ac-bounces.example.com>; %s\n"
            "Date: %s\nFrom: %s\nSubject: %s\nTo: b@ac-bounces.example.com\n%s" % (date, date, sender, subject, more))


def multipart(parts, boundary="=_b1", kind='report; report-type=delivery-status'):
    text = "MIME-Version: 1.0\nContent-Type: multipart/%s;\n\tboundary=\"%s\"\n\n" % (kind, boundary)
    for header, body in parts:
        text += "--%s\n%s\n%s\n" % (boundary, header, body)
    return text + "--%s--\n" % boundary


def fold(name, value):
    """A field as Postfix folds it."""
    return "\n    ".join(textwrap.wrap("%s: %s" % (name, value), 76, break_long_words=False,
                                       break_on_hyphens=False)) + "\n"


def status(m, mta, action="failed", diagnostic="smtp; ", final="rfc822; ", extra="", code=None, remote=True):
    return ("Reporting-MTA: dns; %s\nArrival-Date: %s\n\nFinal-Recipient: %s%s\n%sAction: %s\nStatus: %s\n%s%s"
            % (mta, DATE, final, m.rcpt, extra, action, code or m.status,
               "Remote-MTA: dns; %s\n" % m.host if remote and m.reply.host else "",
               fold("Diagnostic-Code", diagnostic + m.text) if diagnostic else ""))


PLAIN = "Content-Type: text/plain; charset=us-ascii\n"
STATUS = "Content-Type: message/delivery-status\n"
RFC822 = "Content-Type: message/rfc822\n"
HEADERS = "Content-Type: text/rfc822-headers\n"


# ---- reports by RFC 3464

def postfix(m):
    said = "host %s[192.0.2.25] said: %s (in reply to RCPT TO command)" % (m.host, m.text) if m.code else m.text
    return head("MAILER-DAEMON@mx.sender.example (Mail Delivery System)", "Undelivered Mail Returned to Sender",
                "Auto-Submitted: auto-replied\n") + multipart([
                    ("Content-Description: Notification\n" + PLAIN,
                     "This is the mail system at host mx.sender.example.\n\nI'm sorry to have to inform you that your "
                     "message could not\nbe delivered to one or more recipients. It's attached below.\n\n"
                     "                   The mail system\n\n" + textwrap.fill("<%s>: %s" % (m.rcpt, said), 76,
                                                                             subsequent_indent="    ") + "\n"),
                    ("Content-Description: Delivery report\n" + STATUS,
                     status(m, "mx.sender.example", diagnostic="smtp; " if m.code else "X-Postfix; ",
                            extra="Original-Recipient: rfc822;%s\n" % m.rcpt)),
                    ("Content-Description: Undelivered Message\n" + RFC822, m.original)],
                                                                                      "9F00D.1/mx.sender.example")


def sendmail(m):
    return head("Mail Delivery Subsystem <MAILER-DAEMON@mx.sender.example>",
                "Returned mail: see transcript for details", "Auto-Submitted: auto-generated (failure)\n") + multipart([
                    ("", "The original message was received at %s\nfrom app.example.com [192.0.2.5]\n\n"
                     "   ----- The following addresses had permanent fatal errors -----\n<%s>\n    (reason: %s)\n\n"
                     "   ----- Transcript of session follows -----\n... while talking to %s.:\n>>> RCPT To:<%s>\n"
                     "<<< %s\n554 5.0.0 Service unavailable\n" % (DATE, m.rcpt, m.text[:60], m.host, m.rcpt,
                                                                 "\n<<< ".join(m.lines))),
                    (STATUS, status(m, "mx.sender.example", diagnostic="SMTP; ", final="RFC822; ")),
                    (HEADERS, m.headers)], "xAK.1/mx.sender.example")


def exim(m):
    return head("Mail Delivery System <Mailer-Daemon@mx.sender.example>",
                "Mail delivery failed: returning message to sender",
                "X-Failed-Recipients: %s\nAuto-Submitted: auto-replied\n" % m.rcpt) + multipart([
                    ("Content-type: text/plain; charset=us-ascii\n",
                     "This message was created automatically by mail delivery software.\n\nA message that you sent "
                     "could not be delivered to one or more of its\nrecipients. This is a permanent error. The "
                     "following address(es) failed:\n\n  %s\n    host %s [192.0.2.25]\n    SMTP error from remote mail "
                     "server after RCPT TO:<%s>:\n    %s\n" % (m.rcpt, m.host, m.rcpt, "\n    ".join(m.lines))),
                    ("Content-type: message/delivery-status\n",
                     "Reporting-MTA: dns; mx.sender.example\n\nAction: failed\nFinal-Recipient: rfc822;%s\nStatus: "
                     "5.0.0\nRemote-MTA: dns; %s\nDiagnostic-Code: smtp; %s\n" % (m.rcpt, m.host, "\n ".join(m.lines))),
                    ("Content-type: message/rfc822\n", "Return-path: <b@ac-bounces.example.com>\n" + m.original)],
                    "1q2w3e-eximdsn-1")


def exchange2016(m):
    return head("<postmaster@mail.sender.example>", "Undeliverable: Offers in November") + multipart([
        ('Content-Type: multipart/alternative; differences=Content-Type;\n\tboundary="in1"\n',
         "--in1\nContent-Type: text/plain; charset=\"us-ascii\"\nContent-Transfer-Encoding: quoted-printable\n\n"
         "Delivery has failed to these recipients or groups:\n\n%s<mailto:%s>\nThe email address you entered couldn't "
         "be found.=20\n\nDiagnostic information for administrators:\n\nGenerating server: mail.sender.example\n\n%s\n"
         "Remote Server returned '%s'\n\nOriginal message headers:\n\nReceived: x\n--in1--\n"
         % (m.rcpt, m.rcpt, m.rcpt, m.text.replace("=", "=3D"))),
        (STATUS, "Reporting-MTA: dns;mail.sender.example\nReceived-From-MTA: dns;mx.example.com\nArrival-Date: %s\n\n"
         "Original-Recipient: rfc822;%s\nFinal-Recipient: rfc822;%s\nAction: failed\nStatus: %s\nDiagnostic-Code: "
         "smtp;%s\nX-Display-Name: Ann\n" % (DATE, m.rcpt, m.rcpt, m.status, m.text)),
        (RFC822, m.original)], "00-11-22")


def office365(m):
    html = ("<html><head><style>p { color: red; }</style></head><body><p>Your message to <a "
            "href=\"mailto:%s\">%s</a> couldn't be delivered.</p><p>Reported error: <b>%s</b></p></body></html>"
            % (m.rcpt, m.rcpt, m.text.replace("<", "&lt;").replace(">", "&gt;")))
    return head("Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@sender.example>",
                "Undeliverable: Offers in November", "Auto-Submitted: auto-replied\n"
                "X-MS-Exchange-Message-Is-Ndr:\n") + multipart([
                    ("Content-Type: text/html; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n",
                     base64.encodebytes(html.encode()).decode()),
                    (STATUS, status(m, "AM6PR01MB1234.eurprd01.prod.exchangelabs.com", final="rfc822;",
                                    diagnostic="smtp;", extra="Original-Recipient: rfc822;%s\n" % m.rcpt)),
                    (RFC822, m.original)], "b1_f0f0")


def gmail(m):
    return head("Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "Delivery Status Notification (Failure)",
                "X-Failed-Recipients: %s\nAuto-Submitted: auto-replied\nIn-Reply-To: %s\n"
                % (m.rcpt, m.message_id)) + multipart([
                    ('Content-Type: multipart/related; boundary="rel"\n',
                     "--rel\nContent-Type: multipart/alternative; boundary=\"alt\"\n\n--alt\nContent-Type: text/plain; "
                     "charset=\"UTF-8\"\n\n\n** Address not found **\n\nYour message wasn't delivered to %s because the "
                     "address couldn't be found, or is unable to receive mail.\n\n\n\nThe response was:\n\n%s\n\n--alt\n"
                     "Content-Type: text/html; charset=\"UTF-8\"\n\n<html></html>\n--alt--\n--rel--\n"
                     % (m.rcpt, m.text)),
                    (STATUS, "Reporting-MTA: dns; googlemail.com\nReceived-From-MTA: dns; news@example.com\nArrival-Date: "
                     "%s\nX-Original-Message-ID: %s\n\nFinal-Recipient: rfc822; %s\nAction: failed\nStatus: %s\nRemote-MTA: "
                     "dns; %s. (192.0.2.25, the server for the domain %s.)\nDiagnostic-Code: smtp; %s\nLast-Attempt-Date: "
                     "%s\n" % (DATE, m.message_id, m.rcpt, m.status, m.host, m.domain, "\n ".join(m.lines), DATE)),
                    (RFC822, m.original)], "000000000000d7")


def amazon_ses(m):
    return head("MAILER-DAEMON@amazonses.com", "Delivery Status Notification (Failure)") + multipart([
        (PLAIN, "An error occurred while trying to deliver the mail to the following recipients:\n%s\n" % m.rcpt),
        (STATUS, "Reporting-MTA: dns; a8-50.smtp-out.amazonses.com\n\nAction: failed\nFinal-Recipient: rfc822; %s\n"
         "Diagnostic-Code: smtp; %s\nStatus: %s\n" % (m.rcpt, m.text, m.status)),
        (RFC822, m.original)], "----=_Part_1")


def sendgrid(m):
    return head("MAILER-DAEMON <>", "Undelivered Mail Returned to Sender") + multipart([
        (PLAIN, "This is an automatically generated message from SendGrid.\n\nI'm sorry to have to tell you that your "
         "message was not able to be delivered to one of its intended recipients.\n\n%s\n%s\n" % (m.rcpt, m.text)),
        (STATUS, "Reporting-MTA: dns; o1.sendgrid.net\nArrival-Date: 2026-11-20 10-02-03\n\nFinal-Recipient: rfc822; %s\n"
         "Original-Recipient: rfc822; %s\nAction: failed\nStatus: %s\nDiagnostic-Code: %s\n"
         % (m.rcpt, m.rcpt, m.status, m.text)),
        (RFC822, m.original)], "sg1")


def mailgun(m):
    return head("Mail Delivery System <MAILER-DAEMON@mailgun.net>", "Undeliverable message") + multipart([
        (PLAIN, "The following message to %s was undeliverable.\n" % m.rcpt),
        (STATUS, status(m, "rs224.mailgun.us", remote=False)), (HEADERS, m.headers)], "mg-1")


def powermta(m):
    return head("Mail Delivery System <mailer-daemon@out.sender.example>", "Delivery report") + multipart([
        (PLAIN, "Hello, this is the mail server on out.sender.example.\n\nI am sending you this message to inform you on "
         "the delivery status of a\nmessage you previously sent.  Immediately below you will find a list of\nthe affected "
         "recipients;  also attached is a Delivery Status Notification\n(DSN) report in standard format, as well as the "
         "headers of the original\nmessage.\n\n  <%s>  delivery failed; will not continue trying\n" % m.rcpt),
        (STATUS, "Reporting-MTA: dns;out.sender.example\nX-PowerMTA-VirtualMTA: vmta1\nReceived-From-MTA: dns;app "
         "(192.0.2.5)\nArrival-Date: %s\n\nFinal-Recipient: rfc822;%s\nAction: failed\nStatus: %s\nRemote-MTA: dns;%s "
         "(192.0.2.25)\nDiagnostic-Code: smtp;%s\nX-PowerMTA-BounceCategory: bad-mailbox\n"
         % (DATE, m.rcpt, m.status, m.host, m.text)),
        (HEADERS, m.headers)], "report1/pmta")


def momentum(m):
    return head("Mail Delivery System <mailer-daemon@sparkpost.example>", "Mail Delivery Failure") + multipart([
        (PLAIN, "This message was created automatically by the mail system (ecelerity).\n\nA message that you sent could "
         "not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) "
         "failed:\n\n>>> %s (%s): %s\n" % (m.rcpt, "reading RCPT response", m.text)),
        (STATUS, status(m, "mta.sparkpost.example")), (RFC822, m.original)], "ece-1")


def kumomta(m):
    return head("Mail Delivery Subsystem <mailer-daemon@kumo.sender.example>", "Returned mail") + multipart([
        (PLAIN, "The message was received at %s\nfrom app (192.0.2.5)\n\nThe message could not be delivered to <%s>:\n"
         "%s\n" % (DATE, m.rcpt, m.text)),
        (STATUS, status(m, "kumo.sender.example", final="rfc822;", diagnostic="smtp; ")), (HEADERS, m.headers)], "kumo")


def haraka(m):
    return head("MAILER-DAEMON@haraka.sender.example", "failure notice", "Auto-Submitted: auto-replied\n") + multipart([
        (PLAIN, "Hi. This is the Haraka Mailer program at haraka.sender.example.\nI'm afraid I wasn't able to deliver your "
         "message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
         "Intended Recipients: <%s>\nFailure Reason: %s\n" % (m.rcpt, m.text)),
        (STATUS, "Original-Envelope-Id: 1-2-3\nReporting-MTA: dns;haraka.sender.example\nArrival-Date: %s\n\n"
         "Final-Recipient: rfc822;%s\nAction: failed\nStatus: %s\nRemote-MTA: dns;%s\nDiagnostic-Code: smtp;%s\n"
         % (DATE, m.rcpt, m.status, m.host, m.text)),
        (RFC822, m.original)], "haraka-boundary")


def halon(m):
    return head("Mail Delivery System <postmaster@halon.sender.example>", "Delivery status notification") + multipart([
        (PLAIN, "Your message couldn't be delivered to %s\n\n%s\n" % (m.rcpt, m.text)),
        (STATUS, status(m, "halon.sender.example", extra="Original-Recipient: rfc822;%s\n" % m.rcpt)),
        (HEADERS, m.headers)], "halon1")


def opensmtpd(m):
    return head("Mailer Daemon <MAILER-DAEMON@smtpd.sender.example>", "Delivery status notification: error",
                "Auto-Submitted: auto-replied\n") + multipart([
                    ("Content-Description: Notification\n" + PLAIN,
                     "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n    An error has "
                     "occurred while attempting to deliver a message for\n    the following list of recipients:\n\n%s: %s\n\n"
                     "    Below is a copy of the original message:\n" % (m.rcpt, m.text)),
                    ("Content-Description: Delivery Report\n" + STATUS, status(m, "smtpd.sender.example",
                                                                              diagnostic="smtp; ", remote=False)),
                    ("Content-Description: Message headers\n" + HEADERS, m.headers)], "12345/smtpd")


def courier(m):
    return head('"Courier mail server at mx.sender.example" <@>', "NOTICE: mail delivery status.").replace(
        "From: \"Courier mail server at mx.sender.example\" <@>",
        'From: "Courier mail server at mx.sender.example" <postmaster@mx.sender.example>') + multipart([
            (PLAIN, "This is a delivery status notification from mx.sender.example,\nrunning the Courier mail server, version "
             "1.0.\n\nThe original message was received on %s\nfrom app.example.com\n\n----------------------------------\n\n"
             "                           UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n"
             "<%s>:\n    %s [192.0.2.25]:\n>>> RCPT TO:<%s>\n<<< %s\n" % (DATE, m.rcpt, m.host, m.rcpt,
                                                                         "\n<<< ".join(m.lines))),
            (STATUS, status(m, "mx.sender.example", remote=False)), (HEADERS, m.headers)], "=_courier-0")


def ironport_words(m):
    """Its own status and words, then the reply, quoted behind its code."""
    words = "5.1.0 - Unknown address error" if m.reply.category == "bad-mailbox" else "5.3.0 - Other mail system problem"
    return "%s %d-'%s'" % (words, m.code, m.text[4:])


def ironport(m):
    return head('"Mail Delivery System" <MAILER-DAEMON@esa.sender.example>', "Delivery Status Notification (Failure)"
                ) + multipart([
                    (PLAIN, "The following message to <%s> was undeliverable.\nThe reason for the problem:\n%s\n"
                     % (m.rcpt, ironport_words(m))),
                    ("content-type: message/delivery-status\n",
                     "Reporting-MTA: dns; esa.sender.example\n\nFinal-Recipient: rfc822;%s\nAction: failed\nStatus: 5.0.0 "
                     "(permanent failure)\nRemote-MTA: dns; [192.0.2.25]\nDiagnostic-Code: smtp; %s (delivery attempts: 0)\n"
                     % (m.rcpt, ironport_words(m))),
                    ("content-type: message/rfc822\n", m.original)], "ip.1")


def proofpoint(m):
    return head("Mail Delivery Subsystem <MAILER-DAEMON@mx0a.pphosted.example>", "Returned mail: see transcript for details",
                "Auto-Submitted: auto-generated (failure)\n") + multipart([
                    ("", "The original message was received at %s\nfrom m0001.ppops.net [127.0.0.1]\n\n   ----- The following "
                     "addresses had permanent fatal errors -----\n<%s>\n    (reason: %s)\n" % (DATE, m.rcpt, m.text)),
                    (STATUS, status(m, "mx0a.pphosted.example", diagnostic="SMTP; ", final="RFC822; ")),
                    (HEADERS, m.headers)], "pp.1")


def mimecast(m):
    return head("postmaster@eu.mimecast.example", "[Postmaster] Email Delivery Failure") + multipart([
        ("Content-Type: text/html; charset=utf-8\n",
         "<html><body><p>Could not deliver the message in the time limit specified. Please retry or contact your "
         "administrator.</p><p>%s</p></body></html>" % m.rcpt),
        (STATUS, status(m, "eu-smtp-1.mimecast.example", final="rfc822;", diagnostic="smtp;",
                        extra="Original-Recipient: rfc822;%s\n" % m.rcpt)),
        (RFC822, m.original)], "mc_1")


def barracuda(m):
    return head("Postmaster <MAILER-DAEMON@spam.sender.example>", "**Message you sent blocked by our bulk email filter**"
                ) + multipart([
                    (PLAIN, "Your message to: %s\nwas blocked by our Spam Firewall. The email you sent with the following "
                     "subject has NOT BEEN DELIVERED:\n\nSubject: Offers in November\n" % m.rcpt),
                    (STATUS, status(m, "spam.sender.example", diagnostic="smtp; ")), (HEADERS, m.headers)], "bc_1")


def zoho(m):
    return head("mailer-daemon@mail.zoho.com", "Undelivered Mail Returned to Sender") + multipart([
        (PLAIN, "This message was created automatically by mail delivery software.\n A message that you sent could not be "
         "delivered to one or more of its recipients. This is a permanent error.\n\n[Status: Error, Address: <%s>, "
         "ResponseCode %d, %s]\n" % (m.rcpt, m.code, m.text[4:])),
        (STATUS, status(m, "mx.zoho.com", final="RFC822; ", diagnostic="")), (HEADERS, m.headers)], "zo_1")


def communigate(m):
    return head("<MAILER-DAEMON@cgp.sender.example>", "Undeliverable mail: Offers in November") + multipart([
        ("Content-Type: text/plain; charset=\"utf-8\"\n",
         "Failed to deliver to '%s'\nSMTP module(domain %s) reports:\n host %s says:\n %s\n"
         % (m.rcpt, m.domain, m.host, m.text)),
        (STATUS, "Reporting-MTA: dns; cgp.sender.example\n\nOriginal-Recipient: rfc822;<%s>\nFinal-Recipient: system;<*>\n"
         "Action: failed\nStatus: %s\n" % (m.rcpt, m.status)),
        (HEADERS, m.headers)], "_===1====cgp===_")


def messagelabs(m):
    return head("MAILER-DAEMON@server-1.messagelabs.example", "Mail Delivery Failure") + multipart([
        (PLAIN, "This is an email abuse and mail delivery failure report for an email message received from %s\n\n<%s>:\n%s\n"
         % (DATE, m.rcpt, m.text)),
        (STATUS, status(m, "server-1.messagelabs.example", diagnostic="smtp; ")), (HEADERS, m.headers)], "ml_1")


def netease(m):
    return head("Postmaster@163.com", "=?utf-8?B?57O757uf6YCA5L+h?=") + multipart([
        ("Content-Type: text/plain; charset=gbk\nContent-Transfer-Encoding: base64\n",
         base64.encodebytes(("抱歉，您的邮件被退回来了……\n收件人：%s\n退信原因：%s\n" % (m.rcpt, m.text)).encode("gbk")).decode()),
        (STATUS, status(m, "m12-18.163.com", final="rfc822; ")), (RFC822, m.original)], "ne_1")


def mailru(m):
    return head("mailer-daemon@corp.mail.ru", "Mail failure.") + multipart([
        ("Content-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n",
         "Это письмо создано автоматически. Ваше письмо не может быть доставлено:\n\n  %s\n    %s\n" % (m.rcpt, m.text)),
        (STATUS, status(m, "f1.i.mail.ru", final="rfc822;")), (HEADERS, m.headers)], "mr_1")


def gmx(m):
    return head("GMX Mailer Daemon <mailer-daemon@gmx.net>", "Mail delivery failed: returning message to sender",
                "Auto-Submitted: auto-replied\n") + multipart([
                    (PLAIN, "This message was created automatically by mail delivery software.\n\nA message that you sent "
                     "could not be delivered to\none or more of its recipients. This is a permanent error.\nThe following "
                     "address failed:\n\n\"%s\":\nSMTP error from remote server for RCPT TO command, host: %s (192.0.2.25) "
                     "reason: %s\n" % (m.rcpt, m.host, m.text)),
                    (STATUS, status(m, "mout.gmx.net", final="rfc822; ", diagnostic="smtp;")),
                    (HEADERS, m.headers)], "gmx_1")


def domino_report(m):
    return head("postmaster@notes.sender.example", "DELIVERY FAILURE: User %s not listed in Domino Directory" % m.user
                ) + multipart([
                    (PLAIN, "Your message\n\n  Subject: Offers in November\n\nwas not delivered to:\n\n  %s\n\nbecause:\n\n"
                     "  %s\n" % (m.rcpt, m.text)),
                    (STATUS, "Reporting-MTA: dns;notes.sender.example\n\nFinal-Recipient: rfc822;%s\nAction: failed\nStatus: "
                     "%s\nDiagnostic-Code: X-Notes; %s\n" % (m.rcpt, m.status, m.text)),
                    (RFC822, m.original)], "==IFJRGLKFGIR1")


def mdaemon_report(m):
    return head("MAILER-DAEMON@md.sender.example", "Permanent Delivery Failure") + multipart([
        (PLAIN, "The attached message had PERMANENT fatal delivery errors.\n\nFailed address: %s\n\n--- Session Transcript "
         "---\n Fri 2026-11-20 10:02:03: --> RCPT To:<%s>\n Fri 2026-11-20 10:02:03: <-- %s\n--- End Transcript ---\n"
         % (m.rcpt, m.rcpt, m.text)),
        (STATUS, status(m, "md.sender.example", final="rfc822;", diagnostic="smtp; ")),
        ("Content-Type: message/rfc822; name=\"original.eml\"\n", m.original)], "0_md")


def james(m):
    return head("postmaster@james.sender.example", "[BOUNCE]") + multipart([
        (PLAIN, "Hi. This is the James mail server at james.sender.example.\nI'm afraid I wasn't able to deliver your message "
         "to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\nFailed "
         "recipient(s):\n%s\n\nError message:\n%s\n" % (m.rcpt, m.text)),
        (STATUS, "Reporting-MTA: dns; james.sender.example\nReceived-From-MTA: dns; 192.0.2.5\n\nFinal-Recipient: rfc822; %s\n"
         "Action: Failed\nStatus: %s\nDiagnostic-Code: smtp; %s\n" % (m.rcpt, m.status, m.text)),
        (RFC822, m.original)], "ja_1")


REPORTS = [postfix, sendmail, exim, exchange2016, office365, gmail, amazon_ses, sendgrid, mailgun, powermta, momentum,
           kumomta, haraka, halon, opensmtpd, courier, ironport, proofpoint, mimecast, barracuda, zoho, communigate,
           messagelabs, netease, mailru, gmx, domino_report, mdaemon_report, james]
CHARSETS = {mailru: "koi8-r"}


# ---- text for people

def qmail(m):
    return head("MAILER-DAEMON@qmail.sender.example", "failure notice") + (
        "\nHi. This is the qmail-send program at qmail.sender.example.\nI'm afraid I wasn't able to deliver your message to "
        "the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<%s>:\n%s\n\n"
        "--- Below this line is a copy of the message.\n\nReturn-Path: <b@ac-bounces.example.com>\n%s"
        % (m.rcpt, "192.0.2.25 does not like recipient.\nRemote host said: %s\nGiving up on 192.0.2.25."
           % "\n".join(m.lines) if m.code else QMAIL_OWN[m.key][1] % m.domain, m.original))


# What qmail-remote.c says where there was no server to say it.
QMAIL_OWN = {
    "no-host": ("5.1.2", "Sorry, I couldn't find any host named %s. (#5.1.2)"),
    "timeout": ("4.4.1", "Sorry, I wasn't able to establish an SMTP connection to %s. (#4.4.1)\nI'm not going to try "
                "again; this message has been in the queue too long."),
}


def exim_text(m):
    return head("Mail Delivery System <Mailer-Daemon@mx.sender.example>",
                "Mail delivery failed: returning message to sender", "X-Failed-Recipients: %s\nAuto-Submitted: "
                "auto-replied\n" % m.rcpt) + (
                    "\nThis message was created automatically by mail delivery software.\n\nA message that you sent could "
                    "not be delivered to one or more of its\nrecipients. This is a permanent error. The following "
                    "address(es) failed:\n\n  %s\n    SMTP error from remote mail server after RCPT TO:<%s>:\n    host %s "
                    "[192.0.2.25]: %s\n\n------ This is a copy of the message, including all the headers. ------\n\n"
                    "Return-path: <b@ac-bounces.example.com>\n%s" % (m.rcpt, m.rcpt, m.host, "\n    ".join(m.lines),
                                                                    m.original))


def sendmail_old(m):
    return head("Mail Delivery Subsystem <MAILER-DAEMON@mx.sender.example>", "Returned mail: User unknown") + (
        "\nThe original message was received at %s\nfrom app.example.com [192.0.2.5]\n\n   ----- The following addresses "
        "had permanent fatal errors -----\n<%s>\n\n   ----- Transcript of session follows -----\n... while talking to "
        "%s.:\n>>> RCPT To:<%s>\n<<< %s\n\n   ----- Original message follows -----\n\n%s"
        % (DATE, m.rcpt, m.host, m.rcpt, "\n<<< ".join(m.lines), m.original))


def exchange2003(m):
    return head("System Administrator <postmaster@ex.sender.example>", "Undeliverable: Offers in November") + multipart([
        (PLAIN, "Your message\n\n  To:      %s\n  Subject: Offers in November\n  Sent:    %s\n\ndid not reach the following "
         "recipient(s):\n\n%s on %s\n    There was a SMTP communication problem with the recipient's\nemail server.  "
         "Please contact your system administrator.\n    <ex.sender.example #%s smtp;%s>\n"
         % (m.rcpt, DATE, m.rcpt, DATE, m.status, m.text)),
        (RFC822, m.original)], "----_=_NextPart_000", "mixed")


def exchange_german(m):
    text = ("Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Verteilerlisten:\n\n%s\nDie eingegebene "
            "E-Mail-Adresse konnte nicht gefunden werden.\n\nDiagnoseinformationen für Administratoren:\n\nGenerierender "
            "Server: ex.sender.example\n\n%s\n#%s #SMTP#\n\nUrsprüngliche Nachrichtenkopfzeilen:\n\n%s"
            % (m.rcpt, m.rcpt, m.text, m.headers))
    return head("=?iso-8859-1?Q?Systemadministrator?= <postmaster@ex.sender.example>",
                "=?utf-8?Q?Unzustellbar:_Offers?=", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                "Content-Transfer-Encoding: base64\n") + "\n" + base64.encodebytes(text.encode()).decode()


def exchange_french(m):
    html = ("<html><body><p>Échec de la remise pour ces destinataires ou listes de distribution :</p><p><a href=\"mailto:%s\">"
            "%s</a><br>L'adresse que vous avez entrée est introuvable.</p><p><b>Informations de diagnostic pour les "
            "administrateurs :</b></p><p>%s<br>%s</p></body></html>"
            % (m.rcpt, m.rcpt, m.rcpt, m.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")))
    return head("Administrateur <MicrosoftExchange@ex.sender.example>", "=?utf-8?Q?Non_remis=C2=A0:_Offers?=",
                "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
                ) + "\n" + html + "\n"


def domino(m):
    return head("postmaster@notes.sender.example", "DELIVERY FAILURE: %s" % m.text[:40]) + (
        "\nYour message\n\n  Subject: Offers in November\n\nwas not delivered to:\n\n  %s\n\nbecause:\n\n  %s\n"
        % (m.rcpt, m.text))


def groupwise(m):
    return head("Mailer-Daemon@gw.sender.example", "Message status - undeliverable",
                "X-Mailer: Novell GroupWise Internet Agent 8.0\n") + multipart([
                    (PLAIN, "The message that you sent was undeliverable to the following:\n\t%s (%s)\n\nPossibly truncated "
                     "original message follows:\n" % (m.rcpt, m.text)),
                    (RFC822, m.original)], "gw-1", "mixed")


def mdaemon(m):
    return head("MDaemon at md.sender.example <MDaemon@md.sender.example>", "MDaemon Notification -- Attachment",
                ).replace("MDaemon Notification -- Attachment", "Permanent Delivery Failure") + (
        "\nThe following data may contain sections which represent BINARY attachments.\n\nThe attached message had PERMANENT "
        "fatal delivery errors!\n\nAfter one or more unsuccessful delivery attempts the attached message has\nbeen removed "
        "from the mail queue on this server.\n\nYOUR MESSAGE WAS NOT DELIVERED TO ONE OR MORE RECIPIENTS!\n\nFailed "
        "address: %s\n\n--- Session Transcript ---\n <-- %s\n--- End Transcript ---\n\n: Message contains [1] file "
        "attachments\n" % (m.rcpt, m.text))


def imail(m):
    return head('"Postmaster" <postmaster@imail.sender.example>', "Undeliverable Mail", "X-Mailer: <SMTP32 v8.15>\n") + (
        "\nUnknown user: %s\n\nRCPT TO generated following response:\n%s\n\n\n\nOriginal message follows.\n\n%s"
        % (m.rcpt, m.text, m.original))


def gmail_old(m):
    return head("Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "Delivery Status Notification (Failure)",
                "X-Failed-Recipients: %s\n" % m.rcpt) + (
                    "\nDelivery to the following recipient failed permanently:\n\n     %s\n\nTechnical details of permanent "
                    "failure:\nGoogle tried to deliver your message, but it was rejected by the server for the recipient "
                    "domain %s by %s. [192.0.2.25].\n\nThe error that the other server returned was:\n%s\n\n\n----- Original "
                    "message -----\n\n%s" % (m.rcpt, m.domain, m.host, m.text, m.original))


def yahoo_old(m):
    return head("MAILER-DAEMON@yahoo.com", "Failure Notice") + (
        "\nSorry, we were unable to deliver your message to the following address.\n\n<%s>:\nRemote host said:\n%s\n[RCPT_TO]\n"
        "\n--- Below this line is a copy of the message.\n\n%s" % (m.rcpt, "\n".join(m.lines), m.original))


def aol_old(m):
    return head("Mail Delivery Subsystem <MAILER-DAEMON@aol.example>", "Mail Delivery Problem") + (
        "\nYour mail to the following recipients could not be delivered because they are not\naccepting mail from "
        "news@example.com:\n\n<%s>\n  %s\n" % (m.rcpt, m.text))


def postfix_text(m):
    return head("MAILER-DAEMON@mx.sender.example (Mail Delivery System)", "Undelivered Mail Returned to Sender") + (
        "\nThis is the mail system at host mx.sender.example.\n\nI'm sorry to have to inform you that your message could not\n"
        "be delivered to one or more recipients. It's attached below.\n\n                   The mail system\n\n%s\n"
        % textwrap.fill("<%s>: host %s[192.0.2.25] said: %s (in reply to RCPT TO command)" % (m.rcpt, m.host, m.text), 76,
                        subsequent_indent="    "))


def dragonfly(m):
    return head("MAILER-DAEMON <>", "Mail delivery failed") + (
        "\nThis is the DragonFly Mail Agent v0.13 at df.sender.example.\n\nThere was an error delivering your mail to <%s>.\n\n"
        "%s did not like our RCPT TO:\n%s\n\nMessage headers follow.\n\n%s" % (m.rcpt, m.host, "\n".join(m.lines), m.headers))


def t_online(m):
    return head("Mail Delivery System <Mailer-Daemon@t-online.de>", "Mail delivery failed: returning message to sender",
                "X-Failed-Recipients: %s\n" % m.rcpt) + (
                    "\n|------------------------- Failed addresses follow: ---------------------|\n <%s>\n   %s\n\n"
                    "|------------------------- Message header follows: -----------------------|\n%s"
                    % (m.rcpt, m.text, m.headers))


def yandex(m):
    text = ("Это письмо отправлено почтовым сервером yandex.ru.\n\nК сожалению, мы вынуждены сообщить Вам о том, что Ваше письмо "
            "не может\nбыть отправлено одному или нескольким адресатам. Технические подробности можно найти ниже.\n\n"
            "Возможные причины недоставки указаны по адресу:\nhttp://help.yandex.ru/mail/other/failed-deliveries.xml\n\n"
            "Пожалуйста, не отвечайте на это сообщение.\n\n----\n\n<%s>: host %s[192.0.2.25]\n    said: %s (in reply to RCPT "
            "TO command)\n" % (m.rcpt, m.host, m.text))
    return head("mailer-daemon@yandex.ru", "=?utf-8?B?0J3QtdC00L7RgdGC0LDQstC70LXQvdC90L7QtQ==?=",
                "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n") + "\n" + text


def qq(m):
    return head("<PostMaster@qq.com>", "=?utf-8?B?57O757uf6YCA5L+hL1N5c3RlbWJvdW5jZQ==?=",
                "MIME-Version: 1.0\nContent-Type: text/html; charset=\"gb18030\"\nContent-Transfer-Encoding: base64\n"
                ) + "\n" + base64.encodebytes((
                    "<div>抱歉，您的邮件被退回来了。</div><div>收件人邮件地址：</div><div>%s</div><div>退信原因：</div>"
                    "<div>%s</div>" % (m.rcpt, m.text.replace("<", "&lt;").replace(">", "&gt;"))).encode("gb18030")).decode()


def mailenable(m):
    return head('"Postmaster" <postmaster@me.sender.example>', "Message Delivery Failure",
                "X-Mailer: MailEnable SMTP Service\n") + (
                    "\nMailEnable: Message could not be delivered to some recipients.\nThe following recipient(s) could not be "
                    "reached:\n\n        Recipient: [SMTP:%s]\n        Reason: Remote SMTP Server Returned: %s\n\n\nMessage headers "
                    "follow:\n\n%s" % (m.rcpt, m.text, m.headers))


TEXTS = [qmail, exim_text, sendmail_old, exchange2003, exchange_german, exchange_french, domino, groupwise, mdaemon, imail,
         gmail_old, yahoo_old, aol_old, postfix_text, dragonfly, t_online, yandex, qq, mailenable]
WITHOUT_ORIGINAL = {exchange_french, domino, mdaemon, aol_old, postfix_text, yandex, qq}


# ---- all of them

def build(form, m):
    return form(m).encode(CHARSETS.get(form, "utf-8"))


def expected(form, m, type_="bounced"):
    """What the format keeps of the reply."""
    dsn = m.dsn
    if form in REPORTS and m.dsn is None:
        dsn = "5.0.0"
    if form is ironport and m.dsn is None:
        dsn = ironport_words(m)[:5]
    if form is qmail and not m.code:
        dsn = QMAIL_OWN[m.key][0]
    if form is exchange2003 and m.dsn is None:
        dsn = "5.0.0"
    return Notice(m.rcpt, type_, m.code, dsn, m.reply.category)


def chosen(form, index):
    """Six replies for a report and five for a text: over all formats each has many."""
    keys = [key for key, reply in replies.REPLIES.items() if reply.code or form in (postfix, qmail)]
    n = 6 if form in REPORTS else 5
    return [keys[(index * 5 + k * 7) % len(keys)] for k in range(n)]


def cases():
    made = []
    for index, form in enumerate(REPORTS + TEXTS):
        for key in chosen(form, index):
            m = Mail(key, len(made))
            made.append(Case("%s %s" % (form.__name__, key), m.rcpt, build(form, m),
                             "report" if form in REPORTS else "text",
                             None if form in WITHOUT_ORIGINAL else m.message_id, [expected(form, m)]))
    return made


# ---- what a format alone does not show

def _report(m, parts, sender="MAILER-DAEMON@mx.sender.example", subject="Undelivered Mail", more="",
            kind="report; report-type=delivery-status"):
    return head(sender, subject, more) + multipart(parts, "=_s1", kind)


def delayed(m):
    """Postfix, after delay_warning_time."""
    return _report(m, [(PLAIN, "##########\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n##########\n\n"
                        "Your message could not be delivered for more than 4 hour(s).\nIt will be retried until it is 5 day(s) "
                        "old.\n\n<%s>: %s\n" % (m.rcpt, m.text)),
                       (STATUS, status(m, "mx.sender.example", "delayed") + "Will-Retry-Until: %s\n" % DATE),
                       (HEADERS, m.headers)], subject="Delayed Mail (still being retried)")


def delayed_text(m):
    """Exim's warning."""
    return head("Mail Delivery System <Mailer-Daemon@mx.sender.example>", "Warning: message 1abc delayed 24 hours") + (
        "\nThis message was created automatically by mail delivery software.\nA message that you sent has not yet been "
        "delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.sender.example.\n\nThe address to "
        "which the message has not yet been delivered is:\n\n  %s\n    %s\n\nNo action is required on your part. Delivery "
        "attempts will continue for\nsome time.\n" % (m.rcpt, m.text))


def gives_up_text(m):
    """A 4yz that the mailer has given up on."""
    return head("MAILER-DAEMON@qmail.sender.example", "failure notice") + (
        "\nHi. This is the qmail-send program at qmail.sender.example.\nI'm afraid I wasn't able to deliver your message to the "
        "following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<%s>:\n192.0.2.25 failed "
        "after I sent the message.\nRemote host said: %s\nI'm not going to try again; this message has been in the queue too "
        "long.\n\n--- Below this line is a copy of the message.\n\n%s" % (m.rcpt, m.text, m.original))


def delivered(m):
    return _report(m, [(PLAIN, "Your message was successfully delivered to %s\n" % m.rcpt),
                       (STATUS, "Reporting-MTA: dns; mx.sender.example\n\nFinal-Recipient: rfc822; %s\nAction: relayed\nStatus: "
                        "2.0.0\nRemote-MTA: dns; %s\nDiagnostic-Code: smtp; 250 2.0.0 OK\n" % (m.rcpt, m.host)),
                       (HEADERS, m.headers)], subject="Successful Mail Delivery Report")


def utf8_report(m):
    """RFC 6533: types of its own, an address in UTF-8."""
    return _report(m, [("Content-Type: text/plain; charset=utf-8\n", "Nicht zustellbar: %s\n" % m.rcpt),
                       ("Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n",
                        status(m, "mx.sender.example", final="utf-8; ")),
                       ("Content-Type: message/global-headers\n", m.headers)])


def without_report_type(m):
    return _report(m, [(PLAIN, "It failed.\n"), (STATUS, status(m, "mx.sender.example")), (HEADERS, m.headers)],
                   kind="report")


def status_as_text(m):
    return _report(m, [(PLAIN, "It failed.\n"), (PLAIN, status(m, "mx.sender.example")), (RFC822, m.original)],
                   kind="mixed")


def status_as_file(m):
    return _report(m, [(PLAIN, "It failed.\n"), ("Content-Type: application/octet-stream; name=details.txt\n"
                                                 "Content-Transfer-Encoding: base64\n",
                                                 base64.encodebytes(status(m, "mx").encode()).decode()),
                       (RFC822, m.original)], kind="mixed")


def without_groups(m):
    """No empty line between the fields of the message and those of the recipient."""
    return _report(m, [(STATUS, status(m, "mx.sender.example").replace("\n\n", "\n")), (HEADERS, m.headers)])


def torn_groups(m):
    """An empty line behind each field."""
    return _report(m, [(STATUS, status(m, "mx.sender.example", final="").replace("\n    ", " ").replace("\n", "\n\n")),
                       (HEADERS, m.headers)])


def without_action(m):
    return _report(m, [(STATUS, status(m, "mx").replace("Action: failed\n", "")), (HEADERS, m.headers)])


def repeated_fields(m):
    """The first of each counts."""
    return _report(m, [(STATUS, status(m, "mx") + "Status: 2.0.0\nAction: delivered\nDiagnostic-Code: smtp; 250 fine\n"),
                       (HEADERS, m.headers)])


def crlf(m):
    return postfix(m).replace("\n", "\r\n")


def quoted_printable(m):
    text = status(m, "mx").replace("=", "=3D").replace("Final", "=46inal")
    return _report(m, [(STATUS + "Content-Transfer-Encoding: quoted-printable\n", text), (HEADERS, m.headers)])


def nul_octets(m):
    return postfix(m).replace("mail system", "mail\0system").replace("Arrival-Date", "X-\0: \0\nArrival-Date")


SPECIALS = [(delayed, "greylisted", "deferred"), (delayed, "timeout", "deferred"), (delayed, "gmail-rate", "deferred"),
            (delayed_text, "yahoo-tss04", "deferred"), (delayed_text, "local-error", "deferred"),
            (gives_up_text, "local-error", "bounced"), (gives_up_text, "greylisted", "bounced"),
            (utf8_report, "sendmail-user-unknown", "bounced"), (without_report_type, "dovecot-quota", "bounced"),
            (status_as_text, "gmail-dmarc", "bounced"), (status_as_file, "exchange-quota", "bounced"),
            (without_groups, "spamhaus", "bounced"), (torn_groups, "postfix-user-unknown", "bounced"),
            (without_action, "null-mx", "bounced"), (repeated_fields, "too-big", "bounced"), (crlf, "spf-fail", "bounced"),
            (quoted_printable, "outlook-s3140", "bounced"), (nul_octets, "exchange-disabled", "bounced")]


def special_cases():
    made = []
    for form, key, type_ in SPECIALS:
        m = Mail(key, 900 + len(made))
        source = "text" if form in (delayed_text, gives_up_text) else "report"
        made.append(Case("%s %s" % (form.__name__, key), m.rcpt, build(form, m), source,
                         None if form is delayed_text else m.message_id, [expected(form, m, type_)]))
    m = Mail("sendmail-user-unknown", 990)
    made.append(Case("delivered", m.rcpt, build(delivered, m), "report", m.message_id,
                     [Notice(m.rcpt, "delivered", 0, "2.0.0", None)]))
    return made


# ---- feedback, RFC 5965

def feedback(m, kind="abuse", rcpt=True, original=None, return_path="b@ac-bounces.example.com"):
    return head("<feedback@isp.example>", "FW: Offers in November") + multipart([
        (PLAIN, "This is an email abuse report for an email message received from IP 192.0.2.7 on %s.\n" % DATE),
        ("Content-Type: message/feedback-report\n",
         "Feedback-Type: %s\nUser-Agent: SomeGenerator/1.0\nVersion: 1\nOriginal-Mail-From: <%s>\n%sArrival-Date: %s\n"
         "Reporting-MTA: dns; mail.isp.example\nSource-IP: 192.0.2.7\n"
         % (kind, return_path, "Original-Rcpt-To: <%s>\n" % m.rcpt if rcpt else "", DATE)),
        (RFC822, m.original if original is None else original)], "=_fb", "report; report-type=feedback-report")


def old_feedback(m):
    """Microsoft's JMRP before it had reports."""
    return head("<staff@hotmail.com>", "complaint about message from 192.0.2.7") + multipart([
        (RFC822, "X-HmXmrOriginalRecipient: %s\n" % m.rcpt + m.original)], "=_jmrp", "mixed")


# ---- what is no report

VACATION = head("Ann <ann@mail.example>", "Out of Office: Offers in November", "Auto-Submitted: auto-replied\n") + (
    "\nI am out of the office. Mail to bob@mail.example could not be delivered: 550 5.1.1 he has left, too.\n")
PERSON = head("Ann <ann@mail.example>", "Re: Offers in November") + (
    "\nPlease stop.  I got this yesterday:\n\n<ann@mail.example>: 550 5.1.1 User unknown\n")
RECEIPT = head("Ann <ann@mail.example>", "Read: Offers in November") + multipart([
    (PLAIN, "Your message was read.\n"),
    ("Content-Type: message/disposition-notification\n",
     "Reporting-UA: x\nFinal-Recipient: rfc822;ann@mail.example\nDisposition: manual-action/MDN-sent-manually; displayed\n")],
    "=_mdn", "report; report-type=disposition-notification")
EMPTY_REPORT = head("MAILER-DAEMON@x.example", "Undelivered Mail") + multipart([
    (PLAIN, "Hello.\n"), (STATUS, "Reporting-MTA: dns; x.example\n")])
MUTE_BOUNCE = head("MAILER-DAEMON@x.example", "Notice") + "\nSomething about your mail.\n"
