package observe

import (
	"fmt"
	"unsafe"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Decode reads a record of the ring buffer. A record may be longer than this version knows: fields are only ever
// appended. A shorter one, or one of no known type, is an error.
func Decode(record []byte) (abi.Event, error) {
	var e abi.Event
	if len(record) < int(unsafe.Sizeof(e)) {
		return abi.Event{}, fmt.Errorf("event of %d bytes, must have %d", len(record), unsafe.Sizeof(e))
	}
	// The record is memory of this machine's kernel: byte order and layout are the same (abi/layout_test.go). It is
	// copied since a record need not be aligned.
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&e)), unsafe.Sizeof(e)), record)
	switch e.Type {
	case abi.EventDrop, abi.EventVerdict, abi.EventTrace:
		return e, nil
	}
	return abi.Event{}, fmt.Errorf("event of type %d, which this version does not know", uint8(e.Type))
}
