package main

import "unsafe"

// addressOf is what a system call wants of a buffer. The buffer lives on the heap, which does not move.
func addressOf(b *byte) uintptr { return uintptr(unsafe.Pointer(b)) }
