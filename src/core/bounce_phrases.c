/*
 * bounce_phrases - what MTAs say in text for people, in lower case; see bounce_part.h.
 *
 * From the MTAs' own sources and manuals: Postfix conf/bounce.cf.default, Sendmail savemail.c,
 * Exim's specification (bounce messages), qmail-send.c, Courier's templates, and Microsoft's texts
 * in its languages; what automata write in subjects, from RFC 3834 and the programs themselves.
 */
#include "core/bounce_part.h"

#include <string.h>

static bool
contains(const char *text, const char *const *phrases)
{
	for (; *phrases != NULL; phrases++)
		if (strstr(text, *phrases) != NULL)
			return true;
	return false;
}

bool
bounce_says_delayed(const char *lower)
{
	/* clang-format off */
	static const char *const phrases[] = {
		"not yet been delivered", "not been delivered yet", "still being retried",
		"warning message only", "will be retried", "will keep trying", "will continue to",
		"continue to try", "has been delayed", "is delayed", "was delayed", "delayed mail",
		"(delay)", "will retry", "keep retrying", "try to deliver it again",
		"try again later to deliver", "verzögert", "verzögerung", "a été retardé",
		"est retardée", "se ha retrasado", "vertraagd", "задерж", "è in ritardo",
		"do not need to resend", NULL
	};
	/* clang-format on */

	return contains(lower, phrases);
}

bool
bounce_says_failed(const char *lower)
{
	/* clang-format off */
	static const char *const phrases[] = {
		"not be delivered", "couldn't be delivered", "not delivered", "wasn't delivered",
		"undeliver", "delivery failed", "delivery has failed",
		"delivery to the following recipient", "failed to deliver", "failed permanently",
		"permanent failure", "permanent error", "permanent fatal error",
		"unable to deliver", "unable to be delivered", "not able to deliver",
		"non-delivery", "nondelivery", "delivery failure", "delivery error",
		"returned to sender", "returned mail", "returning message to sender",
		"did not reach", "could not deliver", "couldn't deliver", "cannot deliver",
		"can't deliver", "message refused", "unrecoverable", "unrouteable", "user unknown",
		"unknown user", "no such user", "gave up", "giving up", "failure notice",
		"failed addresses", "could not send message", "was rejected", "been rejected",
		"error delivering", "error while delivering", "not successfully delivered",
		"were not successful", "failed recipient", "delivery problem", "address not found",
		"message not delivered", "message blocked", "wasn't found at", "not be sent",
		"returned message",
		/* German, Dutch, Swedish, Danish */
		"nicht zugestellt", "unzustellbar", "nicht zustellen",
		"zustellung ist fehlgeschlagen", "zustellung fehlgeschlagen", "fehler bei der",
		"niet worden bezorgd", "niet worden afgeleverd", "niet bezorgd", "onbestelbaar",
		"kunde inte levereras", "kunne ikke leveres",
		/* French, Spanish, Italian, Portuguese */
		"n'a pas pu être", "n’a pas pu être", "non remis", "échec de la remise",
		"échec de remise", "n'a pas été remis", "pas pu être remis", "no se pudo entregar",
		"no se ha podido entregar", "no se puede entregar", "no entregado",
		"no pudo ser entregado", "non recapitat", "non è stato possibile",
		"impossibile recapitare", "impossibile consegnare", "mancato recapito",
		"não foi possível entregar", "não pôde ser entregue", "não foi entregue",
		/* Russian, Polish, Turkish */
		"не может быть доставлено", "не может быть отправлено", "недоставленн",
		"не удалось доставить", "не было доставлено", "не доставлено", "не существует",
		"nie może zostać dostarczona", "nie została dostarczona", "nie można dostarczyć",
		"teslim edilemedi",
		/* Japanese, Chinese */
		"配信できません", "配信不能", "配信に失敗", "届けられません",
		"送信できませんでした", "无法投递", "退信", "无法送达", "未能送达", "投递失败",
		"无法发送", "無法傳遞", "無法投遞", "无法传递", NULL
	};
	/* clang-format on */

	return contains(lower, phrases);
}

bool
bounce_from_mailer(const char *lower)
{
	/* clang-format off */
	static const char *const phrases[] = {
		"mailer-daemon", "mailerdaemon", "mailer_daemon", "postmaster", "mdaemon",
		"mail-daemon", "mail delivery", "maildelivery", "mail_delivery",
		"system administrator", "mail administrator", "mailadmin", "microsoft exchange",
		"microsoftexchange", "mail system", "mail router", "delivery subsystem", "smtpd@",
		"mta@", "bounce", NULL
	};
	/* clang-format on */

	return contains(lower, phrases);
}

bool
bounce_subject_fails(const char *lower)
{
	/* clang-format off */
	static const char *const phrases[] = {
		"undeliver", "non-deliver", "nondeliver", "delivery status notification",
		"delivery failure", "delivery fail", "delivery notif", "failure notice",
		"returned mail", "returned to sender", "mail delivery", "message delivery",
		"mail system error", "delivery problem", "delivery error", "delivery has failed",
		"could not send message", "unzustellbar", "nicht zustell", "message status",
		"mail failure", "delayed mail", "delivery delay", "failed delivery", "non remis",
		"no se puede entregar", "no entregado", "не доставлено", "недоставлен", "退信",
		"配信", "配送", "投递", NULL
	};
	/* clang-format on */

	return contains(lower, phrases);
}

bool
bounce_subject_answers(const char *lower)
{
	/* clang-format off */
	static const char *const phrases[] = {
		"out of office", "out of the office", "automatic reply", "auto reply", "auto-reply",
		"autoreply", "auto response", "abwesenheit", "abwesend", "automatische antwort",
		"réponse automatique", "absence du bureau", "respuesta automática",
		"fuera de la oficina", "risposta automatica", "resposta automática",
		"automatisch antwoord", "автоответ", "自动回复", "自動返信", "自動応答",
		"on vacation", "away from my mail", NULL
	};
	/* clang-format on */

	return contains(lower, phrases);
}

bool
bounce_begins_original(const char *lower)
{
	/* clang-format off */
	static const char *const phrases[] = {
		"below this line is", "this is a copy of", "original message follows",
		"unsent message", "original message", "returned message", "a copy of the original",
		"a copy of your message", "message header", "original header", "headers of the",
		"message text follows", "undelivered message", "copy of the message",
		"the body of your", "your original message", "begin original",
		"the original message", "text of your", "start of returned", "included is a copy",
		"message follows", "your message follows", "исходное сообщение", "оригинал",
		"message content", "headers of your", "the header ", "begin message", "enclosed is",
		"attached is", "mail header", "original mail", "ursprüngliche nachricht", NULL
	};
	/* clang-format on */
	const char *p = lower + strspn(lower, " \t-=*#|_>~+");
	size_t len = strlen(lower);

	/* The first field of a header says the same. */
	if (g_str_has_prefix(lower, "received: ") || g_str_has_prefix(lower, "return-path: "))
		return true;
	while (len > 0 && strchr(" \t\r", lower[len - 1]) != NULL)
		len--;
	if (len == 0 ||
	    (strchr("-=*#|_~+", *lower) == NULL && strchr(":-=", lower[len - 1]) == NULL &&
	     p - lower < 3 && strstr(p, "follow") == NULL))
		return false;
	for (size_t i = 0; phrases[i] != NULL; i++)
		if (g_str_has_prefix(p, phrases[i]))
			/* Sendmail: "The original message was received at Tue, ...". */
			return strstr(p, " was received") == NULL;
	return false;
}
