/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* mark: how an identity crosses the host's stack in skb->mark. */
#ifndef WEFT_MARK_H
#define WEFT_MARK_H

#include "abi/mark.h"
#include "config.h"

static __always_inline __u32 mark_of(__u32 identity, __u32 kind)
{
	return identity << 16 | ((identity >> 16) & 0xff) | kind;
}

static __always_inline __u32 mark_identity(__u32 mark)
{
	return mark >> 16 | (mark & 0xff) << 16;
}

/* A local socket may give its packets any mark (SO_MARK, capability NET_RAW), but no tc_index. A hook that passes a packet on
 * has the kernel set that to tc_classid (tcx_action_code, tc_run); one that redirects leaves it alone. Both stay with a
 * packet through the host's stack and the tunnel. */
static __always_inline void mark_write(struct __sk_buff *skb, __u32 mark, __u32 sign)
{
	skb->mark = (skb->mark & ~MARK_MASK) | mark;
	skb->tc_index = sign;
	skb->tc_classid = sign;
}

static __always_inline void mark_set(struct __sk_buff *skb, __u32 identity, __u32 kind)
{
	mark_write(skb, mark_of(identity, kind), MARK_SIGN);
}

static __always_inline void mark_clear(struct __sk_buff *skb)
{
	mark_write(skb, 0, 0);
}

/* The mark, if a program of ours wrote it as the packet came in; else none. */
static __always_inline __u32 mark_read(const struct __sk_buff *skb)
{
	return skb->tc_index == MARK_SIGN ? skb->mark & MARK_MASK : 0;
}

static __always_inline __u32 mark_kind(const struct __sk_buff *skb)
{
	return mark_read(skb) & MARK_KIND_MASK;
}

#endif
