/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/map: how a map is declared. Each lies in the header of the shapes that it holds, and is pinned by its name under
 * /sys/fs/bpf/weft, so that all programs and the next agent share it. Sizes are defaults; the loader may set others. */
#ifndef WEFT_ABI_MAP_H
#define WEFT_ABI_MAP_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MAP(kind, name, k, v, size, bits)                     \
	struct {                                              \
		__uint(type, kind);                           \
		__type(key, k);                               \
		__type(value, v);                             \
		__uint(max_entries, size);                    \
		__uint(map_flags, bits);                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);          \
	} name SEC(".maps")

#endif
