/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/outside: calls of services by machines outside, as a node counts them. */
#ifndef WEFT_ABI_OUTSIDE_H
#define WEFT_ABI_OUTSIDE_H

#include "map.h"

/* How a call that came by a device of the node, or out of the tunnel, was led on. */
enum outside_way {
	OUTSIDE_LOCAL = 0, /* to a backend of this node: a pod, or the node itself */
	OUTSIDE_SNAT = 1,  /* to another node, with this node's address */
	OUTSIDE_DSR = 2,   /* to another node, which answers straight to the client */
	OUTSIDE_TOLD = 3,  /* to a backend of this node, by another node that said what was called (DSR) */
};
#define OUTSIDE_WAYS 4

/* outside_calls: connections that such calls have opened, by enum outside_way; one number per CPU. */
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, outside_calls, __u32, __u64, OUTSIDE_WAYS, 0);

/* led: what this node ever did with such calls. A look at it is cheaper than one for a row that there cannot be. */
enum led_what {
	LED_ON = 1,   /* led one on: it may be open although nothing is offered any more */
	LED_HERE = 2, /* was the backend of one itself, by a process of its own */
};

MAP(BPF_MAP_TYPE_ARRAY, led, __u32, __u32, 1, 0);

#endif
