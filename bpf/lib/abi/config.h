/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/config: what one node's programs are told when they are loaded. */
#ifndef WEFT_ABI_CONFIG_H
#define WEFT_ABI_CONFIG_H

#include "addr.h"

/* One variable of each program, constant to the verifier: another configuration is another program. A feature whose programs have to be
 * told more has a variable of its own, as abi/lives.h. */
struct node_config {
	struct addr tunnel;	 /* where this node's tunnel ends; zero: not known */
	struct addr masquerade4; /* this node's address towards the outside; zero: no masquerade */
	struct addr masquerade6;
	struct addr loopback4; /* source of a workload that reaches itself through a service */
	struct addr loopback6;
	__u32 overlay_ifindex; /* the tunnel device; 0: native routing */
	__u32 world4;	       /* identity of an unknown IPv4 address */
	__u32 world6;
	/* What one NIC may hold of connections, translations and fragments: a quarter of each map. */
	__u32 connections_limit;
	__u32 openings_limit; /* places of openings that are used: at most a quarter of the connections */
	__u32 translations_limit;
	__u32 fragments_limit;
	__u32 callers_seed; /* of the hash by which callers are counted: random, so that no caller can choose an address that collides */
	__u32 events_per_second; /* events beyond this are counted as lost */
	__u32 path_epoch;	 /* differs between configurations that choose other paths: see path.h */
	__u16 tunnel_port;	 /* UDP, host byte order */
	__u16 nat_port_min;	 /* masquerade takes ports from here … */
	__u16 nat_port_max;	 /* … to here, outside the host's ephemeral and reserved ranges */
	__u8 at_netkit;		 /* from_pod runs where the workload's side of a netkit pair transmits */
	__u8 host_conntrack;	 /* the kernel lets programs look into the host's connection tracking */
	__u8 reject;		 /* a call of a service without backends is answered, not just dropped */
	__u8 pad[3];
};

#endif
