"""What mailbox providers and MTAs say when they do not take mail: the texts within the reports of make.py.

From the providers' own pages on their SMTP errors (Google "SMTP error codes", Microsoft "NDR codes in
Exchange Online" and S3140, Yahoo "SMTP error codes", Mail.ru, Yandex, GMX), from the MTAs' sources, and as
postmasters have published them.  {rcpt}, {user}, {domain} are the recipient's; lines of one reply end in \\n.
"""
import collections

Reply = collections.namedtuple("Reply", "domain host code dsn text category")

REPLIES = {
    # bad-mailbox
    "gmail-no-such-user": Reply(
        "gmail.com", "gmail-smtp-in.l.google.com", 550, "5.1.1",
        "550-5.1.1 The email account that you tried to reach does not exist. Please try\n"
        "550-5.1.1 double-checking the recipient's email address for typos or\n"
        "550-5.1.1 unnecessary spaces. For more information, go to\n"
        "550 5.1.1  https://support.google.com/mail/?p=NoSuchUser a640c23a62f3a-aa20e0412b3si115 - gsmtp",
        "bad-mailbox"),
    "outlook-no-mailbox": Reply(
        "hotmail.com", "hotmail-com.olc.protection.outlook.com", 550, "5.5.0",
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). "
        "[AM7EUR03FT052.eop-EUR03.prod.protection.outlook.com]", "bad-mailbox"),
    "office365-not-found": Reply(
        "contoso.example", "contoso-example.mail.protection.outlook.com", 550, "5.1.10",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {rcpt} not found by SMTP address lookup",
        "bad-mailbox"),
    "yahoo-no-account": Reply(
        "yahoo.com", "mta7.am0.yahoodns.net", 554, None,
        "554 delivery error: dd This user doesn't have a yahoo.com account ({rcpt}) [0] - "
        "mta1309.mail.gq1.yahoo.com", "bad-mailbox"),
    "postfix-user-unknown": Reply(
        "mail.example", "mx1.mail.example", 550, "5.1.1",
        "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table", "bad-mailbox"),
    "sendmail-user-unknown": Reply(
        "old.example", "mx.old.example", 550, "5.1.1", "550 5.1.1 <{rcpt}>... User unknown", "bad-mailbox"),
    "mailru-invalid": Reply(
        "mail.ru", "mxs.mail.ru", 550, None,
        "550 Message was not accepted -- invalid mailbox.  Local mailbox {rcpt} is unavailable: user not found",
        "bad-mailbox"),
    "yandex-no-such-user": Reply(
        "yandex.ru", "mx.yandex.ru", 550, "5.7.1", "550 5.7.1 No such user!", "bad-mailbox"),
    # bad-domain
    "no-host": Reply(
        "no-such.example", None, 0, "5.4.4",
        "Host or domain name not found. Name service error for name=no-such.example type=AAAA: Host not found",
        "bad-domain"),
    "null-mx": Reply(
        "null-mx.example", None, 556, "5.1.10", "556 5.1.10 Domain null-mx.example does not accept mail (nullMX)",
        "bad-domain"),
    # inactive
    "gmail-disabled": Reply(
        "gmail.com", "gmail-smtp-in.l.google.com", 550, "5.2.1",
        "550-5.2.1 The email account that you tried to reach is inactive. For more\n"
        "550-5.2.1 information, go to\n"
        "550 5.2.1  https://support.google.com/mail/?p=DisabledUser d9443c01a7336-2b1 - gsmtp", "inactive"),
    "gmail-abandoned": Reply(
        "gmail.com", "gmail-smtp-in.l.google.com", 552, "5.2.2",
        "552-5.2.2 The recipient's inbox is out of storage space and inactive. Please\n"
        "552-5.2.2 direct the recipient to\n"
        "552 5.2.2  https://support.google.com/mail/?p=OverQuotaPerm 5b1f17b1804b1-42cbb - gsmtp", "inactive"),
    "yahoo-disabled": Reply(
        "yahoo.com", "mta5.am0.yahoodns.net", 554, None,
        "554 30 Sorry, your message to {rcpt} cannot be delivered. This mailbox is disabled (554.30).", "inactive"),
    "exchange-disabled": Reply(
        "fabrikam.example", "mail.fabrikam.example", 550, "5.2.1",
        "550 5.2.1 Mailbox disabled, not accepting messages", "inactive"),
    # full
    "gmail-over-quota": Reply(
        "gmail.com", "gmail-smtp-in.l.google.com", 552, "5.2.2",
        "552-5.2.2 The email account that you tried to reach is over quota. Please direct\n"
        "552-5.2.2 the recipient to\n"
        "552 5.2.2  https://support.google.com/mail/?p=OverQuotaPerm 5b1f17b1804b1-42cbb - gsmtp", "full"),
    "exchange-quota": Reply(
        "fabrikam.example", "mail.fabrikam.example", 554, "5.2.2",
        "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; "
        "Failed to process message due to a permanent exception", "full"),
    "dovecot-quota": Reply(
        "mail.example", "mx1.mail.example", 552, "5.2.2",
        "552 5.2.2 <{rcpt}> Quota exceeded (mailbox for user is full)", "full"),
    "mailru-full": Reply(
        "mail.ru", "mxs.mail.ru", 552, None,
        "552 Message was not accepted -- mailbox is full. Local mailbox {rcpt} is over quota", "full"),
    # temporary
    "timeout": Reply(
        "slow.example", "mx.slow.example", 0, "4.4.1",
        "connect to mx.slow.example[192.0.2.99]:25: Connection timed out", "temporary"),
    "greylisted": Reply(
        "grey.example", "mx.grey.example", 450, "4.2.0",
        "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/",
        "temporary"),
    "local-error": Reply(
        "mail.example", "mx1.mail.example", 451, "4.3.0", "451 4.3.0 Temporary lookup failure", "temporary"),
    # reputation
    "spamhaus": Reply(
        "mail.example", "mx1.mail.example", 554, "5.7.1",
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; "
        "https://www.spamhaus.org/query/ip/192.0.2.7", "reputation"),
    "outlook-s3140": Reply(
        "outlook.com", "outlook-com.olc.protection.outlook.com", 550, "5.7.1",
        "550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service "
        "provider since part of their network is on our block list (S3140). You can also refer your provider to "
        "http://mail.live.com/mail/troubleshooting.aspx#errors.", "reputation"),
    "yahoo-bl21": Reply(
        "yahoo.com", "mta6.am0.yahoodns.net", 553, "5.7.1",
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.7, because the ip is in Spamhaus's list; "
        "see http://postmaster.yahoo.com/550-bl23.html", "reputation"),
    "gmail-low-reputation": Reply(
        "gmail.com", "gmail-smtp-in.l.google.com", 550, "5.7.1",
        "550-5.7.1 [192.0.2.7      19] Gmail has detected that this message is likely\n"
        "550-5.7.1 suspicious due to the very low reputation of the sending domain. To\n"
        "550-5.7.1 best protect our users from spam, the message has been blocked. For more\n"
        "550 5.7.1 information, go to https://support.google.com/mail/answer/188131 - gsmtp", "reputation"),
    # policy
    "too-big": Reply(
        "mail.example", "mx1.mail.example", 552, "5.3.4", "552 5.3.4 Message size exceeds fixed limit", "policy"),
    "exchange-restricted": Reply(
        "fabrikam.example", "mail.fabrikam.example", 550, "5.7.1",
        "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", "policy"),
    "relay-denied": Reply(
        "old.example", "mx.old.example", 554, "5.7.1", "554 5.7.1 <{rcpt}>: Relay access denied", "policy"),
    # authentication
    "gmail-dmarc": Reply(
        "gmail.com", "gmail-smtp-in.l.google.com", 550, "5.7.26",
        "550-5.7.26 Unauthenticated email from example.com is not accepted due to\n"
        "550-5.7.26 domain's DMARC policy. Please contact the administrator of example.com\n"
        "550-5.7.26 domain if this was a legitimate mail. To learn about the DMARC\n"
        "550 5.7.26  initiative, go to https://support.google.com/mail/?p=DmarcRejection - gsmtp",
        "authentication"),
    "outlook-dmarc": Reply(
        "outlook.com", "outlook-com.olc.protection.outlook.com", 550, "5.7.509",
        "550 5.7.509 Access denied, sending domain EXAMPLE.COM does not pass DMARC verification and has a DMARC "
        "policy of reject.", "authentication"),
    "spf-fail": Reply(
        "mail.example", "mx1.mail.example", 550, "5.7.23",
        "550 5.7.23 <{rcpt}>: Recipient address rejected: Message rejected due to: SPF fail - not authorized",
        "authentication"),
    # rate
    "gmail-rate": Reply(
        "gmail.com", "gmail-smtp-in.l.google.com", 421, "4.7.28",
        "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating\n"
        "421-4.7.28 from your IP address [192.0.2.7      19]. To protect our users from spam,\n"
        "421-4.7.28 mail sent from your IP address has been temporarily rate limited. Please\n"
        "421 4.7.28 visit https://support.google.com/mail/?p=UnsolicitedRateLimitError - gsmtp", "rate"),
    "yahoo-tss04": Reply(
        "yahoo.com", "mta7.am0.yahoodns.net", 421, "4.7.0",
        "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints "
        "- 4.16.55.1; see https://postmaster.yahooinc.com/error-codes", "rate"),
    # other
    "just-no": Reply("odd.example", "mx.odd.example", 554, None, "554 Transaction failed", "other"),
}


def lines(reply, rcpt):
    """The lines of a reply to this recipient."""
    user, _, domain = rcpt.partition("@")
    return reply.text.format(rcpt=rcpt, user=user, domain=domain).split("\n")


def one_line(reply, rcpt):
    return " ".join(lines(reply, rcpt))
