/*
 * postfix_files - the texts that Postfix is given: lines for main.cf and master.cf, tables, and the
 * script that applies them.
 */
#ifndef POOLMILTER_CTL_POSTFIX_FILES_H
#define POOLMILTER_CTL_POSTFIX_FILES_H

#include "ctl/postfix_plan.h"

#include <sys/types.h>

struct postfix_file {
	const char *name;
	mode_t mode;
	GString *text;
};

struct postfix_texts {
	const char *source;    /* the configuration's name, for the headings */
	const char *directory; /* where Postfix finds the tables: an absolute path or
				  "$config_directory/..." */
	const char *config;    /* its absolute path, for poolctl bounce; NULL: there is none that Postfix
				  could read */
	const char *bounces;   /* address that bounces go to, or what comes besides them where these
				  become events; NULL: nothing is said about them, or postmaster */
	bool whole;            /* the passwords and the script, too: not to be printed */
	uid_t owner;           /* whom the files with them may belong to, besides root */
};

/** Begins a file: where it comes from, then what it is, lines with "# " in front. */
void postfix_files_heading(GString *out, const struct postfix_texts *t, const char *what);

/**
 * All files, of struct postfix_file *; g_ptr_array_free(..., TRUE) cleanses and frees them.  NULL
 * with *why (g_free it) if a password cannot be read or written in a table.
 */
GPtrArray *postfix_files_new(const struct postfix_plan *p, const struct postfix_texts *t,
			     char **why);

#endif
