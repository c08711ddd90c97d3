/* Counts instructions exactly, by symbol of the program: a plugin of QEMU (7.2 to 8.2).
 *
 *   gcc -shared -fPIC -O2 insns.c -o insns.so
 *   qemu-system-arm ... -plugin ./insns.so -d plugin -D counts.txt
 *
 * Between the functions begin_NAME and end_NAME of the program all that runs counts for NAME. A line each time:
 * NAME, instructions; and at the end a line for each symbol: NAME, symbol, instructions in all of them.
 * Debian ships no header of this interface, so what is used of it is declared here. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*at_translation)(plugin_id, struct qemu_plugin_tb *);
typedef void (*at_execution)(unsigned, void *);
typedef void (*at_exit)(plugin_id, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, at_translation);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, at_execution, int flags, void *);
void qemu_plugin_register_atexit_cb(plugin_id, at_exit, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
void qemu_plugin_outs(const char *);

int qemu_plugin_version = 1;

#define REGIONS 16
struct symbol { const char *name; uint64_t count[REGIONS]; struct symbol *next; };
static struct symbol *symbols;
static const char *regions[REGIONS];
static int now = -1; /* the region that is being counted */
static uint64_t total;

static void print(const char *region, const char *symbol, uint64_t count)
{
    char line[512];
    snprintf(line, sizeof line, "%s %s %" PRIu64 "\n", region, symbol, count);
    qemu_plugin_outs(line);
}

static int region(const char *name)
{
    int i = 0;
    while (i < REGIONS - 1 && regions[i] && strcmp(regions[i], name)) i++;
    if (!regions[i]) regions[i] = strdup(name);
    return i;
}

static void count(unsigned cpu, void *symbol)
{
    if (now >= 0) { ((struct symbol *)symbol)->count[now]++; total++; }
}

static void begin(unsigned cpu, void *name) { now = region(name); total = 0; }

static void end(unsigned cpu, void *name)
{
    if (now >= 0) print(name, "-", total);
    now = -1;
}

static struct symbol *find(const char *name)
{
    struct symbol *s = symbols;
    while (s && strcmp(s->name, name)) s = s->next;
    if (!s) {
        s = calloc(1, sizeof *s);
        *s = (struct symbol){strdup(name), {0}, symbols};
        symbols = s;
    }
    return s;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const char *name = qemu_plugin_insn_symbol(insn);
        struct symbol *s = find(name ? name : "?");
        /* The marks themselves do not count. */
        if (!strncmp(s->name, "begin_", 6))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, 0, (void *)(s->name + 6));
        else if (!strncmp(s->name, "end_", 4))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, (void *)(s->name + 4));
        else
            qemu_plugin_register_vcpu_insn_exec_cb(insn, count, 0, s);
    }
}

static void finished(plugin_id id, void *data)
{
    for (struct symbol *s = symbols; s; s = s->next)
        for (int i = 0; i < REGIONS; i++)
            if (s->count[i]) print(regions[i], s->name, s->count[i]);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
