/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* context: what the steps of one hook have found out so far, and room for them, since the stack is small. */
#ifndef WEFT_CONTEXT_H
#define WEFT_CONTEXT_H

#include "abi/policy.h"
#include "packet.h"

/* Which of a connection's remembered verdicts. */
enum remembered {
	REMEMBERED_EGRESS = 0,
	REMEMBERED_INGRESS = 1,
	REMEMBERED_BACK_A = 2,
	REMEMBERED_BACK_B = 3,
};

/* What a NIC's policy is asked. */
struct question {
	__u32 set;	   /* of the NIC: key of sets */
	__u32 incarnation; /* of the NIC */
	__u32 peer;	   /* identity */
	__u8 direction;
	__u8 protocol;
	__be16 port; /* of the side that was called */
	struct addr peer_addr;
	__u64 revision; /* of the NIC */
	__be16 here_port; /* of the NIC's side of the connection, and of the peer's */
	__be16 there_port;
	__u32 of; /* enum remembered: where the answer is remembered */
};

/* How this packet goes on: see path.h. */
struct hop {
	__u32 path; /* enum path_kind */
	__u32 ifindex; /* to a pod of this node: of its NIC; else 0 */
	struct addr tunnel; /* PATH_OVERLAY, PATH_VTEP */
	__u8 plain; /* its packets leave with the source that they have: the target is in the cluster, or to it they come from a service */
	__u8 node; /* the target is this node */
	__u8 mac[6]; /* PATH_VTEP */
};

/* What the steps of one hook have found out so far. */
struct context {
	struct packet packet;
	__u64 revision; /* of the node, read before anything that a verdict rests on */
	__u64 now;	/* ns, CLOCK_MONOTONIC as of the last tick: exact enough, since no life is shorter than a second */
	__u64 exact;	/* the same, as of this packet: see context_time; 0: not read */
	__u32 source;	   /* identities */
	__u32 destination;
	__u32 net; /* network of its addresses; each hook sets it once, before any lookup */
	__u32 incarnation; /* NIC whose policy spoke last */
	__u32 rules;
	__u32 event_flags;
	__u16 service_port;
	__u8 hook;
	__u8 direction;
	__u8 match;
	__u8 verdict;
	__u8 staged; /* enum verdict */
	__u8 told; /* what was called is known from the node that led the packet here, see dsr.h */
	__be16 client_port; /* the packet's source port as it came, if it has another now */
	__u32 staged_rules;
	__u32 touched; /* enum event_flag: what of this packet is to be told, like a first answer; 0: nothing */
	__u32 sender; /* identity of the source address by ipcache, where `source` comes from elsewhere (VNI, mark); 0: not looked up */
	__u32 claimed; /* identity of the source address where the frame comes from a router: it counts for open connections only; 0: none */
	__u32 service_flags; /* enum service_flag, of what a packet of this hook calls */
	__u8 called; /* service_translate has found a frontend that the packet calls, whatever became of it */
	__u8 service_scope; /* SCOPE_BEHIND: what this packet calls passes a frontend */
	__u8 crowded; /* who pays for the connection that is opened holds more than a quarter of its quota */
	__u8 audited; /* nothing is dropped: see drop.h */
	__u32 payer; /* whose quota holds the connection of this packet, if it is one that was open; 0: no NIC's */
	__u32 spare; /* place of `spares` that one has left for the connection of this packet, plus 1; 0: none has */
	struct addr service;
	/* Room for steps that would overflow the stack; not cleared, each step fills what it uses. */
	struct question question;
	struct hop hop;
	struct ct fresh;
	struct packet quoted;
	struct nat nat;
	struct nat nat_back;
	struct nat_key way_out; /* of masquerade; clash.h has the row of a call of a service here */
	struct nat_key way_back;
	struct nat_key other_way;
	struct ct_key key;
	struct ct_key quoted_key;
	struct ct_key evicted;
	struct fragment_key fragment_key;
	struct fragment fragment;
	__u8 quote[128] __attribute__((aligned(8)));
};

#define GO_ON (-1) /* what a step says that is not done with the packet: others give the action */

#define CONTEXT_CLEARED __builtin_offsetof(struct context, question)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct context);
	__uint(max_entries, 1);
} scratch SEC(".maps");

/* A fresh context. It lives in a map, one per CPU, since the stack is too small; programs of one CPU do not nest. */
static __always_inline struct context *context_of(__u32 hook)
{
	__u32 zero = 0;
	struct context *c = bpf_map_lookup_elem(&scratch, &zero);
	__u64 *now;

	if (!c)
		return NULL;
	__builtin_memset(c, 0, CONTEXT_CLEARED);
	c->hook = hook;
	c->now = bpf_ktime_get_coarse_ns();
	now = bpf_map_lookup_elem(&revision, &zero);
	c->revision = now ? *(volatile __u64 *)now : 0;
	return c;
}

/* When this packet was seen, for what is ordered or told. The exact clock is dear, and most packets need none. */
static __always_inline __u64 context_time(struct context *c)
{
	if (!c->exact)
		c->exact = bpf_ktime_get_ns();
	return c->exact;
}

/* The context that the program on this CPU works on, for a GLOBAL function that wants keys for maps in it. */
static __always_inline struct context *context_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

#endif
