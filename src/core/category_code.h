/*
 * category_code - the category of a failure by its codes alone, where its text is not known.
 */
#ifndef POOLMILTER_CORE_CATEGORY_CODE_H
#define POOLMILTER_CORE_CATEGORY_CODE_H

#include "core/category.h"

/**
 * By an enhanced status code, RFC 3463; CATEGORY_NONE if it tells nothing ("5.0.0", "5.1.0",
 * unknown ones, what is no such code, and those of success).  code: of the reply, 0: none; if that
 * is a 4xx, no hard category is given, whatever the enhanced one says.
 */
enum category category_of_dsn(const char *dsn, int code);

/** By a reply code, RFC 5321 4.2; CATEGORY_NONE if it tells nothing. */
enum category category_of_code(int code);

#endif
