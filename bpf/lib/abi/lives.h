/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/lives: how long connections are remembered. */
#ifndef WEFT_ABI_LIVES_H
#define WEFT_ABI_LIVES_H

#include "addr.h"

/* After the last packet, where no key says otherwise. Cilium's defaults (bpf-ct-timeout-*), by which keepalives of
 * sockets are chosen: an idle one of TCP outlives Linux' tcp_keepalive_time of 7,200 s. */
#define CT_TCP_OPEN_SECONDS 8000
#define CT_TCP_OPENING_SECONDS 60
#define CT_TCP_CLOSING_SECONDS 10
#define CT_TCP_ENDED_SECONDS 60 /* how long packets prolong the row of a connection whose end is told; one that comes later opens another */
#define CT_DATAGRAM_NEW_SECONDS 60
#define CT_DATAGRAM_SECONDS 120

/* In seconds; the second of each is for connections to services. */
struct ct_lives {
	__u32 tcp_open[2];
	__u32 tcp_closing[2];
	__u32 datagram[2];
	__u32 datagram_new[2]; /* not answered yet */
	__u32 tcp_opening;
};

#endif
