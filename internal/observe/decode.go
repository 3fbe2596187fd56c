package observe

import (
	"fmt"
	"unsafe"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// kind is what one type of event is to its readers. Each has a file of its own, event_*.go.
type kind struct {
	size  int                            // of its record, if that is longer than an event
	more  func(record []byte) any        // what its record has behind the event; nil: nothing
	judge bool                           // it has the rules that decided
	tell  func(in *Flow, f *flowpb.Flow) // fills what is its own into a flow
}

var kinds = map[abi.EventType]*kind{
	abi.EventDrop:     {tell: drop, judge: true},
	abi.EventVerdict:  {tell: verdict, judge: true},
	abi.EventTrace:    {tell: trace},
	abi.EventClose:    {tell: closed, size: closeSize, more: closeOf},
	abi.EventProgress: {tell: closed, size: closeSize, more: closeOf},
}

// decode reads a record of the ring buffer into f. A record may be longer than this version knows: fields are only ever
// appended. A shorter one, or one of no known type, is an error.
func decode(record []byte, f *Flow) error {
	e := &f.event
	if len(record) < int(unsafe.Sizeof(*e)) {
		return fmt.Errorf("event of %d bytes, must have %d", len(record), unsafe.Sizeof(*e))
	}
	load(record, e)
	f.kind = kinds[e.Type]
	switch {
	case f.kind == nil:
		return fmt.Errorf("event of type %d, which this version does not know", uint8(e.Type))
	case len(record) < f.kind.size:
		return fmt.Errorf("event of type %s and %d bytes, must have %d", e.Type, len(record), f.kind.size)
	case f.kind.more != nil:
		f.more = f.kind.more(record)
	}
	return nil
}

// load copies the head of a record, which is memory of this machine's kernel: byte order and layout are the same
// (abi/layout_test.go), but it need not be aligned.
func load[T any](record []byte, to *T) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(to)), unsafe.Sizeof(*to)), record)
}
