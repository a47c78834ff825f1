/*
 * smtp_dialogue - what an SMTP client and its server said, paired; see smtp_dialogue.h.
 *
 * Each command must be the one that may come now, with the very address that is next in the list; each
 * reply must be due.  A reply that came too early would be taken for that of the next command, or of the
 * final dot: TCP_INFO tells how much the server has sent, seen or not.
 */
#include "io/smtp_dialogue.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define TEXT_MAX 200 /* octets of foreign text in a reason */

void
dialogue_printable(GString *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len && i < TEXT_MAX; i++)
		g_string_append_c(out, text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
	if (len > TEXT_MAX)
		g_string_append(out, "...");
}

/* "RCPT <a@b>: text"; the caller frees it. */
static char *
at_stage(const struct dialogue *d, const char *text)
{
	static const char *const names[] = {"greeting", "EHLO",    "MAIL",       "RCPT",
					    "DATA",     "message", "end of data"};
	GString *out = g_string_new(names[d->stage]);

	if (d->stage == STAGE_RCPT && d->rcpts_sent > 0) {
		const char *rcpt = g_ptr_array_index(d->rcpts, d->rcpts_sent - 1);

		g_string_append(out, " <");
		dialogue_printable(out, rcpt, strlen(rcpt));
		g_string_append(out, ">");
	}
	g_string_append(out, ": ");
	dialogue_printable(out, text, strlen(text));
	return g_string_free(out, FALSE);
}

void
dialogue_fail(struct dialogue *d, const char *text)
{
	if (d->failure == NULL)
		d->failure = at_stage(d, text);
}

static void
dialogue_break(struct dialogue *d, const char *text)
{
	d->broken = true;
	dialogue_fail(d, text);
}

/*
 * True if the server has sent more than we have seen, where it should be waiting for us.  That
 * counts what libcurl has read and kept as well as what still waits in the socket.  A FIN counts as
 * one octet, and no reply is that short.  False if it cannot be told.
 */
static bool
dialogue_unseen(const struct dialogue *d)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	return d->socket >= 0 && getsockopt(d->socket, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       len >= offsetof(struct tcp_info, tcpi_bytes_received) +
			       sizeof info.tcpi_bytes_received &&
	       info.tcpi_bytes_received > d->octets_seen + 1;
}

static bool
is_path_command(const char *line, const char *verb, const char *address, bool parameters)
{
	size_t verb_len = strlen(verb), address_len = strlen(address);

	if (strncmp(line, verb, verb_len) != 0 || line[verb_len] != '<' ||
	    strncmp(line + verb_len + 1, address, address_len) != 0)
		return false;
	line += verb_len + 1 + address_len;
	return strcmp(line, ">") == 0 || (parameters && g_str_has_prefix(line, "> "));
}

/* Steps to the stage of a command; false if it is not one that may come now. */
static bool
dialogue_step(struct dialogue *d, const char *line)
{
	const char *rcpt;

	switch (d->stage) {
	case STAGE_GREETING:
	case STAGE_HELLO:
		if (g_str_has_prefix(line, "EHLO ") || g_str_has_prefix(line, "HELO "))
			d->stage = STAGE_HELLO;
		else if (d->stage == STAGE_HELLO &&
			 is_path_command(line, "MAIL FROM:", d->sender, true))
			d->stage = STAGE_MAIL;
		else
			return false;
		return true;
	case STAGE_MAIL:
	case STAGE_RCPT:
		if (d->rcpts_sent == d->rcpts->len) {
			d->stage = STAGE_DATA;
			return strcmp(line, "DATA") == 0;
		}
		d->stage = STAGE_RCPT;
		rcpt = g_ptr_array_index(d->rcpts, d->rcpts_sent++);
		return is_path_command(line, "RCPT TO:", rcpt, false);
	default:
		return false;
	}
}

/* A line of ours. */
static void
dialogue_command(struct dialogue *d, const char *line, size_t len)
{
	char *command;

	if (d->quit != 0)
		return;
	if (len < 2 || line[len - 2] != '\r' || memchr(line, '\0', len) != NULL) {
		dialogue_break(d, "libcurl sent something else");
		return;
	}
	command = g_strndup(line, len - 2);
	if (strcmp(command, "QUIT") == 0)
		d->quit = g_get_monotonic_time();
	else if (d->waiting || !dialogue_step(d, command))
		dialogue_break(d, "libcurl sent something else");
	else
		d->waiting = true;
	g_free(command);
}

/* Takes a whole reply. */
static void
dialogue_answer(struct dialogue *d, int code)
{
	bool good = code / 100 == 2;

	switch (d->stage) {
	case STAGE_HELLO: /* libcurl says HELO where EHLO fails */
		if (good)
			g_clear_pointer(&d->failure, g_free);
		break;
	case STAGE_RCPT:
		d->accepted[d->rcpts_sent - 1] = good;
		if (!good && d->rcpt_failure == NULL)
			d->rcpt_failure = at_stage(d, d->text->str);
		return;
	case STAGE_DATA:
		good = code == 354;
		break;
	case STAGE_END:
		d->ended = good;
		break;
	default:
		break;
	}
	if (!good)
		dialogue_fail(d, d->text->str);
	else if (d->stage == STAGE_DATA)
		d->stage = STAGE_BODY;
}

/* The code of a reply line (RFC 5321 4.2), *last set; 0 if it is none. */
static int
reply_code(const char *line, size_t len, bool *last)
{
	if (len < 5 || line[len - 2] != '\r' || line[0] < '1' || line[0] > '5' ||
	    !g_ascii_isdigit(line[1]) || !g_ascii_isdigit(line[2]) ||
	    (line[3] != ' ' && line[3] != '-' && len > 5))
		return 0;
	*last = line[3] != '-';
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

/* A line of the server. */
static void
dialogue_reply(struct dialogue *d, const char *line, size_t len)
{
	bool last = false;
	int code;

	if (d->quit != 0 || d->broken)
		return;
	code = reply_code(line, len, &last);
	if (!d->waiting || code == 0 || (d->code != 0 && d->code != code)) {
		dialogue_break(d, d->waiting ? "not an SMTP reply" : "a reply too many");
		return;
	}
	if (d->code == 0) {
		g_string_truncate(d->text, 0);
		dialogue_printable(d->text, line, len - 2);
	}
	d->code = last ? 0 : code;
	if (!last)
		return;
	d->waiting = false;
	if (dialogue_unseen(d))
		dialogue_break(d, "a reply too many");
	else
		dialogue_answer(d, code);
}

/* Cuts what libcurl shows into lines. */
static void
dialogue_feed(struct dialogue *d, GString *part, const char *data, size_t len,
	      void (*take)(struct dialogue *d, const char *line, size_t len))
{
	const char *lf;

	while ((lf = memchr(data, '\n', len)) != NULL) {
		size_t n = (size_t)(lf - data) + 1;

		g_string_append_len(part, data, (gssize)n);
		take(d, part->str, part->len);
		g_string_truncate(part, 0);
		data += n;
		len -= n;
	}
	g_string_append_len(part, data, (gssize)len);
}

void
dialogue_commands(struct dialogue *d, const char *data, size_t len)
{
	dialogue_feed(d, d->command_part, data, len, dialogue_command);
}

void
dialogue_replies(struct dialogue *d, const char *data, size_t len)
{
	dialogue_feed(d, d->reply_part, data, len, dialogue_reply);
}

bool
dialogue_end(struct dialogue *d)
{
	if (d->stage == STAGE_BODY && !d->broken) {
		d->stage = STAGE_END;
		d->waiting = true;
	}
	if (d->stage != STAGE_END || d->command_part->len > 0)
		dialogue_break(d, "libcurl sent something else");
	else if (dialogue_unseen(d))
		dialogue_break(d, "a reply too many");
	return !d->broken;
}

void
dialogue_start(struct dialogue *d, const char *sender)
{
	d->sender = sender;
	d->rcpts = g_ptr_array_new();
	d->stage = STAGE_GREETING;
	d->waiting = true;
	d->text = g_string_new("");
	d->command_part = g_string_new("");
	d->reply_part = g_string_new("");
	d->socket = -1;
}

void
dialogue_free(struct dialogue *d)
{
	g_ptr_array_free(d->rcpts, TRUE);
	g_free(d->accepted);
	g_string_free(d->text, TRUE);
	g_string_free(d->command_part, TRUE);
	g_string_free(d->reply_part, TRUE);
	g_free(d->failure);
	g_free(d->rcpt_failure);
}
