/*
 * test_conf_file - what the loader makes of files beyond their syntax: places, secrets, keys.
 *
 * Each test works in a temporary directory of its own; @D in a text is its path.
 */
#include "io/conf_file.h"

#include "core/setting_table.h"
#include "io/keystore.h"
#include "io/secret_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define POOL_WITH(name, keys) \
	"{ name = \"" name "\"; sender_domain = \"" name ".example\"; spf_domain = \"b." name \
	".example\";\n" \
	"dkim_selector = \"s\"; dkim_key = \"@D/key.pem\"; " keys " }"
#define TOP "listen = \"unix:@D/s\"; state_dir = \"@D\";\n"
#define SIGNED TOP "pools = ( " POOL_WITH("a", "") " );"
#define KEPT TOP "pools = ( " POOL_WITH("a", "return_path = \"keep\";") " );"

struct place {
	char *directory;
	struct errors *errors;
};

static char *
path_in(const struct place *p, const char *name)
{
	return g_build_filename(p->directory, name, NULL);
}

static void
write_octets(const struct place *p, const char *name, const char *data, size_t len, mode_t mode)
{
	char *path = path_in(p, name);

	assert_true(g_file_set_contents(path, data, (gssize)len, NULL));
	assert_int_equal(chmod(path, mode), 0);
	g_free(path);
}

static void
write_text(const struct place *p, const char *name, const char *text)
{
	char **parts = g_strsplit(text, "@D", -1), *whole = g_strjoinv(p->directory, parts);

	write_octets(p, name, whole, strlen(whole), 0600);
	g_strfreev(parts);
	g_free(whole);
}

static void
write_key(const struct place *p)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &data);
	write_octets(p, "key.pem", data, (size_t)len, 0600);
	BIO_free(bio);
	EVP_PKEY_free(key);
}

static int
setup(void **state)
{
	struct place *p = g_new0(struct place, 1);

	p->directory = g_dir_make_tmp("poolmilter-unit-XXXXXX", NULL);
	p->errors = errors_new();
	write_key(p);
	*state = p;
	return 0;
}

static void
remove_tree(const char *path)
{
	GDir *d = g_dir_open(path, 0, NULL);
	const char *name;

	while (d != NULL && (name = g_dir_read_name(d)) != NULL) {
		char *inner = g_build_filename(path, name, NULL);

		remove_tree(inner);
		g_free(inner);
	}
	if (d != NULL)
		g_dir_close(d);
	g_remove(path);
}

static int
teardown(void **state)
{
	struct place *p = *state;

	remove_tree(p->directory);
	errors_free(p->errors);
	g_free(p->directory);
	g_free(p);
	return 0;
}

static struct settings *
load(const struct place *p, int flags)
{
	char *path = path_in(p, "main.conf");
	struct settings *s = conf_file_load(path, flags, p->errors);

	g_free(path);
	assert_int_equal(s == NULL, errors_any(p->errors));
	return s;
}

static struct settings *
load_well(const struct place *p, int flags)
{
	struct settings *s = load(p, flags);

	if (s == NULL)
		fail_msg("%s", (char *)p->errors->errors->pdata[0]);
	return s;
}

static void
assert_refused(const struct place *p, int flags, const char *part)
{
	assert_null(load(p, flags));
	if (p->errors->errors->len != 1 || strstr(p->errors->errors->pdata[0], part) == NULL)
		fail_msg("%s", (char *)p->errors->errors->pdata[0]);
}

static void
values_of_the_file_replace_defaults(void **state)
{
	const struct place *p = *state;
	const struct pool *pool;
	struct settings *s;

	write_text(p, "main.conf",
		   TOP
		   "trusted_networks = [ \"192.0.2.0/24\" ]; oversigned_headers = [ ];\n"
		   "socket_mode = \"600\"; max_message_size = 2048; signed_headers = [ \"X-A\" ];\n"
		   "syslog: { level = \"debug\"; };\n"
		   "pools = ( " POOL_WITH(
			   "a", "match_subdomains = true; return_path = \"verp\";\n"
				"users = [ \"u\", \"v*\" ]; sender_subdomain = \"Mail\";") " );");
	s = load_well(p, CONF_FILE_NO_SECRET);
	assert_int_equal(s->trusted_networks->len, 1);
	assert_int_equal(s->oversigned_headers->len, 0);
	assert_int_equal(s->socket_mode, 0600);
	assert_int_equal(s->max_message_size, 2048);
	assert_string_equal(s->signed_headers->pdata[0], "X-A");
	pool = s->pools->pdata[0];
	assert_true(pool->match_subdomains);
	assert_int_equal(pool->return_path, RETURN_PATH_VERP);
	assert_int_equal(pool->users->len, 2);
	assert_string_equal(pool->users->pdata[1], "v*");
	assert_string_equal(pool->sender_subdomain, "mail");
	settings_unref(s);
}

static void
places_are_those_of_the_files(void **state)
{
	const struct place *p = *state;
	const struct pool *pool;
	struct settings *s;
	struct origin at;

	write_text(p, "a.conf", "# one\n" POOL_WITH("b", "") "\n");
	write_text(
		p, "main.conf",
		TOP
		"\nsyslog: {\nlevel = \"info\"; };\npools = (\n@include \"a.conf\"\n, " POOL_WITH(
			"c", "") ");");
	s = load_well(p, CONF_FILE_NO_SECRET);
	assert_int_equal(s->files->len, 2);
	assert_true(g_str_has_suffix(s->files->pdata[0], "/main.conf"));
	assert_true(g_str_has_suffix(s->files->pdata[1], "/a.conf"));
	pool = s->pools->pdata[0];
	assert_ptr_equal(pool->origin.file, s->files->pdata[1]);
	assert_int_equal(pool->origin.line, 2);
	assert_int_equal(settings_pool_origin(pool, "dkim_key").line, 3);
	pool = s->pools->pdata[1];
	assert_ptr_equal(pool->origin.file, s->files->pdata[0]);
	assert_int_equal(pool->origin.line, 7);
	assert_int_equal(pool->index, 1);
	assert_int_equal(settings_origin(s, "syslog.level").line, 4);
	at = settings_origin(s, "user");
	assert_ptr_equal(at.file, s->files->pdata[0]);
	assert_int_equal(at.line, 0);
	settings_unref(s);
}

static void
directory_is_read_in_the_order_of_names(void **state)
{
	const struct place *p = *state;
	char *directory = path_in(p, "d");
	struct settings *s;

	assert_int_equal(g_mkdir(directory, 0700), 0);
	g_free(directory);
	write_text(p, "main.conf", "include_dir = \"@D/d\";\n" SIGNED);
	write_text(p, "d/10.conf", "pools = ( " POOL_WITH("ten", "") " );");
	write_text(p, "d/9.conf",
		   "pools = ( " POOL_WITH("nine", "") ", " POOL_WITH("zehn", "") " );");
	write_text(p, "d/B.conf", "pools = ( " POOL_WITH("b", "") " );");
	write_text(p, "d/readme", "no");
	s = load_well(p, CONF_FILE_NO_SECRET);
	assert_int_equal(s->pools->len, 5);
	assert_string_equal(((struct pool *)s->pools->pdata[0])->name, "a");
	assert_string_equal(((struct pool *)s->pools->pdata[1])->name, "ten");
	assert_string_equal(((struct pool *)s->pools->pdata[2])->name, "nine");
	assert_string_equal(((struct pool *)s->pools->pdata[3])->name, "zehn");
	assert_int_equal(((struct pool *)s->pools->pdata[3])->index, 1);
	assert_string_equal(((struct pool *)s->pools->pdata[4])->name, "b");
	settings_unref(s);
}

static void
pools_that_name_one_file_share_the_key(void **state)
{
	const struct place *p = *state;
	const struct signature *a, *b;
	enum key_type type;
	struct settings *s;
	char *why;

	write_text(p, "main.conf",
		   TOP "pools = ( " POOL_WITH("a", "") ", " POOL_WITH("b", "") " );");
	s = load_well(p, CONF_FILE_NO_SECRET);
	a = ((struct pool *)s->pools->pdata[0])->signatures->pdata[0];
	b = ((struct pool *)s->pools->pdata[1])->signatures->pdata[0];
	assert_non_null(a->key);
	assert_ptr_equal(a->key, b->key);
	assert_non_null(key_get(a->key, &type, &why));
	assert_int_equal(type, KEY_ED25519);
	settings_unref(s);
}

static void
secret_is_made_once(void **state)
{
	const struct place *p = *state;
	char *path = path_in(p, "return-path.secret");
	struct settings *s, *again;
	struct stat st;

	write_text(p, "main.conf", SIGNED);
	s = load_well(p, CONF_FILE_SECRET);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(s->return_path.secrets->len, 1);
	assert_int_equal(g_array_index(s->return_path.secrets, struct secret, 0).len, 64);
	again = load_well(p, 0);
	assert_memory_equal(s->return_path.secrets->data, again->return_path.secrets->data,
			    sizeof(struct secret));
	settings_unref(s);
	settings_unref(again);
	g_free(path);
}

static void
secret_is_only_made_when_asked_for(void **state)
{
	const struct place *p = *state;
	char *path = path_in(p, "return-path.secret");
	struct settings *s;

	write_text(p, "main.conf", SIGNED);
	assert_refused(p, 0, "start poolmilter once");
	g_ptr_array_set_size(p->errors->errors, 0);
	s = load_well(p, CONF_FILE_NO_SECRET);
	settings_unref(s);
	assert_int_equal(access(path, F_OK), -1);
	g_free(path);
}

static void
secret_is_not_needed_to_keep(void **state)
{
	const struct place *p = *state;
	char *path = path_in(p, "return-path.secret");
	struct settings *s;

	write_text(p, "main.conf", KEPT);
	s = load_well(p, CONF_FILE_SECRET);
	assert_int_equal(s->return_path.secrets->len, 0);
	assert_int_equal(access(path, F_OK), -1);
	settings_unref(s);
	g_free(path);
}

static void
secret_needs_its_directory(void **state)
{
	const struct place *p = *state;

	write_text(p, "main.conf",
		   "listen = \"unix:@D/s\";\nstate_dir = \"@D/none\";\npools = ( " POOL_WITH(
			   "a", "") " );");
	assert_refused(p, CONF_FILE_SECRET, "main.conf:2: state_dir: ");
}

static void
secrets_keep_their_order(void **state)
{
	const struct place *p = *state;
	const struct secret *secrets;
	struct settings *s;

	write_octets(p, "new", "new-secret-of-20-oct\r\n\n", 23, 0640);
	write_octets(p, "old", "\0\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7", 16, 0400);
	write_text(p, "main.conf",
		   "return_path: { secret_files = [ \"@D/new\", \"@D/old\" ]; };\n" SIGNED);
	s = load_well(p, 0);
	secrets = (const struct secret *)(const void *)s->return_path.secrets->data;
	assert_int_equal(s->return_path.secrets->len, 2);
	assert_int_equal(secrets[0].len, 20);
	assert_memory_equal(secrets[0].octets, "new-secret-of-20-oct", 20);
	assert_int_equal(secrets[1].len, 16);
	assert_memory_equal(secrets[1].octets, "\0\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7", 16);
	settings_unref(s);
}

static void
bad_secrets_are_refused(void **state)
{
	static const struct {
		size_t octets;
		mode_t mode;
		const char *why;
	} cases[] = {
		{15, 0600, "too short"},
		{65, 0600, "too long"},
		{1000, 0600, "too long"},
		{0, 0600, "too short"},
		{32, 0604, "open to others"},
		{32, 0601, "open to others"},
		{32, 0620, "writable by its group"},
	};
	const struct place *p = *state;
	char data[1000];

	memset(data, 'x', sizeof data);
	write_text(p, "main.conf", "return_path: {\nsecret_files = [ \"@D/secret\" ]; };\n" SIGNED);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		write_octets(p, "secret", data, cases[i].octets, cases[i].mode);
		assert_refused(p, CONF_FILE_SECRET, cases[i].why);
		assert_non_null(strstr(p->errors->errors->pdata[0],
				       "main.conf:2: return_path.secret_files: "));
		assert_null(strstr(p->errors->errors->pdata[0], "xxxx"));
		g_ptr_array_set_size(p->errors->errors, 0);
	}
}

static void
webhooks_get_their_secrets(void **state)
{
#define HOOK(name, keys) "{ name = \"" name "\"; url = \"https://a.example/\"; " keys " }"
	const struct place *p = *state;
	const struct webhook *all, *own;
	struct settings *s;

	write_octets(p, "a.secret", "0123456789abcdef\r\nnot this", 26, 0640);
	write_octets(p, "b.secret", " with blanks, 20... \n", 21, 0600);
	write_text(p, "main.conf",
		   TOP "webhooks = ( " HOOK("a", "secret_file = \"@D/a.secret\";") ", " HOOK("n", "") " );"
		   "pools = ( " POOL_WITH("a", "return_path = \"keep\"; webhooks = ( "
				  HOOK("b", "secret_file = \"@D/b.secret\";") " );") " );");
	s = load(p, CONF_FILE_NO_SECRET);
	all = s->webhooks->pdata[0];
	own = ((const struct pool *)s->pools->pdata[0])->webhooks->pdata[0];
	assert_string_equal(all->secret, "0123456789abcdef");
	assert_null(((const struct webhook *)s->webhooks->pdata[1])->secret);
	assert_string_equal(own->secret, " with blanks, 20... ");
	settings_unref(s);
#undef HOOK
}

/* Reads what secret_file_make() leaves, in a process of its own; the digest goes to the pipe. */
static void
make_in_child(const char *path, int fd)
{
	struct secret secret = {0};
	char *why = NULL;

	if (secret_file_make(path, geteuid(), &why) &&
	    secret_file_read(path, geteuid(), &secret, &why))
		_exit(write(fd, &secret, sizeof secret) == (ssize_t)sizeof secret ? 0 : 1);
	_exit(1);
}

static void
processes_that_make_one_secret_agree(void **state)
{
	enum { PROCESSES = 16, ROUNDS = 20 };
	const struct place *p = *state;

	for (int round = 0; round < ROUNDS; round++) {
		char *name = g_strdup_printf("secret-%d", round), *path = path_in(p, name);
		struct secret first, other;
		int fds[2], status;

		assert_int_equal(pipe(fds), 0);
		for (int i = 0; i < PROCESSES; i++) {
			pid_t pid = fork();

			assert_true(pid >= 0);
			if (pid == 0)
				make_in_child(path, fds[1]);
		}
		close(fds[1]);
		for (int i = 0; i < PROCESSES; i++) {
			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
			assert_int_equal(read(fds[0], i == 0 ? &first : &other, sizeof first),
					 sizeof first);
			if (i > 0)
				assert_memory_equal(&first, &other, sizeof first);
		}
		close(fds[0]);
		g_free(name);
		g_free(path);
	}
}

static void
nothing_temporary_is_left(void **state)
{
	const struct place *p = *state;
	char *path = path_in(p, "secret"), *why = NULL;
	const char *name;
	unsigned count = 0;
	GDir *d;

	assert_true(secret_file_make(path, geteuid(), &why));
	assert_true(secret_file_make(path, geteuid(), &why));
	d = g_dir_open(p->directory, 0, NULL);
	while ((name = g_dir_read_name(d)) != NULL)
		count++;
	g_dir_close(d);
	assert_int_equal(count, 2); /* key.pem and the secret */
	g_free(path);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(values_of_the_file_replace_defaults),
		TEST(places_are_those_of_the_files),
		TEST(directory_is_read_in_the_order_of_names),
		TEST(pools_that_name_one_file_share_the_key),
		TEST(secret_is_made_once),
		TEST(secret_is_only_made_when_asked_for),
		TEST(secret_is_not_needed_to_keep),
		TEST(secret_needs_its_directory),
		TEST(secrets_keep_their_order),
		TEST(bad_secrets_are_refused),
		TEST(webhooks_get_their_secrets),
		TEST(processes_that_make_one_secret_agree),
		TEST(nothing_temporary_is_left),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
