/*
 * apply - gives a plan to the MTA; see apply.h.
 *
 * Order: header edits as the plan has them, the sender, recipients that are gone, quarantine, the body.  The body is
 * one run of its own: Postfix answers 451 for ever to a body replacement with other edits in between.
 */
#include "daemon/apply.h"
#include "base/log.h"

#define BODY_PIECE ((size_t)64 * 1024 * 1024) /* octets */

sfsistat
apply_reply(SMFICTX *ctx, const char *code, const char *status, const char *text)
{
	if (smfi_setreply(ctx, (char *)code, (char *)status, (char *)text) != MI_SUCCESS)
		log_line(LOG_ERR, "internal error: libmilter refuses the reply \"%s %s %s\"", code,
			 status, text);
	return *code == '5' ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

static bool
apply_edit(SMFICTX *ctx, const struct edit *e)
{
	char *name = (char *)e->field.name, *value = (char *)e->field.value;

	switch (e->kind) {
	case EDIT_CHANGE:
		return smfi_chgheader(ctx, name, (int)e->index, value) == MI_SUCCESS;
	case EDIT_DELETE:
		return smfi_chgheader(ctx, name, (int)e->index, NULL) == MI_SUCCESS;
	case EDIT_ADD:
		return smfi_addheader(ctx, name, value) == MI_SUCCESS;
	case EDIT_INSERT:
		return smfi_insheader(ctx, 0, name, value) == MI_SUCCESS;
	}
	return false;
}

static bool
apply_edits(SMFICTX *ctx, const GArray *edits)
{
	for (guint i = 0; i < edits->len; i++)
		if (!apply_edit(ctx, &g_array_index(edits, struct edit, i)))
			return false;
	return true;
}

static bool
apply_sender(SMFICTX *ctx, const char *sender)
{
	char *path = g_strdup_printf("<%s>", sender);
	/* No ESMTP arguments: the MTA keeps those that the client gave. */
	bool ok = smfi_chgfrom(ctx, path, NULL) == MI_SUCCESS;

	g_free(path);
	return ok;
}

static bool
apply_hold(SMFICTX *ctx, const char *reason)
{
	return smfi_quarantine(ctx, (char *)reason) == MI_SUCCESS;
}

static bool
apply_gone(SMFICTX *ctx, const GPtrArray *gone)
{
	bool ok = true;

	for (guint i = 0; ok && gone != NULL && i < gone->len; i++) {
		char *path = g_strdup_printf("<%s>", (const char *)g_ptr_array_index(gone, i));

		ok = smfi_delrcpt(ctx, path) == MI_SUCCESS;
		g_free(path);
	}
	return ok;
}

/* Pieces, since libmilter counts octets in an int; it cuts them into packets itself. */
static bool
apply_body(SMFICTX *ctx, const struct buf *body)
{
	unsigned char *data = (unsigned char *)body->data;
	size_t left = body->len, n;
	bool ok;

	do {
		n = MIN(left, BODY_PIECE);
		ok = smfi_replacebody(ctx, data, (int)n) == MI_SUCCESS;
		data += n;
		left -= n;
	} while (ok && left > 0);
	return ok;
}

sfsistat
apply_plan(SMFICTX *ctx, const struct plan *p, bool *applied)
{
	*applied = true;
	if (p->verdict == VERDICT_DEFERRED || p->verdict == VERDICT_REJECTED)
		return apply_reply(ctx, p->reply_code, p->reply_status, p->reply);
	*applied = apply_edits(ctx, image_edits(p->image)) &&
		   (p->new_sender == NULL || apply_sender(ctx, p->new_sender)) &&
		   apply_gone(ctx, p->gone) &&
		   (p->verdict != VERDICT_HELD || apply_hold(ctx, p->hold)) &&
		   (!p->new_body || apply_body(ctx, &p->body));
	if (!*applied)
		return apply_reply(ctx, "451", "4.3.0",
				   "Message cannot be changed now, try again later");
	return SMFIS_CONTINUE;
}
