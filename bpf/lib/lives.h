/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* lives: how long a connection is remembered after its last packet, as programs are told when they are loaded. */
#ifndef WEFT_LIVES_H
#define WEFT_LIVES_H

#include "abi/ct.h"
#include "abi/lives.h"
#include "packet.h"

volatile const struct ct_lives lives = {
	.tcp_open = { CT_TCP_OPEN_SECONDS, CT_TCP_OPEN_SECONDS },
	.tcp_closing = { CT_TCP_CLOSING_SECONDS, CT_TCP_CLOSING_SECONDS },
	.datagram = { CT_DATAGRAM_SECONDS, CT_DATAGRAM_SECONDS },
	.datagram_new = { CT_DATAGRAM_NEW_SECONDS, CT_DATAGRAM_NEW_SECONDS },
	.tcp_opening = CT_TCP_OPENING_SECONDS,
};

static __always_inline int lives_are_over(__u32 flags)
{
	return (flags & CT_RESET) || (flags & (CT_CLOSING_A | CT_CLOSING_B)) == (CT_CLOSING_A | CT_CLOSING_B);
}

/* Whether one way alone is seen, and its end has closed it: the other may still send for long. */
static __always_inline int lives_half(__u32 flags)
{
	return (flags & CT_ONE_WAY) && (flags & (CT_CLOSING_A | CT_CLOSING_B));
}

/* In ns. */
static __always_inline __u64 lives_for(__u32 protocol, __u32 flags)
{
	__u32 service = !!(flags & (CT_SERVICE | CT_NAMED));

	if (protocol != IPPROTO_TCP)
		return (flags & CT_REPLIED ? lives.datagram[service] : lives.datagram_new[service]) * SECOND;
	if (lives_are_over(flags))
		return lives.tcp_closing[service] * SECOND;
	return ((flags & CT_OPEN) && !lives_half(flags) ? lives.tcp_open[service] : lives.tcp_opening) * SECOND;
}

#endif
