/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/overlay: overlay networks of their own beside the pod network: each has a number, which is in all keys with an address, and in the VNI. */
#ifndef WEFT_ABI_OVERLAY_H
#define WEFT_ABI_OVERLAY_H

#include <linux/types.h>

#define OVERLAY_VNI 0xff0000 /* plus the number: such VNIs are no identities, but in a cluster with number 255 */
#define OVERLAY_LAST 0x7fff /* numbers are 1 to this; those beyond are of wires, which are no networks of the tunnel */

/* What programs are told of them when they are loaded. */
struct overlay_config {
	__u32 networks; /* these VNIs say a network; 0: they are identities, and there are no such networks */
};

#endif
