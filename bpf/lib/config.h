/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* config: what one node's programs are told at load time. Set by Config.apply of internal/datapath; constant to the verifier. */
#ifndef WEFT_CONFIG_H
#define WEFT_CONFIG_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "abi/config.h"
#include "abi/ct.h"
#include "abi/fragment.h"
#include "abi/ipcache.h"
#include "abi/nat.h"
#include "abi/quota.h"

/* The defaults, for what the agent does not say. */
volatile const struct node_config config = {
	.world4 = IDENTITY_WORLD,
	.world6 = IDENTITY_WORLD,
	.connections_limit = CONNECTIONS / QUOTA_PARTS,
	.openings_limit = OPENINGS,
	.translations_limit = TRANSLATIONS / QUOTA_PARTS,
	.fragments_limit = FRAGMENTS / QUOTA_PARTS,
	.events_per_second = 20000,
	.reject = 1,
};

/* Word by word: a plain copy would let the compiler take the zero that stands here at compile time. */
static __always_inline struct addr config_addr(const volatile struct addr *a)
{
	const volatile __u64 *from = (const volatile __u64 *)a;
	struct addr copy;
	__u64 *to = (__u64 *)&copy;

	to[0] = from[0];
	to[1] = from[1];
	return copy;
}

/* This node's address towards the outside, in one family; zero: no masquerade. */
static __always_inline struct addr config_masquerade(int v6)
{
	return v6 ? config_addr(&config.masquerade6) : config_addr(&config.masquerade4);
}

/* The flag of a new connection: CT_PLAIN in a family without masquerade, else none. */
static __always_inline __u32 config_plain(int v6)
{
	struct addr as = config_masquerade(v6);
	const __u64 *words = (const __u64 *)&as;

	return words[0] | words[1] ? 0 : CT_PLAIN;
}

/* The hairpin source: of a workload that reaches itself through a service. Not 127.0.0.1, see addr_is_loopback. */
static __always_inline struct addr config_loopback(int v6)
{
	return v6 ? config_addr(&config.loopback6) : config_addr(&config.loopback4);
}

#define SECOND 1000000000ULL

/* A function that the verifier checks once, on its own, and not once for each way by which a caller reaches it: costs add up, and do
 * not multiply. To the verifier its pointers may be NULL (kernels before 6.8 know no better), and what they point to cannot be a key
 * or value of a map (before 6.2): that must be on the stack or in a map. */
#define GLOBAL __attribute__((noinline)) int

#endif
