/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* config: what one node's programs are told at load time. Set by internal/datapath, constant to the verifier. */
#ifndef WEFT_CONFIG_H
#define WEFT_CONFIG_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "abi.h"

#define CONFIG volatile const

/* Default sizes of what all NICs share. */
#define CONNECTIONS 131072
#define TRANSLATIONS 131072
#define FRAGMENTS 8192

CONFIG __u32 config_overlay_ifindex; /* the tunnel device; 0: native routing */
CONFIG __u16 config_tunnel_port;     /* UDP, host byte order */
CONFIG struct addr config_tunnel;    /* where this node's tunnel ends; zero: not known */
CONFIG __u16 config_nat_port_min;    /* masquerade takes ports from here … */
CONFIG __u16 config_nat_port_max;    /* … to here, outside the host's ephemeral and reserved ranges */
CONFIG __u32 config_world4 = IDENTITY_WORLD; /* identity of an unknown IPv4 address */
CONFIG __u32 config_world6 = IDENTITY_WORLD;
CONFIG struct addr config_masquerade4; /* this node's address towards the outside; zero: no masquerade */
CONFIG struct addr config_masquerade6;
CONFIG struct addr config_loopback4; /* source of a workload that reaches itself through a service */
CONFIG struct addr config_loopback6;
/* What one NIC may hold of connections, translations and fragments: a quarter of each map. */
CONFIG __u32 config_connections_limit = CONNECTIONS / 4;
CONFIG __u32 config_openings_limit = OPENINGS; /* places of openings that are used: at most a quarter of the connections */
CONFIG __u32 config_callers_seed; /* of the hash that callers are counted by: others cannot choose addresses that collide */
CONFIG __u32 config_translations_limit = TRANSLATIONS / 4;
CONFIG __u32 config_fragments_limit = FRAGMENTS / 4;
/* How long a connection is remembered, in seconds; the second of each is for those to services. */
CONFIG __u32 config_tcp_open[2] = { CT_TCP_OPEN_SECONDS, CT_TCP_OPEN_SECONDS };
CONFIG __u32 config_tcp_closing[2] = { CT_TCP_CLOSING_SECONDS, CT_TCP_CLOSING_SECONDS };
CONFIG __u32 config_tcp_opening = CT_TCP_OPENING_SECONDS;
CONFIG __u32 config_datagram[2] = { CT_DATAGRAM_SECONDS, CT_DATAGRAM_SECONDS };
CONFIG __u32 config_datagram_new[2] = { CT_DATAGRAM_NEW_SECONDS, CT_DATAGRAM_NEW_SECONDS };
CONFIG __u8 config_at_netkit; /* from_pod runs where the workload's side of a netkit pair transmits */
CONFIG __u8 config_host_conntrack; /* the kernel lets programs look into the host's connection tracking */
CONFIG __u8 config_reject = 1; /* a call of a service without backends is answered, not just dropped */
CONFIG __u32 config_events_per_second = 20000; /* events beyond this are counted as lost */

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

#define SECOND 1000000000ULL

/* A function that the verifier checks once, on its own, whatever its callers know: sums instead of products. Its
 * pointers may be NULL to the verifier (kernels before 6.8 know no better), and what they point to is no key or value for
 * a map (before 6.2): that must be on the stack or in a map. */
#define GLOBAL __attribute__((noinline)) int

#endif
