/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* wire: the words of the ABI that travel: identities, verdicts, drop reasons, events, counters, marks. */
#ifndef WEFT_WIRE_H
#define WEFT_WIRE_H

#include <linux/types.h>

struct addr {
	__u8 b[16];
} __attribute__((aligned(8)));

/* Reserved identities; the numbers are Cilium's (docs/compatibility.md). */
enum identity {
	IDENTITY_UNKNOWN = 0,
	IDENTITY_HOST = 1,
	IDENTITY_WORLD = 2,
	IDENTITY_UNMANAGED = 3,
	IDENTITY_HEALTH = 4,
	IDENTITY_INIT = 5,
	IDENTITY_REMOTE_NODE = 6,
	IDENTITY_KUBE_APISERVER = 7,
	IDENTITY_INGRESS = 8,
	IDENTITY_WORLD_IPV4 = 9,
	IDENTITY_WORLD_IPV6 = 10,
	IDENTITY_RESERVED = 255, /* the last that is not a workload's */
};

enum direction {
	DIRECTION_NONE = 0,
	DIRECTION_INGRESS = 1,
	DIRECTION_EGRESS = 2,
};

enum verdict {
	VERDICT_NONE = 0,
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2,	   /* a deny rule */
	VERDICT_DENY_IMPLICIT = 3, /* isolated and nothing allows */
	VERDICT_AUDIT = 4,	   /* would be denied, passes */
	VERDICT_REDIRECT = 5,	   /* to a proxy */
	VERDICT_PASS = 6,	   /* of entries only: the next tier decides */
};

/* What of the peer and port a rule matched on; Hubble's policy_match_type. */
enum match {
	MATCH_NONE = 0,
	MATCH_L3_ONLY = 1,
	MATCH_L3_L4 = 2,
	MATCH_L4_ONLY = 3,
	MATCH_ALL = 4,
	MATCH_L3_PROTO = 5,
	MATCH_PROTO_ONLY = 6,
};

/* The hook a packet was seen at. */
enum hook {
	HOOK_NONE = 0,
	HOOK_FROM_POD = 1,
	HOOK_TO_POD = 2,
	HOOK_FROM_NET = 3,
	HOOK_TO_NET = 4,
	HOOK_FROM_OVERLAY = 5,
	HOOK_TO_OVERLAY = 6,
};

enum event_type {
	EVENT_NONE = 0,
	EVENT_DROP = 1,
	EVENT_VERDICT = 2, /* a policy gave its verdict on a new connection (or anew after a change) */
	EVENT_TRACE = 3,   /* a connection began, closed, or is reported periodically */
};

enum event_flag {
	EVENT_REPLY = 1,
	EVENT_TO_STACK = 2,
	EVENT_TO_OVERLAY = 4,
	EVENT_TO_NETWORK = 8,
	EVENT_SERVICE = 16, /* service holds what the client called */
	EVENT_CLOSE = 32,
	EVENT_NEW = 64,
};

/* One record of the ring buffer `events`. Ports are host byte order; ICMP: type and code in the ports. */
struct event {
	__u64 time; /* ns, CLOCK_MONOTONIC */
	__u8 type;	 /* enum event_type */
	__u8 hook;	 /* enum hook */
	__u8 direction;	 /* enum direction */
	__u8 verdict;	 /* enum verdict */
	__u8 reason;	 /* enum drop_reason */
	__u8 match;	 /* enum match */
	__u8 protocol;
	__u8 tcp_flags; /* byte 13 of the TCP header */
	__u32 flags;	/* enum event_flag */
	__u32 source;	/* identity */
	__u32 destination;
	__u32 ifindex;	   /* where the packet was seen */
	__u32 incarnation; /* NIC whose policy spoke; 0: none */
	__u32 rules;	   /* list of rules that decided */
	__u32 length;	   /* bytes of the packet */
	__u16 src_port;
	__u16 dst_port;
	__u16 service_port;
	__u8 staged; /* enum verdict that staged policies would have led to; VERDICT_NONE: there are none */
	__u8 pad;
	__u32 staged_rules; /* list of rules that would have decided */
	struct addr src;
	struct addr dst;
	struct addr service;
};

/* Why a packet was dropped: Hubble's numbers where it has one. */
enum drop_reason {
	DROP_NONE = 0,
	DROP_INVALID_SOURCE_IP = 132,
	DROP_POLICY = 133,
	DROP_INVALID = 134,
	DROP_CT_INVALID_HEADER = 135,
	DROP_UNKNOWN_L4 = 142,
	DROP_UNKNOWN_ICMP4_TYPE = 144,
	DROP_WRITE = 141,
	DROP_TUNNEL_KEY = 147,
	DROP_UNKNOWN_TARGET = 150,
	DROP_STALE = 151,
	DROP_CT_FULL = 155,
	DROP_INVALID_EXTHDR = 156,
	DROP_NO_BACKEND = 158,
	DROP_NO_TUNNEL = 160,
	DROP_NO_CONFIG = 165,
	DROP_UNSUPPORTED_L2 = 166,
	DROP_NAT_NO_MAPPING = 167,
	DROP_NAT_PROTOCOL = 168,
	DROP_ENCAP_PROHIBITED = 170,
	DROP_INVALID_IDENTITY = 171,
	DROP_UNKNOWN_SENDER = 172,
	DROP_FRAGMENT_NOT_FOUND = 175,
	DROP_FORBIDDEN_ICMP6 = 176,
	DROP_POLICY_DENY = 181,
	DROP_NIC_NOT_READY = 203,
	DROP_FRAGMENT_FROM_WORLD = 207, /* that one came by the wire, which may have put them into another order */
	/* Our own, where Hubble has none. */
	DROP_SHARE = 240,	   /* the workload holds its share of a table already */
	DROP_FRAGMENTS_FULL = 241, /* no room to remember a datagram's ports */
	DROP_NAT_FULL = 242,	   /* no room for a translation */
	DROP_NO_CONNECTION = 243,  /* answers a call that was never made: a SYN-ACK of no known connection */
	DROP_ICMP_UNRELATED = 244, /* an ICMP error about nothing that its receiver has sent to its sender */
};

/* counters: packets and bytes, one per CPU, at hook << 8 | reason (reason 0: forwarded). */
#define COUNTERS (7 << 8)

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* skb->mark across the host's stack: identity in bits 31..16 and 7..0 (its high byte), kind in 11..8.
 * kube-proxy's 0x4000 and 0x8000 are never touched. */
enum mark_kind {
	MARK_NONE = 0,
	MARK_PROXY = 0x200,
	MARK_ENCRYPT = 0xe00,
	MARK_HOST = 0xc00,
	MARK_DELIVERED = 0x100, /* judged by from_pod on its way into a workload or to a node: to_pod and to_net let it pass */
	MARK_ENCAPSULATED = 0x700, /* tunnel key is set already: to_overlay lets it pass, and to_net what it becomes */
	MARK_EGRESS_GATEWAY = 0x800,
	MARK_IDENTITY = 0xf00,
};
#define MARK_KIND_MASK 0x0f00u
#define MARK_MASK 0xffff0fffu
#define MARK_SIGN 0x5746 /* skb->tc_index of a packet whose mark a program of ours wrote */

#endif
