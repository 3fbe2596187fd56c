/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* sender: what a frame off the wire says of who sent it. */
#ifndef WEFT_SENDER_H
#define WEFT_SENDER_H

#include "ipcache.h"
#include "route.h"

/* Where a frame came from, seen from the machine with this address. */
enum sender {
	SENDER_OTHER = 0,   /* another machine of the link */
	SENDER_MACHINE = 1, /* the machine: the host's routes reach it on the frame's device, and the frame has its MAC address */
	SENDER_ROUTER = 2,  /* the router that they name on the way there */
};

/* Whether it does not matter which machine of the link has sent a frame with a source of this row. */
static __always_inline int sender_is_any(const struct ipcache *from)
{
	return !config.overlay_ifindex || !from || (from->flags & (IPCACHE_NODE | IPCACHE_DIRECT | IPCACHE_VTEP)) || addr_is_zero(&from->tunnel);
}

GLOBAL sender_of(struct __sk_buff *skb, const struct addr *machine)
{
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	__u8 mac[6];
	int same;

	if (!machine)
		return SENDER_OTHER;
	route_ask(&fib, !addr_is4(machine), NULL, machine);
	if (bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT) || fib.ifindex != skb->ifindex ||
	    bpf_skb_load_bytes(skb, 6, mac, sizeof(mac)) || __builtin_memcmp(mac, fib.dmac, sizeof(mac)))
		return SENDER_OTHER;
	/* With a router between, the lookup has put the router's address here. */
	if (addr_is4(machine))
		same = fib.ipv4_dst == addr_4(machine);
	else
		same = !__builtin_memcmp(fib.ipv6_dst, machine, 16);
	return same ? SENDER_MACHINE : SENDER_ROUTER;
}

#endif
