/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* xdp: packets of known calls from outside, and their answers, go on to another machine where they come in, at physical NICs, before the
 * kernel makes a packet of them. Every other packet passes as it came, to from_net, which alone opens, judges, refuses and tells; one that is
 * longer than a page, too. Its section says nothing of frames in parts (xdp.frags): generic, the kernel would give from_net packets whose link
 * header it has lost. */
#include "lib/drop.h"
#include "lib/frame.h"
#include "lib/known.h"

/* The veth pairs with the program, each as its own target. A frame that XDP_TX turns back on a pair lies at the other end until something
 * wakes that, which the kernel does only for one that has a program itself (veth_xdp_flush in drivers/net/veth.c); one that is sent to the
 * device wakes it. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 256);
} pairs SEC(".maps");

/* Whether the host's routes lead the packet out of the device by which it came, to a neighbour that answers, in one piece. A frame that was
 * sent to another machine's address is none of that: a device may see such (a hub, a bridge that floods, promiscuity). */
static __always_inline int turns_back(struct xdp_md *x, const struct packet *p, struct bpf_fib_lookup *fib)
{
	fib->ifindex = x->ingress_ifindex;
	fib->tot_len = frame_length(x) - ETH_HEADER; /* as tc measures it: what lies behind the packet goes along */
	route_ask(fib, p->v6, &p->src, &p->dst);
	return bpf_fib_lookup(x, fib, sizeof(*fib), 0) == BPF_FIB_LKUP_RET_SUCCESS && fib->ifindex == x->ingress_ifindex && frame_is_to(x, fib->smac);
}

SEC("xdp/device")
int xdp(struct xdp_md *x)
{
	struct context *c = context_of(HOOK_XDP);
	struct bpf_fib_lookup fib = {};
	struct flow f = {};
	__u32 length = frame_length(x);

	if (!c || frame_read(x, &c->packet))
		return XDP_PASS;
	c->net = net_of_device();
	if (!known_is(c, &f) || !f.entry || frame_is_partial(x, &c->packet) || !turns_back(x, &c->packet, &fib))
		return XDP_PASS;
	if (frame_write(x, &c->packet, fib.dmac, fib.smac))
		return XDP_PASS;
	ct_update(c, &f);
	count_bytes(length, HOOK_XDP, 0);
	return bpf_redirect_map(&pairs, x->ingress_ifindex, XDP_TX); /* the last: where it is no pair */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
