/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A plugin for qemu-user: counts the instructions that the guest executes, and says how many at its end, in
 * callgrind's words. QEMU counts nothing by itself, and a log of every instruction takes it thirty times as long.
 *
 * The interface is QEMU's (TCG plugins, version 1). No package has its header, so what is used of it is declared
 * here. Guest code is translated in blocks; a block runs from its first instruction to its last, except when a signal or a
 * fault ends it, which happens to none of the guests here.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb; /* a translated block */
struct qemu_info_t;

typedef void on_block_translated(qemu_plugin_id_t plugin, struct qemu_plugin_tb *block);
typedef void on_block_executed(unsigned int cpu, void *data);
typedef void on_exit_of_guest(qemu_plugin_id_t plugin, void *data);

enum { READS_NO_REGISTERS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t plugin, on_block_translated *function);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, on_block_executed *function,
                                          int registers, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t plugin, on_exit_of_guest *function, void *data);

extern EXPORTED int qemu_plugin_version;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t plugin, const struct qemu_info_t *info, int argc,
                                 char **argv);

int qemu_plugin_version = 1;

static uint64_t executed; /* the guests have one thread */

static void add(unsigned int cpu, void *data)
{
	(void)cpu;
	executed += (uintptr_t)data;
}

static void watch(qemu_plugin_id_t plugin, struct qemu_plugin_tb *block)
{
	(void)plugin;
	qemu_plugin_register_vcpu_tb_exec_cb(block, add, READS_NO_REGISTERS,
	                                     (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void tell(qemu_plugin_id_t plugin, void *data)
{
	(void)plugin;
	(void)data;
	fprintf(stderr, "Collected : %" PRIu64 "\n", executed);
}

int qemu_plugin_install(qemu_plugin_id_t plugin, const struct qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(plugin, watch);
	qemu_plugin_register_atexit_cb(plugin, tell, NULL);
	return 0;
}
