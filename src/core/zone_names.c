/*
 * zone_names - what all pools of a configuration have at each name of their zones; see
 * zone_names.h.
 *
 * Addresses and domains belong to the settings.
 */
#include "core/zone_names.h"

#include "core/zone.h"

#include <arpa/inet.h>
#include <string.h>

#define BITS_OF_V4 96 /* where IPv4 begins in struct network */

/* ---- what pools bring ---- */

static void
name_free(void *p)
{
	struct zone_name *n = p;

	g_free(n->name);
	g_ptr_array_unref(n->pools);
	g_ptr_array_unref(n->addresses);
	g_ptr_array_unref(n->includes);
	g_free(n);
}

/* The pools come one after the other. */
static void
add_pool(GPtrArray *pools, const struct pool *p)
{
	if (pools->len == 0 || pools->pdata[pools->len - 1] != p)
		g_ptr_array_add(pools, (void *)p);
}

static struct zone_name *
take_name(struct zone_names *z, const char *name, const struct pool *p)
{
	struct zone_name *n = g_hash_table_lookup(z->names, name);

	if (n == NULL) {
		n = g_new0(struct zone_name, 1);
		n->name = g_strdup(name);
		n->pools = g_ptr_array_new();
		n->addresses = g_ptr_array_new();
		n->includes = g_ptr_array_new();
		g_hash_table_insert(z->names, n->name, n);
	}
	add_pool(n->pools, p);
	return n;
}

static void
append_all(GPtrArray *to, const GPtrArray *from)
{
	for (guint i = 0; i < from->len; i++)
		g_ptr_array_add(to, from->pdata[i]);
}

static void
add_address(struct zone_names *z, char *address, const struct pool *p)
{
	GPtrArray *pools = g_hash_table_lookup(z->addresses, address);

	if (pools == NULL) {
		pools = g_ptr_array_new();
		g_hash_table_insert(z->addresses, address, pools);
	}
	add_pool(pools, p);
}

static void
add_helo(struct zone_names *z, const struct pool *p)
{
	char *name = zone_helo_name(p);
	struct zone_name *n;

	if (name == NULL)
		return;
	n = take_name(z, name, p);
	n->helo = true;
	append_all(n->addresses, p->source_ips);
	for (guint i = 0; i < p->source_ips->len; i++)
		add_address(z, p->source_ips->pdata[i], p);
	g_free(name);
}

static struct zone_name *
add_domain(struct zone_names *z, const char *name, const struct pool *p)
{
	struct zone_name *n = take_name(z, name, p);

	append_all(n->addresses, p->source_ips);
	append_all(n->includes, p->spf_include);
	return n;
}

static void
add_bounces(struct zone_names *z, const struct pool *p)
{
	struct zone_name *n = add_domain(z, p->spf_domain, p);

	n->bounce = true;
	if (n->bounce_target == NULL)
		n->bounce_target = p->bounce_target;
}

struct zone_names *
zone_names_new(const struct settings *s)
{
	struct zone_names *z = g_new0(struct zone_names, 1);

	z->names = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, name_free);
	z->addresses = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
					     (GDestroyNotify)g_ptr_array_unref);
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];
		struct zone_name *sender = add_domain(z, p->sender_domain, p);

		sender->sender = true;
		sender->kept = sender->kept || p->return_path == RETURN_PATH_KEEP;
		if (p->spf_domain != NULL)
			add_bounces(z, p);
		add_helo(z, p);
	}
	return z;
}

void
zone_names_free(struct zone_names *z)
{
	g_hash_table_destroy(z->names);
	g_hash_table_destroy(z->addresses);
	g_free(z);
}

const struct zone_name *
zone_names_find(const struct zone_names *z, const char *name)
{
	return g_hash_table_lookup(z->names, name);
}

bool
zone_name_authorises(const struct zone_name *n)
{
	return n->addresses->len > 0 || n->includes->len > 0;
}

/* ---- the SPF record ---- */

static int
compare_networks(const void *a, const void *b)
{
	return memcmp(((const struct network *)a)->octets, ((const struct network *)b)->octets, 16);
}

static bool
covers(const struct network *n, const struct network *one)
{
	struct address a = {.known = true};

	memcpy(a.octets, one->octets, sizeof a.octets);
	return network_match(n, 1, &a);
}

/* True if b is the other half of the network that a begins. */
static bool
halves(const struct network *a, const struct network *b)
{
	unsigned last = a->bits - 1; /* the bit that tells them apart */
	struct network other = *a;

	if (a->bits != b->bits || (a->octets[last / 8] & (0x80u >> (last % 8))) != 0)
		return false;
	other.octets[last / 8] |= (unsigned char)(0x80u >> (last % 8));
	return memcmp(other.octets, b->octets, 16) == 0;
}

/* The addresses as few networks: those that are there as a whole. */
static GArray *
networks_of(const GPtrArray *addresses)
{
	GArray *list = g_array_new(FALSE, FALSE, sizeof(struct network));
	struct network *n;
	guint kept = 0;

	for (guint i = 0; i < addresses->len; i++) {
		struct network one;
		const char *why;

		if (network_parse(&one, addresses->pdata[i], &why))
			g_array_append_val(list, one);
	}
	g_array_sort(list, compare_networks);
	n = (struct network *)(void *)list->data;
	for (guint i = 0; i < list->len; i++) {
		if (kept > 0 && covers(&n[kept - 1], &n[i]))
			continue;
		n[kept++] = n[i];
		for (; kept > 1 && halves(&n[kept - 2], &n[kept - 1]); kept--)
			n[kept - 2].bits--;
	}
	g_array_set_size(list, kept);
	return list;
}

static void
append_network(GString *text, const struct network *n)
{
	static const unsigned char v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = n->bits > BITS_OF_V4 && memcmp(n->octets, v4_prefix, sizeof v4_prefix) == 0;
	char address[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? n->octets + 12 : n->octets, address,
		  sizeof address);
	g_string_append_printf(text, " %s:%s", v4 ? "ip4" : "ip6", address);
	if (n->bits < 128)
		g_string_append_printf(text, "/%u", v4 ? n->bits - BITS_OF_V4 : n->bits);
}

char *
zone_name_spf(const struct zone_name *n, const char *version, unsigned *lookups)
{
	GString *text = g_string_new(version);
	GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);
	GArray *networks = networks_of(n->addresses);

	for (guint i = 0; i < networks->len; i++)
		append_network(text, &g_array_index(networks, struct network, i));
	for (guint i = 0; i < n->includes->len; i++)
		if (g_hash_table_add(seen, n->includes->pdata[i]))
			g_string_append_printf(text, " include:%s", (char *)n->includes->pdata[i]);
	g_string_append(text, " -all");
	*lookups = g_hash_table_size(seen);
	g_array_unref(networks);
	g_hash_table_destroy(seen);
	return g_string_free(text, FALSE);
}
