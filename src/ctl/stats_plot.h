/*
 * stats_plot - the statistics as a picture: mail over time, drawn by gnuplot.
 */
#ifndef POOLMILTER_CTL_STATS_PLOT_H
#define POOLMILTER_CTL_STATS_PLOT_H

#include "ctl/stats_report.h"

/** The query whose report stats_plot_script() takes: of q, by pool (or ISP) and by hour (or day). */
struct stats_query stats_plot_query(const struct stats_query *q, time_t now);

/** What gnuplot is to do with such a report, for all times until now; g_free it. */
char *stats_plot_script(const struct stats_report *r, time_t now);

/**
 * Has gnuplot draw it and puts the picture, SVG, in the place of path, whole or not at all.  An exit
 * status: EX_OK, or EX_UNAVAILABLE, EX_SOFTWARE, EX_CANTCREAT with *why (g_free it).
 */
int stats_plot_draw(const char *script, const char *path, char **why);

#endif
